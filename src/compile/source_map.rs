//! The way back from a node's SQL to the files it was written in: the node's own, its ephemeral ancestors', macros'.

use std::sync::Arc;

use crate::jinja::{Origins, Rendered};
use crate::manifest::{Macro, Manifest};
use crate::name::UniqueId;
use crate::source::Location;

/// The package of the macros that no file of the project holds.
const BUILT_IN: &str = "dbt";

/// Which template gave which part of a compiled text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMap {
    /// In the order of the text; what lies between is ours (`with`, the parentheses of a CTE).
    pieces: Vec<Piece>,
}

/// `start..end` of the compiled text is what `origins` gave from its byte `from` on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    start: usize,
    end: usize,
    from: usize,
    /// The node whose text this is.
    node: UniqueId,
    origins: Arc<Origins>,
}

/// A place in the project's files that a place in compiled SQL leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub location: Location,
    /// The node whose text it is: the compiled node, or an ephemeral ancestor.
    pub node: UniqueId,
    /// What lies between: `in macro cents_to_dollars (macros/cents.sql:2:3)`.
    pub trace: Vec<String>,
}

/// One template's text, kept with the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traced {
    pub text: String,
    pub node: UniqueId,
    pub origins: Arc<Origins>,
}

impl Traced {
    pub fn new(rendered: Rendered, node: &UniqueId) -> Self {
        Self { text: rendered.text, node: node.clone(), origins: Arc::new(rendered.origins) }
    }
}

impl SourceMap {
    /// The map of a text that is one template's and nothing else.
    pub(super) fn of(traced: &Traced) -> Self {
        let mut map = Self::default();
        map.push(0, 0..traced.text.len(), traced);
        map
    }

    /// The bytes `part` of `traced` stand in the compiled text from `start` on.
    pub(super) fn push(&mut self, start: usize, part: std::ops::Range<usize>, traced: &Traced) {
        let (node, origins) = (traced.node.clone(), traced.origins.clone());
        self.pieces.push(Piece { start, end: start + part.len(), from: part.start, node, origins });
    }

    /// Where the character at `line` and `column` (from 1, in characters) of the compiled text `sql` was written.
    pub fn origin(&self, sql: &str, (line, column): (u32, u32), manifest: &Manifest) -> Option<Origin> {
        let offset = offset_of(sql, line, column)?;
        let piece = self.pieces.get(self.pieces.partition_point(|piece| piece.start <= offset).checked_sub(1)?)?;
        let place = piece.origins.place(piece.from + offset.min(piece.end) - piece.start)?;
        let shown = sql.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        let called = place.expression.as_deref().and_then(|expression| in_macro(expression, shown, manifest, &piece.node));
        Some(Origin { location: place.location, node: piece.node.clone(), trace: called.into_iter().collect() })
    }
}

/// The byte at a line and column, both from 1.
fn offset_of(text: &str, line: u32, column: u32) -> Option<usize> {
    let start = match line {
        0 => return None,
        1 => 0,
        _ => text.match_indices('\n').nth(line as usize - 2)?.0 + 1,
    };
    let rest = &text[start..];
    let within = rest.char_indices().nth(column.saturating_sub(1) as usize).map_or(rest.len(), |(at, _)| at);
    Some(start + within)
}

/// A line of trace for the macro that an expression calls, with the line of it, or of a macro it calls in turn, that holds
/// the text `shown`. Only text that stands in exactly one place of them is taken for found.
fn in_macro(expression: &str, shown: &str, manifest: &Manifest, node: &UniqueId) -> Option<String> {
    let called = called_macro(expression, manifest, node)?;
    let mut waiting = vec![called];
    let mut seen: Vec<&UniqueId> = vec![&called.unique_id];
    let mut found: Vec<(&Macro, u32, u32)> = Vec::new();
    let wanted = shown.trim();
    while let Some(current) = waiting.pop() {
        for (index, line) in current.macro_sql.lines().enumerate() {
            if !wanted.is_empty() && line.trim() == wanted {
                let indent = line.chars().take_while(|c| c.is_whitespace()).count();
                found.push((current, index as u32 + 1, indent as u32 + 1));
            }
        }
        for next in current.depends_on.macros.iter().filter_map(|id| manifest.macros.get(id)) {
            if !seen.contains(&&next.unique_id) {
                seen.push(&next.unique_id);
                waiting.push(next);
            }
        }
    }
    if called.package_name == BUILT_IN {
        return Some(format!("in macro {} (built in)", called.name));
    }
    let (within, location) = match found.as_slice() {
        [(within, line, column)] => (*within, within.location.offset_by(*line, *column)),
        _ => (called, called.location.clone()),
    };
    Some(format!("in macro {} ({location})", within.name))
}

/// The macro behind `name(…)` or `package.name(…)` as `node` sees it.
fn called_macro<'m>(expression: &str, manifest: &'m Manifest, node: &UniqueId) -> Option<&'m Macro> {
    let (callee, _) = expression.split_once('(')?;
    let own = node.as_str().split('.').nth(1).unwrap_or_default();
    match callee.trim().split_once('.') {
        Some((package, name)) => manifest.macros.get(&UniqueId::from(format!("macro.{package}.{name}"))),
        None => {
            let name = callee.trim();
            let of_own = manifest.macros.get(&UniqueId::from(format!("macro.{own}.{name}")));
            of_own.or_else(|| manifest.macros.values().find(|candidate| candidate.name == name))
        }
    }
}
