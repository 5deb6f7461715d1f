//! From minijinja's errors to diagnostics at the place in the project's text.

use minijinja::{Error, ErrorKind};

use super::blocks::line_and_column;
use super::engine::Engine;
use super::registry::MacroSource;
use super::rewrite::Rewritten;
use super::{NodeScope, TemplateText, context};
use crate::diagnostic::Diagnostic;
use crate::source::Location;

/// What the template that is rendered is called inside the engine; macros go by their ids.
pub(super) const RENDERED: &str = "<template>";

/// A diagnostic as an error that minijinja passes through unchanged.
pub(super) fn carry(diagnostic: impl Into<Box<Diagnostic>>) -> Error {
    let diagnostic: Box<Diagnostic> = diagnostic.into();
    Error::new(ErrorKind::InvalidOperation, diagnostic.message.clone()).with_source(*diagnostic)
}

/// The template under way: its text, and the text that the engine saw.
pub(super) struct Source<'a> {
    pub template: &'a TemplateText,
    pub rewritten: &'a Rewritten,
}

/// One error of a chain with its place.
struct Frame {
    /// The macro's name; none for the rendered template.
    macro_name: Option<String>,
    location: Location,
    /// The text of the expression that failed, as written.
    expression: String,
}

impl Engine {
    /// The diagnostic for an error of a render.
    pub(super) fn diagnose(&self, error: &Error, source: &Source<'_>, scope: &dyn NodeScope) -> Box<Diagnostic> {
        let chain = chain(error);
        let frames: Vec<Frame> = chain.iter().rev().filter_map(|error| self.frame(error, source)).collect();
        let inner = frames.first();
        let carried = carried(error);
        let mut diagnostic = match (carried, chain.last()) {
            (Some(diagnostic), _) => diagnostic.clone(),
            (None, Some(last)) => self.describe(last, inner.map_or("", |frame| frame.expression.as_str()), scope),
            (None, None) => Diagnostic::error("jinja-error", error.to_string()),
        };
        if diagnostic.location.is_none() {
            diagnostic.location = Some(inner.map_or_else(|| source.template.location.clone(), |frame| frame.location.clone()));
            if frames.len() > 1 || inner.is_some_and(|frame| frame.macro_name.is_some()) {
                diagnostic.trace.extend(frames.iter().map(|frame| trace_line(frame, source.template)));
            }
        }
        Box::new(diagnostic)
    }

    /// A macro that does not parse.
    pub(super) fn syntax_error(&self, source: &MacroSource, error: &Error) -> Error {
        let offset = error.range().map_or(0, |range| range.start);
        let (line, column) = line_and_column(&source.source, offset);
        carry(
            Diagnostic::error("jinja-syntax", sentence(error.detail().unwrap_or("the template cannot be read")))
                .at(source.location.offset_by(line, column)),
        )
    }

    fn frame(&self, error: &Error, source: &Source<'_>) -> Option<Frame> {
        // `include` stands in generated text only: it is how macros are called.
        if error.kind() == ErrorKind::BadInclude {
            return None;
        }
        let name = error.name()?;
        let (macro_name, text, rewritten, start) = if name == RENDERED {
            (None, source.template.source.as_str(), source.rewritten, &source.template.location)
        } else {
            let entry = self.macros.by_id(name)?;
            let rewritten = &entry.compiled().ok()?.rewritten;
            (Some(entry.source.name.clone()), entry.source.source.as_str(), rewritten, &entry.source.location)
        };
        let range = match error.range() {
            Some(range) => range,
            None => line_range(&rewritten.text, error.line()?),
        };
        let from = rewritten.original_offset(range.start);
        let to = rewritten.original_offset(range.end).max(from);
        let from = expression_start(text, from);
        let (line, column) = line_and_column(text, from);
        let expression = text.get(from..to).unwrap_or_default().trim().to_string();
        Some(Frame { macro_name, location: start.offset_by(line, column), expression })
    }

