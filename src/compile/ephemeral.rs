//! Ephemeral models: never built, but put as CTEs in front of the SQL of whoever reads them.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::source_map::{SourceMap, Traced};
use super::{CompileContext, CompileScope, CompiledNode, Extras, render_node};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::ExtraCte;
use crate::name::UniqueId;

/// The CTE's name for an ephemeral model of that alias.
pub(super) fn cte_name(alias: &str) -> String {
    format!("__dbt__cte__{alias}")
}

/// One ephemeral model's work, done once a run; others that need it wait.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<Outcome<Parts>>>);

/// An ephemeral model compiled: its own text, and its ancestors' CTEs.
#[derive(Clone)]
struct Parts {
    traced: Arc<Traced>,
    ctes: Vec<Cte>,
}

/// One CTE in front of a query.
#[derive(Clone)]
pub(super) struct Cte {
    pub id: UniqueId,
    pub name: String,
    pub traced: Arc<Traced>,
}

impl Cte {
    /// What stands before the model's text in the CTE.
    fn opening(&self) -> String {
        format!(" {} as (\n", self.name)
    }

    pub fn extra_cte(&self) -> ExtraCte {
        ExtraCte { id: self.id.clone(), sql: format!("{}{}\n)", self.opening(), self.traced.text) }
    }
}

/// The CTEs that the given ephemeral parents and their ephemeral ancestors make, ancestors first, each once.
pub(super) fn collect(parents: &[UniqueId], context: &Arc<CompileContext>) -> Outcome<Vec<Cte>> {
    let mut ctes: IndexMap<UniqueId, Cte> = IndexMap::new();
    for id in parents {
        let parts = parts_of(id, context)?;
        ctes.extend(parts.ctes.into_iter().map(|cte| (cte.id.clone(), cte)));
        let alias = context.manifest.nodes.get(id).map_or(id.as_str(), |node| &node.alias);
        ctes.insert(id.clone(), Cte { id: id.clone(), name: cte_name(alias), traced: parts.traced });
    }
    Ok(ctes.into_values().collect())
}

/// The text with its CTEs in front, and where each part of it came from.
pub(super) fn assemble(traced: &Traced, ctes: &[Cte]) -> (String, SourceMap) {
    let whole = 0..traced.text.len();
    if ctes.is_empty() {
        return (traced.text.clone(), SourceMap::of(traced));
    }
    let (at, before, after) = seam(&traced.text);
    let mut map = SourceMap::default();
    map.push(0, whole.start..at, traced);
    let mut sql = format!("{}{before}", &traced.text[..at]);
    for (index, cte) in ctes.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        sql.push_str(&cte.opening());
        map.push(sql.len(), 0..cte.traced.text.len(), &cte.traced);
        sql.push_str(&cte.traced.text);
        sql.push_str("\n)");
    }
    sql.push_str(after);
    map.push(sql.len(), at..whole.end, traced);
    sql.push_str(&traced.text[at..]);
    (sql, map)
}

fn parts_of(id: &UniqueId, context: &Arc<CompileContext>) -> Outcome<Parts> {
    let slot = {
        let mut slots = context.ephemerals.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(id.clone()).or_default().clone()
    };
    // Held while the model renders: a second reader waits instead of rendering again. The graph has no cycles, so no two
    // slots wait for each other.
    let mut done = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(outcome) = done.as_ref() {
        return outcome.clone();
    }
    let outcome = render_parts(id, context);
    *done = Some(outcome.clone());
    outcome
}

fn render_parts(id: &UniqueId, context: &Arc<CompileContext>) -> Outcome<Parts> {
    let Some(node) = context.manifest.nodes.get(id) else {
        return Diagnostic::error("ephemeral-missing", format!("ephemeral model `{id}` is not in the manifest")).fail();
    };
    let trace = |mut error: Box<Diagnostic>| {
        error.trace.push(format!("in ephemeral model {} ({})", node.name, node.original_file_path));
        error
    };
    let node = Arc::new(node.clone());
    let scope = Arc::new(CompileScope::of_node(&node, context, Extras::new()));
    let (traced, parents) = render_node(&node, scope).map_err(trace)?;
    Ok(Parts { traced: Arc::new(traced), ctes: collect(&parents, context)? })
}

/// Every ephemeral model that compiled, in the manifest's order.
pub(super) fn finished(context: &CompileContext) -> Vec<CompiledNode> {
    let slots = context.ephemerals.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = |(id, node): (&UniqueId, &crate::manifest::Node)| {
        let slot = slots.get(id)?;
        let done = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = done.as_ref()?.as_ref().ok()?;
        Some(CompiledNode::assembled(id, &parts.traced, &parts.ctes, node.relation()))
    };
    context.manifest.nodes.iter().filter_map(compiled).collect()
}

/// Puts CTEs in front of a query.
pub fn inject_ctes(sql: &str, ctes: &[ExtraCte]) -> String {
    if ctes.is_empty() {
        return sql.to_string();
    }
    let joined = ctes.iter().map(|cte| cte.sql.as_str()).collect::<Vec<_>>().join(", ");
    let (at, before, after) = seam(sql);
    format!("{}{before}{joined}{after}{}", &sql[..at], &sql[at..])
}

/// Where CTEs go into a query, and what stands before and after them; a `with` (or `with recursive`) that it begins with is
/// kept and extended.
///
/// The text form is dbt's: after an own `with`, the blanks that follow it, then the CTEs and `, `; otherwise
/// `with<CTEs> ` before the first character that is not blank.
fn seam(sql: &str) -> (usize, &'static str, &'static str) {
    match end_of_with(sql) {
        Some(at) => (at, "", ", "),
        None => (sql.len() - sql.trim_start().len(), "with", " "),
    }
}

/// The byte after the query's own `with`, its `recursive` and the blanks behind, if the query begins with one.
fn end_of_with(sql: &str) -> Option<usize> {
    let rest = skip_blanks_and_comments(sql);
    let rest = after_word(rest, "with")?.trim_start();
    let rest = after_word(rest, "recursive").map_or(rest, str::trim_start);
    Some(sql.len() - rest.len())
}

fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    (head.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

fn skip_blanks_and_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if rest.starts_with("--") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or("", |end| &rest[end + 2..])
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}
