//! `snapshot`: a table of all versions a row has had. The strategy's macros say which versions end and begin; the table takes
//! them in with one commit. `--full-refresh` means nothing here: what was once seen cannot be seen again.

use serde_json::Value as Json;

use super::{Input, Work, table_options};
use crate::adapter::{Operation, VersionColumns};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Node;
use crate::name::RelationType;

/// The columns a snapshot adds to those of its query, by dbt's names for them.
pub const META_COLUMNS: [&str; 5] = ["dbt_valid_to", "dbt_valid_from", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted"];

/// What the macros made of a snapshot's strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotSql {
    /// The whole first content of the table, or the changes of one that is there.
    pub sql: String,
    /// Whether rows that are gone get a version that says so.
    pub marks_deleted: bool,
    /// The expression of the time it is, `snapshot_get_time`.
    pub now: String,
}

/// dbt's name of each meta column and the node's own, `snapshot_meta_column_names`.
pub fn meta_columns(node: &Node) -> [(&'static str, String); 5] {
    let own = node.config.get("snapshot_meta_column_names");
    META_COLUMNS.map(|name| {
        let own = own.and_then(|own| own.get(name)).and_then(Json::as_str).filter(|own| !own.is_empty());
        (name, own.unwrap_or(name).to_string())
    })
}

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    let (node, relation) = (input.node, input.compiled.relation.clone());
    let given = input.state.snapshot.as_ref().expect("a snapshot's facts hold what its macros made");
    let sql = given.sql.clone();
    match input.state.existing {
        None => return Ok(Work::of(Operation::CreateTableAs { relation, sql, options: table_options(node) })),
        Some(RelationType::Table) => {}
        Some(other) => return wrong_kind(input, other),
    }
    let names = meta_columns(node);
    let name = |meta: &str| names.iter().find(|(known, _)| *known == meta).map(|(_, own)| own.clone()).unwrap_or_default();
    let mut needed = vec![name("dbt_scd_id"), name("dbt_valid_from"), name("dbt_valid_to")];
    if given.marks_deleted {
        needed.push(name("dbt_is_deleted"));
    }
    needed.retain(|wanted| !input.state.columns.iter().any(|column| column.name.eq_ignore_ascii_case(wanted)));
    if !needed.is_empty() {
        return no_snapshot(node, &needed);
    }
    let versions = VersionColumns {
        id: name("dbt_scd_id"),
        valid_to: name("dbt_valid_to"),
        current: node.config_str("dbt_valid_to_current").map(str::to_string),
        dropped: dropped(node),
    };
    Ok(Work::of(Operation::Snapshot { relation, sql, versions }))
}

/// What the changes hold beside the table's columns.
fn dropped(node: &Node) -> Vec<String> {
    let keys = node.config.get("unique_key").and_then(Json::as_array).map_or(0, Vec::len);
    let numbered = (1..=keys).map(|number| format!("dbt_unique_key_{number}"));
    ["dbt_change_type".to_string(), "dbt_unique_key".to_string()].into_iter().chain(numbered).collect()
}

fn wrong_kind<T>(input: &Input<'_>, found: RelationType) -> Outcome<T> {
    let relation = &input.compiled.relation;
    let found = serde_json::to_value(found).ok().and_then(|kind| kind.as_str().map(str::to_string)).unwrap_or_default();
    Diagnostic::error("relation-type", format!("Trying to create table {relation}, but it currently exists as a {found}."))
        .at(input.node.location.clone())
        .help("drop it, or give the snapshot another `alias`")
        .fail()
}

fn no_snapshot<T>(node: &Node, missing: &[String]) -> Outcome<T> {
    let missing = missing.join("\", \"");
    Diagnostic::error("snapshot-target", format!("Snapshot target is missing configured columns (missing \"{missing}\")."))
        .at(node.location.clone())
        .help("the table is no snapshot, or was made with other `snapshot_meta_column_names` or `hard_deletes`: rename it or alter it")
        .fail()
}