    fn describe(&self, error: &Error, expression: &str, scope: &dyn NodeScope) -> Diagnostic {
        let detail = error.detail().unwrap_or_default();
        match error.kind() {
            ErrorKind::SyntaxError | ErrorKind::BadEscape => Diagnostic::error("jinja-syntax", sentence(detail)),
            ErrorKind::UnknownFunction => self.unknown_name(detail.strip_suffix(" is unknown").unwrap_or(detail), scope),
            ErrorKind::UndefinedError => self.undefined(expression, scope),
            ErrorKind::InvalidOperation if detail == "value of type undefined is not callable" => {
                self.unknown_name(callee(expression), scope)
            }
            ErrorKind::UnknownFilter => Diagnostic::error(
                "jinja-filter-not-found",
                detail.replace("filter ", "no filter is called ").replace(" is unknown", ""),
            ),
            ErrorKind::UnknownTest => Diagnostic::error(
                "jinja-test-not-found",
                detail.replace("test ", "no test is called ").replace(" is unknown", ""),
            ),
            ErrorKind::UnknownMethod => Diagnostic::error("jinja-method-not-found", sentence(detail)),
            ErrorKind::OutOfFuel => Diagnostic::error("jinja-endless", "the template does not come to an end")
                .help("a loop in it runs too often: give it fewer values, or leave the work to SQL"),
            ErrorKind::TooManyArguments | ErrorKind::MissingArgument => Diagnostic::error("jinja-arguments", text_of(error)),
            ErrorKind::InvalidOperation if detail.contains("recursion limit") => {
                Diagnostic::error("jinja-recursion", "the template nests too deeply")
            }
            _ => Diagnostic::error("jinja-error", text_of(error)),
        }
    }

    /// Nothing goes by this name.
    pub(super) fn unknown_name(&self, name: &str, scope: &dyn NodeScope) -> Diagnostic {
        let name = name.trim();
        let known = self.macros.visible_names(scope.package()).chain(self.macros.package_names()).chain(context::names());
        Diagnostic::error("jinja-undefined", format!("`{name}` is undefined: no macro, function or variable has this name"))
            .suggest(name, known)
            .help("a macro of a package is called with the package's name, and the package must be installed")
    }

    fn undefined(&self, expression: &str, scope: &dyn NodeScope) -> Diagnostic {
        let base = undefined_base(expression);
        if base.is_empty() {
            return Diagnostic::error("jinja-undefined", "an undefined value is used here");
        }
        let diagnostic = Diagnostic::error("jinja-undefined", format!("`{base}` is undefined"));
        if base.contains(['.', '[', '(']) {
            return diagnostic;
        }
        let known = self.macros.package_names().chain(context::names()).chain(self.macros.visible_names(scope.package()));
        diagnostic.suggest(base, known)
    }
}

fn trace_line(frame: &Frame, template: &TemplateText) -> String {
    match &frame.macro_name {
        Some(name) => format!("in macro {name} ({})", frame.location),
        None => format!("in {} ({})", template.name, frame.location),
    }
}

/// The errors of a chain, outermost first.
fn chain(error: &Error) -> Vec<&Error> {
    let mut all = vec![error];
    let mut next = std::error::Error::source(error);
    while let Some(current) = next {
        all.extend(current.downcast_ref::<Error>());
        next = current.source();
    }
    all
}

fn carried(error: &Error) -> Option<&Diagnostic> {
    let mut next = std::error::Error::source(error);
    while let Some(current) = next {
        if let Some(diagnostic) = current.downcast_ref::<Diagnostic>() {
            return Some(diagnostic);
        }
        next = current.source();
    }
    None
}

fn line_range(text: &str, line: usize) -> std::ops::Range<usize> {
    let start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(offset, _)| offset + 1),
    };
    start..start
}

fn text_of(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), sentence)
}

fn sentence(text: &str) -> String {
    text.trim_end_matches('.').to_string()
}

/// Where the expression begins that has `from` in it: the engine's ranges begin at the last operator of a chain like `a.b(c)`.
fn expression_start(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    if !matches!(bytes.get(from), Some(b'.' | b'[' | b'(')) {
        return from;
    }
    let mut at = from;
    let mut depth = 0usize;
    while at > 0 {
        match bytes[at - 1] {
            b')' | b']' => depth += 1,
            b'(' | b'[' if depth == 0 => break,
            b'(' | b'[' => depth -= 1,
            byte if depth == 0 && !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.') => break,
            _ => {}
        }
        at -= 1;
    }
    if text.is_char_boundary(at) { at } else { from }
}

/// What an access that failed was made on: `a.b` for `a.b.c`, `a` for `a[0]` and `a.f(x)`.
fn undefined_base(expression: &str) -> &str {
    let callee = callee(expression);
    let subject = if callee.len() < expression.len() { callee } else { expression };
    if let Some(open) = subject.strip_suffix(']').and_then(|_| subject.rfind('[')) {
        return &subject[..open];
    }
    match subject.rfind('.') {
        Some(dot) => &subject[..dot],
        None => subject,
    }
}

/// `f` of `f(x)`.
fn callee(expression: &str) -> &str {
    let trimmed = expression.trim();
    if !trimmed.ends_with(')') {
        return trimmed;
    }
    let mut depth = 0usize;
    for (index, byte) in trimmed.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth -= 1;
                if depth == 0 {
                    return &trimmed[..index];
                }
            }
            _ => {}
        }
    }
    trimmed
}
