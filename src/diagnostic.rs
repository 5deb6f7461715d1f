//! Diagnostics: the only way to tell a person of a mistake in their project.
//!
//! A stage returns them as values and goes on where it can; the command line renders them. A diagnostic says what is
//! wrong, where, what was expected, and offers the nearest name where one exists.

use std::fmt;

use crate::source::Location;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// One message to a person about their project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable short name such as `ref-not-found`, in kebab case; listed in the reference.
    pub code: &'static str,
    pub severity: Severity,
    /// What is wrong, one sentence without a final full stop.
    pub message: String,
    pub location: Option<Location>,
    /// What to do about it: what was expected, the nearest name.
    pub help: Vec<String>,
    /// The way to the place, outermost last: `in macro x (macros/x.sql:3:1)`.
    pub trace: Vec<String>,
}

/// A result whose error is one diagnostic; boxed, because errors are rare and results are passed everywhere.
pub type Outcome<T> = Result<T, Box<Diagnostic>>;

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message.into())
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message.into())
    }

    fn new(code: &'static str, severity: Severity, message: String) -> Self {
        Self { code, severity, message, location: None, help: Vec::new(), trace: Vec::new() }
    }

    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub fn trace(mut self, frame: impl Into<String>) -> Self {
        self.trace.push(frame.into());
        self
    }

    /// Adds "did you mean …?" where `wrong` is close to one of `names`.
    pub fn suggest<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(wrong, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `Err(self)`, boxed as [`Outcome`] wants it.
    pub fn fail<T>(self) -> Outcome<T> {
        Err(Box::new(self))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// The name closest to `wrong` by Jaro–Winkler similarity, if any is close enough to be a likely slip of the finger.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name)
}
