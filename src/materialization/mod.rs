//! Materializations: what has to be done to the database so that a node stands there. One file a kind, one row in
//! [`MATERIALIZATIONS`]; each is a pure function of the node, its SQL and what the database holds now.

pub mod contract;
mod data_test;
mod ephemeral;
mod function;
mod incremental;
mod layout;
mod materialized_view;
mod seed;
mod snapshot;
mod table;
mod view;

use std::path::Path;

use serde_json::Value as Json;

use crate::adapter::{Capabilities, Operation, TableOptions};
use crate::compile::{Batch, CompiledNode};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Node;
use crate::name::{Relation, RelationType, ResourceType};
use crate::rows::ColumnType;

pub use data_test::{Counts, counts, judged, stores_failures};
pub use incremental::{is_microbatch, strategy_macro};
pub use seed::load as seed_load;
pub use snapshot::{SnapshotSql, meta_columns};

use layout::Layout;

/// Every materialization. Another kind is a file and a row.
pub const MATERIALIZATIONS: &[Materialization] = &[
    Materialization { name: "view", facts: |_| Facts::Nothing, plan: view::plan },
    Materialization { name: "table", facts: |_| Facts::Nothing, plan: table::plan },
    Materialization { name: "incremental", facts: |_| Facts::Columns, plan: incremental::plan },
    Materialization { name: "materialized_view", facts: |_| Facts::Nothing, plan: materialized_view::plan },
    Materialization { name: "function", facts: |_| Facts::Nothing, plan: function::plan },
    Materialization { name: "ephemeral", facts: |_| Facts::Nothing, plan: ephemeral::plan },
    Materialization { name: "seed", facts: |_| Facts::Kind, plan: seed::plan },
    Materialization { name: "snapshot", facts: |_| Facts::Snapshot, plan: snapshot::plan },
    Materialization { name: "test", facts: |_| Facts::Nothing, plan: data_test::plan },
];

/// One kind of materialization.
pub struct Materialization {
    pub name: &'static str,
    /// What it has to know of the database before it can decide.
    pub facts: fn(&Node) -> Facts,
    pub plan: fn(&Input<'_>) -> Outcome<Work>,
}

/// How much of the database a materialization has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facts {
    Nothing,
    /// What the relation is.
    Kind,
    /// That, its columns, and the columns the query gives.
    Columns,
    /// What the relation is, its columns, and what the strategy's macros make of both.
    Snapshot,
}

/// What the database holds under the node's name, and what its query would give. Fetched before deciding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelationState {
    pub existing: Option<RelationType>,
    pub columns: Vec<ColumnType>,
    pub query_columns: Vec<ColumnType>,
    /// Snapshots only.
    pub snapshot: Option<SnapshotSql>,
}

/// Flags of the command line that change what is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches {
    pub full_refresh: bool,
    pub store_failures: bool,
}

/// Everything a materialization decides from.
pub struct Input<'a> {
    pub node: &'a Node,
    pub compiled: &'a CompiledNode,
    pub state: &'a RelationState,
    pub capabilities: &'a Capabilities,
    pub switches: Switches,
    /// The project's own macro for the node's incremental strategy, if it has one.
    pub strategy_macro: Option<String>,
    /// The batch of a microbatch model that this work is about.
    pub batch: Option<&'a Batch>,
}

/// What is to be done: operations in order (the last one's effect is the node's message), then for tests the query that counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    pub operations: Vec<Operation>,
    pub check: Option<Check>,
    /// What people should know, and that stops nothing.
    pub warnings: Vec<Diagnostic>,
    /// A macro of the project that writes what comes after the operations.
    pub strategy: Option<StrategyCall>,
}

/// A call of `get_incremental_<name>_sql`, the project's own way to put new rows into a table.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyCall {
    pub macro_name: String,
    /// Holds the new rows; dropped when the macro's statements are done.
    pub temp: Relation,
    /// The columns to write.
    pub columns: Vec<ColumnType>,
    pub unique_key: Json,
    pub predicates: Json,
}

