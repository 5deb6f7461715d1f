//! `incremental`: built once, then only new rows are written: appended, merged by key, or put in place of rows with their keys.

use super::{Input, Work, strings};
use crate::adapter::{IncrementalWrite, Operation};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Node;
use crate::name::{RelationType, quote_identifier};
use crate::rows::ColumnType;

const STRATEGIES: [&str; 3] = ["append", "merge", "delete+insert"];
const SCHEMA_CHANGES: [&str; 4] = ["ignore", "append_new_columns", "sync_all_columns", "fail"];

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    // A view of the name is replaced, as with a full refresh.
    if input.full_refresh() || input.state.existing != Some(RelationType::Table) {
        return Ok(Work::of(input.table_as()));
    }
    // As in dbt, a strategy that is not known here is a mistake only once it is asked for.
    let strategy = Strategy::of(input)?;
    let change = SchemaChange::of(input)?;
    let mut operations = change.operations(input)?;
    let target = change.target_columns(input);
    let write = strategy.write(input, change.written_columns(input))?;
    let sql = shape(input, &target)?;
    operations.push(Operation::Write { relation: input.compiled.relation.clone(), sql, write });
    Ok(Work { operations, check: None })
}

enum Strategy {
    Append,
    Merge,
    DeleteInsert,
}

impl Strategy {
    /// The configured one; by default merge where there is a unique key, else append.
    fn of(input: &Input<'_>) -> Outcome<Self> {
        let has_key = !unique_key(input.node).is_empty();
        match input.node.config_str("incremental_strategy") {
            None | Some("default") if has_key && input.capabilities.merge => Ok(Self::Merge),
            None | Some("default") if has_key => Ok(Self::DeleteInsert),
            None | Some("default" | "append") => Ok(Self::Append),
            Some("merge") if input.capabilities.merge => Ok(Self::Merge),
            Some("delete+insert") => Ok(Self::DeleteInsert),
            Some(other) => unknown_strategy(input.node, other),
        }
    }

    /// `written`: the columns that come from the query; a merge updates no others.
    fn write(&self, input: &Input<'_>, written: Option<Vec<String>>) -> Outcome<IncrementalWrite> {
        let keys = unique_key(input.node);
        let predicates = strings(input.node.config.get("predicates"));
        let predicates =
            if predicates.is_empty() { strings(input.node.config.get("incremental_predicates")) } else { predicates };
        Ok(match self {
            // Without a key nothing ever matches: every row is inserted.
            _ if keys.is_empty() => IncrementalWrite::Append,
            Self::Append => IncrementalWrite::Append,
            Self::Merge => IncrementalWrite::Merge { keys, update_columns: update_columns(input, written)?, predicates },
            Self::DeleteInsert => IncrementalWrite::DeleteInsert { keys, predicates },
        })
    }
}

fn unknown_strategy<T>(node: &Node, name: &str) -> Outcome<T> {
    Diagnostic::error("incremental-strategy", format!("The incremental strategy '{name}' is not valid for this adapter"))
        .at(node.location.clone())
        .suggest(name, STRATEGIES)
        .help(format!("strategies here: {}", STRATEGIES.join(", ")))
        .fail()
}

fn unique_key(node: &Node) -> Vec<String> {
    strings(node.config.get("unique_key"))
}

/// What a merge updates in rows that match; none means every column.
fn update_columns(input: &Input<'_>, written: Option<Vec<String>>) -> Outcome<Option<Vec<String>>> {
    let list = |key: &str| Some(strings(input.node.config.get(key))).filter(|columns| !columns.is_empty());
    match (list("merge_update_columns"), list("merge_exclude_columns")) {
        (Some(_), Some(_)) => Diagnostic::error(
            "merge-columns",
            "`merge_update_columns` and `merge_exclude_columns` are both set; only one of them can say what a merge updates",
        )
        .at(input.node.location.clone())
        .fail(),
        (Some(update), None) => Ok(Some(update)),
        (None, Some(exclude)) => {
            let exclude: Vec<String> = exclude.iter().map(|name| name.to_lowercase()).collect();
            let all = written.unwrap_or_else(|| names(&input.state.columns));
            Ok(Some(all.into_iter().filter(|name| !exclude.contains(&name.to_lowercase())).collect()))
        }
        (None, None) => Ok(written),
    }
}

/// `on_schema_change`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SchemaChange {
    Ignore,
    Append,
    Sync,
    Fail,
}

