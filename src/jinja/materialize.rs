//! Materialization blocks: which one a name means, and running it for a node.

use std::sync::Arc;

use minijinja::Value;

use super::context::Root;
use super::engine::Jinja;
use super::registry::BUILT_IN;
use super::{NodeScope, relation, table};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::name::{Relation, RelationType, UniqueId};
use crate::rows::Rows;

/// The materialization that a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMaterialization {
    pub macro_id: UniqueId,
    /// It comes with headwater, not with the project or a package.
    pub built_in: bool,
}

/// What a statement gave, as `load_result` has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementResult {
    pub message: String,
    pub code: Option<String>,
    pub rows_affected: Option<i64>,
    pub rows: Rows,
}

/// What running a materialization gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Materialized {
    /// The relations it says it made.
    pub relations: Vec<(Relation, Option<RelationType>)>,
    /// The result of the statement `main`, if there was one.
    pub main: Option<StatementResult>,
    /// What it wrote with `write(…)`: the text for `target/run`.
    pub written: Option<String>,
}

impl Jinja {
    /// The materialization `name` for this run's adapter. One for the adapter goes before one for a dialect it reads, and that
    /// before `default`; among equals the project's own goes before the built-in one, and that before a package's. A package's
    /// counts only where there is no built-in one, as dbt has it since 1.8.
    pub fn find_materialization(&self, name: &str) -> Option<FoundMaterialization> {
        let engine = self.engine();
        let root = engine.settings.project_name.as_str();
        let mut best: Option<(bool, FoundMaterialization)> = None;
        let mut core = None;
        for prefix in engine.macros.prefixes() {
            let wanted = format!("materialization_{name}_{prefix}");
            let found = |package: &str| {
                let index = engine.macros.in_package(package, &wanted)?;
                let macro_id = engine.macros.entry(index).source.unique_id.clone();
                Some(FoundMaterialization { macro_id, built_in: package == BUILT_IN })
            };
            let imported =
                || engine.macros.package_names().filter(|package| *package != root && *package != BUILT_IN).find_map(found);
            if let Some(own) = found(root) {
                best.get_or_insert((false, own));
            } else if let Some(package) = imported() {
                best.get_or_insert((true, package));
            }
            core = core.or_else(|| found(BUILT_IN));
            if let (None, Some(core)) = (&best, &core) {
                best = Some((false, core.clone()));
            }
        }
        match (best, core) {
            (Some((true, _)), Some(core)) if !engine.settings.package_materializations => Some(core),
            (best, core) => best.map(|(_, best)| best).or(core),
        }
    }

    /// Runs a materialization in a node's scope, which gives it `sql`, `model` and the hooks.
    pub fn materialize(&self, macro_id: &UniqueId, scope: Arc<dyn NodeScope>) -> Outcome<Materialized> {
        let Some(index) = self.engine().macros.index_of(macro_id.as_str()) else {
            return Diagnostic::error("macro-not-found", format!("there is no materialization `{macro_id}`")).fail();
        };
        // Of a test, dbt counts what its materialization calls among the node's macros; of other nodes, nothing.
        let is_test = scope.model().get_attr("resource_type").is_ok_and(|kind| kind.as_str() == Some("test"));
        let root = match is_test {
            true => Root::counting_within(self.engine().clone(), scope),
            false => Root::new(self.engine().clone(), scope),
        };
        let returned = self.call_index(index, &[], &root);
        let main = root.results().get("main").cloned().flatten().map(|result| statement_result(&result));
        root.clear();
        let relations = relations(&returned?, macro_id)?;
        let written = root.written();
        Ok(Materialized { relations, main, written })
    }
}

fn relations(returned: &Value, macro_id: &UniqueId) -> Outcome<Vec<(Relation, Option<RelationType>)>> {
    let name = macro_id.as_str().rsplit('.').next().unwrap_or_default();
    let name = name.strip_prefix("materialization_").and_then(|name| name.rsplit_once('_')).map_or(name, |(name, _)| name);
    if returned.as_str().is_some() || returned.is_none() || returned.is_undefined() {
        let message =
            format!("The materialization (\"{name}\") did not explicitly return a list of relations to add to the cache.");
        return Diagnostic::error("materialization-return", message)
            .help("end it with `{{ return({'relations': [target_relation]}) }}`")
            .fail();
    }
    let listed = returned.get_attr("relations").ok().filter(|listed| !listed.is_undefined());
    let Some(items) = listed.and_then(|listed| listed.try_iter().ok()) else {
        let message =
            format!("Invalid return value from materialization, expected a dict with key \"relations\", got: {returned}");
        return Diagnostic::error("materialization-return", message).fail();
    };
    items
        .map(|item| match relation::from_value(&item) {
            Some(value) => Ok((value.relation.clone(), value.kind)),
            None => {
                let message = format!("Invalid return value from materialization, \"relations\" contains non-relation: {item}");
                Diagnostic::error("materialization-return", message).fail()
            }
        })
        .collect()
}

/// A stored result as plain data. A response may be any value; the adapters' have `_message`, `code` and `rows_affected`.
fn statement_result(stored: &Value) -> StatementResult {
    let response = stored.get_attr("response").unwrap_or_default();
    let part = |name: &str| response.get_attr(name).ok().filter(|value| !value.is_undefined() && !value.is_none());
    let rows = stored.get_attr("table").map(|value| table::rows(&value)).unwrap_or_default();
    StatementResult {
        message: part("_message").unwrap_or_else(|| response.clone()).to_string(),
        code: part("code").map(|code| code.to_string()),
        rows_affected: part("rows_affected")
            .and_then(|rows| i64::try_from(rows.clone()).ok().or_else(|| rows.to_string().parse().ok())),
        rows,
    }
}