/// A test's counting query: one row of failures, should_warn, should_error.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub sql: String,
}

impl Work {
    fn of(operation: Operation) -> Self {
        Self { operations: vec![operation], ..Self::default() }
    }
}

impl Input<'_> {
    /// dbt's `should_full_refresh()`: the config wins over the flag. Only a microbatch model's first batch builds anew.
    pub fn full_refresh(&self) -> bool {
        if self.batch.is_some_and(|batch| !batch.is_first) {
            return false;
        }
        self.node.config_bool("full_refresh").unwrap_or(self.switches.full_refresh)
    }

    fn table_as(&self) -> Operation {
        Operation::CreateTableAs {
            relation: self.compiled.relation.clone(),
            sql: self.compiled.sql.clone(),
            options: table_options(self.node),
        }
    }
}

/// The materialization of that name; an unknown one is the project's mistake.
pub fn find(node: &Node) -> Outcome<&'static Materialization> {
    let name = match node.resource_type {
        ResourceType::Test => "test",
        ResourceType::Seed => "seed",
        ResourceType::Snapshot => "snapshot",
        _ => node.materialized(),
    };
    let names = || MATERIALIZATIONS.iter().map(|kind| kind.name);
    MATERIALIZATIONS.iter().find(|kind| kind.name == name).map_or_else(
        || {
            Diagnostic::error(
                "unknown-materialization",
                format!("No materialization '{name}' was found for adapter (searched types 'default'): {}", node.unique_id),
            )
            .at(node.location.clone())
            .suggest(name, names())
            .help(format!(
                "materializations here: {}",
                names().filter(|kind| !matches!(*kind, "test" | "seed" | "snapshot")).collect::<Vec<_>>().join(", ")
            ))
            .fail()
        },
        Ok,
    )
}

/// Where a seed's CSV file lies.
fn seed_file(node: &Node) -> std::path::PathBuf {
    Path::new(node.root_path.as_deref().unwrap_or_default()).join(&node.original_file_path)
}

/// `persist_docs: {relation: …, columns: …}`.
fn persists(node: &Node, what: &str) -> bool {
    node.config.get("persist_docs").and_then(|docs| docs.get(what)).and_then(Json::as_bool).unwrap_or(false)
}

fn description(node: &Node) -> Option<String> {
    (persists(node, "relation") && !node.description.is_empty()).then(|| node.description.clone())
}

fn column_descriptions(node: &Node) -> Vec<(String, String)> {
    let described = node.columns.values().filter(|column| persists(node, "columns") && !column.description.is_empty());
    described.map(|column| (column.name.clone(), column.description.clone())).collect()
}

/// `persist_docs`: the comments a relation gets after what was planned, where that does not carry them already.
pub fn described(input: &Input<'_>, planned: &Work) -> Option<Operation> {
    if matches!(planned.operations.last(), None | Some(Operation::CreateTableAs { .. } | Operation::CreateFunction { .. }))
        || planned.check.is_some()
    {
        return None;
    }
    let (description, column_descriptions) = (description(input.node), column_descriptions(input.node));
    let relation = input.compiled.relation.clone();
    let says = description.is_some() || !column_descriptions.is_empty();
    says.then_some(Operation::Describe { relation, description, column_descriptions })
}

fn table_options(node: &Node) -> TableOptions {
    let Layout { partition_by, cluster_by, .. } = layout::layout(node);
    TableOptions {
        partition_by,
        cluster_by,
        description: description(node),
        column_descriptions: column_descriptions(node),
        constraints: contract::enforced_constraints(node),
    }
}

/// A config that may be one string or a list of them; `{field: x}` counts as `x`.
fn strings(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::String(text)) if !text.is_empty() => vec![text.clone()],
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).map(str::to_string).collect(),
        Some(Json::Object(map)) => map.get("field").and_then(Json::as_str).map(str::to_string).into_iter().collect(),
        _ => Vec::new(),
    }
}
