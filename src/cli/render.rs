//! How a diagnostic looks on the console: what, where, the line itself with a mark under the place, and what to do.

use std::path::Path;

use crate::cli::style::Style;
use headwater::diagnostic::{Diagnostic, Severity};
use headwater::source::Location;

/// The diagnostic as lines of text, with its source line read from below `root`.
pub fn diagnostic(diagnostic: &Diagnostic, root: &Path, style: Style) -> String {
    let (word, paint): (_, fn(Style, &str) -> String) = match diagnostic.severity {
        Severity::Error => ("error", Style::red),
        Severity::Warning => ("warning", Style::yellow),
    };
    let mut text = format!("{}: {}", paint(style, &format!("{word}[{}]", diagnostic.code)), diagnostic.message);
    if let Some(location) = &diagnostic.location {
        text.push_str(&place(location, root, style));
    }
    for frame in &diagnostic.trace {
        text.push_str(&format!("\n   {frame}"));
    }
    for help in &diagnostic.help {
        text.push_str(&format!("\n   {} {help}", style.green("help:")));
    }
    text
}

fn place(location: &Location, root: &Path, style: Style) -> String {
    let mut text = format!("\n  {} {location}", style.dim("-->"));
    let Some(line) = source_line(location, root) else {
        return text;
    };
    let number = location.line.to_string();
    let gutter = " ".repeat(number.len());
    let mark = " ".repeat(location.column.saturating_sub(1) as usize);
    let bar = style.dim("|");
    text.push_str(&format!("\n {gutter} {bar}\n {} {bar} {line}\n {gutter} {bar} {mark}{}", style.dim(&number), style.red("^")));
    text
}

/// The line a location names, tabs as single spaces so that the mark stands under its place; very long lines are left out.
fn source_line(location: &Location, root: &Path) -> Option<String> {
    let bytes = std::fs::read(root.join(&*location.path)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().nth(location.line.checked_sub(1)? as usize)?;
    (line.chars().count() <= 400).then(|| line.replace('\t', " "))
}