impl SchemaChange {
    fn of(input: &Input<'_>) -> Outcome<Self> {
        match input.node.config_str("on_schema_change").unwrap_or("ignore") {
            "ignore" => Ok(Self::Ignore),
            "append_new_columns" => Ok(Self::Append),
            "sync_all_columns" => Ok(Self::Sync),
            "fail" => Ok(Self::Fail),
            other => Diagnostic::error("on-schema-change", format!("Invalid value for on_schema_change ({other}) specified"))
                .at(input.node.location.clone())
                .suggest(other, SCHEMA_CHANGES)
                .help(format!("expected one of {}", SCHEMA_CHANGES.join(", ")))
                .fail(),
        }
    }

    /// What changes the table before rows are written.
    fn operations(self, input: &Input<'_>) -> Outcome<Vec<Operation>> {
        let (added, removed) = (new_columns(input), gone_columns(input));
        let relation = input.compiled.relation.clone();
        let mut operations = Vec::new();
        match self {
            Self::Fail if !added.is_empty() || !removed.is_empty() => return out_of_sync(input, &added, &removed),
            Self::Ignore | Self::Fail => {}
            Self::Append | Self::Sync => {
                if !added.is_empty() {
                    operations.push(Operation::AddColumns { relation: relation.clone(), columns: added });
                }
                if self == Self::Sync && !removed.is_empty() {
                    operations.push(Operation::DropColumns { relation, columns: names(&removed) });
                }
            }
        }
        Ok(operations)
    }

    /// The table's columns once `operations` are done, in order.
    fn target_columns(self, input: &Input<'_>) -> Vec<String> {
        let mut columns = names(&input.state.columns);
        if matches!(self, Self::Append | Self::Sync) {
            columns.extend(names(&new_columns(input)));
        }
        if self == Self::Sync {
            let gone = names(&gone_columns(input));
            columns.retain(|name| !gone.contains(name));
        }
        columns
    }

    /// The columns the query fills, where that is not all of the table's.
    fn written_columns(self, input: &Input<'_>) -> Option<Vec<String>> {
        (self == Self::Append && !gone_columns(input).is_empty()).then(|| names(&input.state.query_columns))
    }
}

/// The query with exactly the table's columns, in the table's order. As written where it gives them already.
fn shape(input: &Input<'_>, target: &[String]) -> Outcome<String> {
    let given = names(&input.state.query_columns);
    if given == target {
        return Ok(input.compiled.sql.clone());
    }
    let missing: Vec<&String> = target.iter().filter(|name| !given.contains(name)).collect();
    let may_be_absent = input.node.config_str("on_schema_change") == Some("append_new_columns");
    if let (Some(name), false) = (missing.first(), may_be_absent) {
        return Diagnostic::error(
            "column-gone",
            format!("the query gives no column `{name}`, which {} has", input.compiled.relation),
        )
        .at(input.node.location.clone())
        .help("select it, set `on_schema_change: sync_all_columns` to drop it from the table, or run with --full-refresh")
        .fail();
    }
    let column = |name: &String| {
        let quoted = quote_identifier(name);
        if given.contains(name) { quoted } else { format!("null as {quoted}") }
    };
    let columns = target.iter().map(column).collect::<Vec<_>>().join(", ");
    Ok(format!("select {columns} from (\n{}\n) dbt_incoming", input.compiled.sql))
}

fn out_of_sync<T>(input: &Input<'_>, added: &[ColumnType], removed: &[ColumnType]) -> Outcome<T> {
    let list = |columns: &[ColumnType]| names(columns).join(", ");
    Diagnostic::error(
        "schema-out-of-sync",
        format!(
            "the query and the table no longer have the same columns\nonly in the query: [{}]\nonly in the table: [{}]",
            list(added),
            list(removed)
        ),
    )
    .at(input.node.location.clone())
    .help("set `on_schema_change` to append_new_columns or sync_all_columns, or run with --full-refresh to build the table anew")
    .fail()
}

fn new_columns(input: &Input<'_>) -> Vec<ColumnType> {
    missing_from(&input.state.query_columns, &input.state.columns)
}

fn gone_columns(input: &Input<'_>) -> Vec<ColumnType> {
    missing_from(&input.state.columns, &input.state.query_columns)
}

fn missing_from(columns: &[ColumnType], others: &[ColumnType]) -> Vec<ColumnType> {
    let known: std::collections::HashSet<&str> = others.iter().map(|column| column.name.as_str()).collect();
    columns.iter().filter(|column| !known.contains(column.name.as_str())).cloned().collect()
}

fn names(columns: &[ColumnType]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}
