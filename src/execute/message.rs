//! The words of failures: dbt's frame (`Database Error in model x (models/x.sql)`), then what went wrong, the place with its
//! line and a caret, and help.

use crate::adapter::AdapterError;
use crate::compile::SourceMap;
use crate::diagnostic::Diagnostic;
use crate::manifest::Node;
use crate::source::Location;

use super::RunRequest;

/// Why a node failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A mistake in the project's text.
    Compilation(Box<Diagnostic>),
    /// The engine refused a statement.
    Database { error: AdapterError, sent: Option<Sent> },
    /// The engine refused a statement of a materialization macro; `compiled` is the file of the node's SQL.
    Statement { error: Box<Diagnostic>, compiled: Option<String> },
    /// Anything else, in words.
    Runtime(String),
}

/// A statement that failed, and the compiled file whose text it holds.
#[derive(Debug)]
pub(super) struct Sent {
    pub sql: String,
    pub compiled: Option<CompiledFile>,
    /// Where the failing line was written, if that is known without a source map.
    pub location: Option<Location>,
}

#[derive(Debug)]
pub(super) struct CompiledFile {
    /// As people know it: `target/compiled/…`; nothing for a text that is in no file.
    pub path: Option<String>,
    pub sql: String,
    pub source_map: SourceMap,
}

impl Failure {
    /// The whole message for `node`, as results and the summary show it.
    pub fn message(&self, node: &Node, run: &RunRequest) -> String {
        let (kind, body) = self.body(run);
        let head = format!("{kind} Error in {} {} ({})", node.resource_type, node.name, node.original_file_path);
        framed(&head, &body)
    }

    /// The message where there is no node: operations.
    pub fn message_alone(&self, run: &RunRequest) -> String {
        let (kind, body) = self.body(run);
        framed(&format!("{kind} Error"), &body)
    }

    /// The same failure where the compiled text lies in another file.
    pub fn compiled_at(mut self, path: &str) -> Self {
        if let Self::Database { sent: Some(Sent { compiled: Some(file), .. }), .. } = &mut self {
            file.path = Some(path.to_string());
        }
        self
    }

    /// Without the frame: hooks put their own around it.
    pub fn body(&self, run: &RunRequest) -> (&'static str, String) {
        match self {
            Self::Compilation(diagnostic) => ("Compilation", diagnostic_text(diagnostic, run)),
            Self::Database { error, sent } => ("Database", database_text(error, sent.as_ref(), run)),
            Self::Statement { error, compiled } => ("Database", statement_text(error, compiled.as_deref())),
            Self::Runtime(message) => ("Runtime", message.clone()),
        }
    }
}

impl From<Box<Diagnostic>> for Failure {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self::Compilation(diagnostic)
    }
}

/// dbt's frame: the head, then every line two blanks in.
fn framed(head: &str, body: &str) -> String {
    let mut text = head.to_string();
    for line in body.split('\n') {
        text.push_str("\n  ");
        text.push_str(line);
    }
    text
}

fn diagnostic_text(diagnostic: &Diagnostic, run: &RunRequest) -> String {
    let mut text = diagnostic.message.clone();
    if let Some(location) = diagnostic.location.as_ref().filter(|location| location.line > 0) {
        text.push_str(&source_line(location, run));
    }
    for frame in &diagnostic.trace {
        text.push_str(&format!("\n{frame}"));
    }
    for help in &diagnostic.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    text
}

/// A line of the project's own text with a caret.
fn source_line(location: &Location, run: &RunRequest) -> String {
    // What lies in no file of the project (a built-in macro, an inline query) has no line to show.
    match run.world.read(&run.project.root.join(&*location.path)) {
        Ok(bytes) => caret(&location.path, &String::from_utf8_lossy(&bytes), (location.line, location.column)),
        Err(_) => format!("\n--> {location}"),
    }
}

/// The engine's words, and where the node's own SQL is; which macros sent the statement is of no use to whoever wrote the node.
fn statement_text(error: &Diagnostic, compiled: Option<&str>) -> String {
    let help = error.help.iter().map(|help| format!("\nhelp: {help}")).collect::<String>();
    let file = compiled.map(|path| format!("\ncompiled code at {path}")).unwrap_or_default();
    format!("{}{help}{file}", error.message)
}

fn database_text(error: &AdapterError, sent: Option<&Sent>, run: &RunRequest) -> String {
    let mut text = error.message.clone();
    if let Some((sent, position)) = sent.zip(error.position) {
        text.push_str(&excerpt(sent, position, run));
    }
    if let Some(help) = &error.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    if let Some(path) = sent.and_then(|sent| sent.compiled.as_ref()?.path.as_ref()) {
        text.push_str(&format!("\ncompiled code at {path}"));
    }
    text
}

/// The line at `position` with a caret: of the file it was written in where the source map knows it, else of the compiled
/// file where the place lies in its text, else of the statement sent.
fn excerpt(sent: &Sent, position: (u32, u32), run: &RunRequest) -> String {
    if let Some(location) = &sent.location {
        return source_line(location, run);
    }
    let Some(file) = &sent.compiled else { return caret("statement", &sent.sql, position) };
    let Some(place) = place_in(&sent.sql, &file.sql, position) else { return caret("statement", &sent.sql, position) };
    let origin = file.source_map.origin(&file.sql, place, &run.manifest).filter(|origin| origin.location.line > 0);
    let Some(origin) = origin else {
        return caret(file.path.as_deref().unwrap_or("statement"), &file.sql, place);
    };
    let mut text = source_line(&origin.location, run);
    for frame in &origin.trace {
        text.push_str(&format!("\n{frame}"));
    }
    if !origin.trace.is_empty() {
        // The line of the file only calls what gave the SQL: that is shown too.
        text.push_str(&caret(file.path.as_deref().unwrap_or("statement"), &file.sql, place));
    }
    text
}

/// A place of the statement as a place of the text it holds.
fn place_in(statement: &str, text: &str, (line, column): (u32, u32)) -> Option<(u32, u32)> {
    if text.is_empty() {
        return None;
    }
    let before = &statement[..statement.find(text)?];
    let lines = u32::try_from(before.matches('\n').count()).ok()?;
    let indent = u32::try_from(before.rsplit('\n').next().map_or(0, |last| last.chars().count())).ok()?;
    let line_in_text = line.checked_sub(lines).filter(|line| *line > 0)?;
    let column = if line_in_text == 1 { column.checked_sub(indent).filter(|column| *column > 0)? } else { column };
    (line_in_text as usize <= text.lines().count()).then_some((line_in_text, column))
}

fn caret(name: &str, text: &str, (line, column): (u32, u32)) -> String {
    let Some(shown) = text.lines().nth(line.saturating_sub(1) as usize) else {
        return format!("\n  --> {name}:{line}:{column}");
    };
    // Tabs count as one column, so they are shown as one.
    let shown = shown.replace('\t', " ");
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let blanks = " ".repeat(column.saturating_sub(1) as usize);
    format!("\n{gutter}--> {name}:{line}:{column}\n{gutter} |\n{number} | {shown}\n{gutter} | {blanks}^")
}
