//! `incremental`: built once, then only new rows are written: appended, merged by key, put in place of rows with their keys, in
//! place of whole partitions, or of a stretch of time.

use super::{Input, StrategyCall, Work, layout, strings};
use crate::adapter::{IncrementalWrite, Operation, TableOptions};
use crate::compile::Batch;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Manifest, Node};
use crate::name::{Relation, RelationType, ResourceType, quote_identifier};
use crate::rows::ColumnType;

const STRATEGIES: [&str; 5] = ["append", "merge", "delete+insert", "insert_overwrite", "microbatch"];
const SCHEMA_CHANGES: [&str; 4] = ["ignore", "append_new_columns", "sync_all_columns", "fail"];
/// The package of the built-in macros.
const BUILT_IN: &str = "dbt";

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    if is_microbatch(input.node) && input.strategy_macro.is_none() {
        check_microbatch(input.node)?;
    }
    // A view of the name is replaced, as with a full refresh.
    if input.full_refresh() || input.state.existing != Some(RelationType::Table) {
        return Ok(Work::of(input.table_as()));
    }
    let (change, warnings) = SchemaChange::of(input);
    if let Some(macro_name) = &input.strategy_macro {
        let operations = change.operations(input)?;
        return Ok(Work { warnings, ..custom(input, macro_name, change, operations) });
    }
    // As in dbt, a strategy that is not known here is a mistake only once it is asked for.
    let strategy = Strategy::of(input)?;
    let mut operations = change.operations(input)?;
    let target = change.target_columns(input);
    let write = strategy.write(input, change.written_columns(input))?;
    let sql = shape(input, &target)?;
    operations.push(Operation::Write { relation: input.compiled.relation.clone(), sql, write });
    Ok(Work { operations, warnings, ..Work::default() })
}

/// Whether the node is built batch by batch.
pub fn is_microbatch(node: &Node) -> bool {
    node.resource_type == ResourceType::Model
        && node.materialized() == "incremental"
        && node.config_str("incremental_strategy") == Some("microbatch")
}

/// The macro `get_incremental_<strategy>_sql` that the node's package or the root project defines for the node's strategy.
pub fn strategy_macro(node: &Node, manifest: &Manifest) -> Option<String> {
    if node.resource_type != ResourceType::Model || node.materialized() != "incremental" {
        return None;
    }
    let name = format!("get_incremental_{}_sql", node.config_str("incremental_strategy").unwrap_or("default").replace('+', "_"));
    let packages = [node.package_name.as_str(), manifest.project_name.as_str()];
    let defined =
        |package: &&str| *package != BUILT_IN && manifest.macros.contains_key(format!("macro.{package}.{name}").as_str());
    packages.iter().any(defined).then_some(name)
}

/// The new rows in a table of their own, for a macro that moves them.
fn custom(input: &Input<'_>, macro_name: &str, change: SchemaChange, mut operations: Vec<Operation>) -> Work {
    let relation = &input.compiled.relation;
    let name = format!("{}__dbt_tmp", relation.identifier);
    let temp = Relation::new(relation.database.as_deref(), relation.schema.as_deref(), &name);
    operations.push(Operation::CreateTableAs {
        relation: temp.clone(),
        sql: input.compiled.sql.clone(),
        options: TableOptions::default(),
    });
    let columns = if change == SchemaChange::Ignore { &input.state.columns } else { &input.state.query_columns };
    let config = |key: &str| input.node.config.get(key).filter(|value| !value.is_null()).cloned();
    let strategy = StrategyCall {
        macro_name: macro_name.to_string(),
        temp,
        columns: columns.clone(),
        unique_key: config("unique_key").unwrap_or_default(),
        predicates: config("predicates").or_else(|| config("incremental_predicates")).unwrap_or_default(),
    };
    Work { operations, strategy: Some(strategy), ..Work::default() }
}

enum Strategy {
    Append,
    Merge,
    DeleteInsert,
    InsertOverwrite,
    Microbatch,
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
            Some("insert_overwrite") if input.capabilities.merge => Ok(Self::InsertOverwrite),
            Some("microbatch") => Ok(Self::Microbatch),
            Some(other) => unknown_strategy(input.node, other),
        }
    }

    /// `written`: the columns that come from the query; a merge updates no others.
    fn write(&self, input: &Input<'_>, written: Option<Vec<String>>) -> Outcome<IncrementalWrite> {
        let keys = unique_key(input.node);
        let predicates = predicates(input.node);
        Ok(match (self, input.batch) {
            (Self::InsertOverwrite, _) => IncrementalWrite::InsertOverwrite { keys: layout::layout(input.node).overwrite_by },
            (Self::Microbatch, Some(batch)) => replace_batch(input.node, batch, &predicates)?,
            // Without a key nothing ever matches: every row is inserted.
            _ if keys.is_empty() => IncrementalWrite::Append,
            (Self::Append | Self::Microbatch, _) => IncrementalWrite::Append,
            (Self::Merge, _) => IncrementalWrite::Merge { keys, update_columns: update_columns(input, written)?, predicates },
            (Self::DeleteInsert, _) => IncrementalWrite::DeleteInsert { keys, predicates },
        })
    }
}

fn predicates(node: &Node) -> Vec<String> {
    let predicates = strings(node.config.get("predicates"));
    if predicates.is_empty() { strings(node.config.get("incremental_predicates")) } else { predicates }
}

/// The rows of a batch's stretch of time make place for the query's rows of that stretch.
fn replace_batch(node: &Node, batch: &Batch, predicates: &[String]) -> Outcome<IncrementalWrite> {
    let within = batch.condition(event_time(node)?);
    let more: String = predicates.iter().map(|predicate| format!(" and ({predicate})")).collect();
    Ok(IncrementalWrite::ReplaceWhere { replaced: format!("({within}){more}"), taken: within })
}

fn event_time(node: &Node) -> Outcome<&str> {
    let missing = || {
        Diagnostic::error("microbatch-event-time", format!("microbatch model `{}` has no `event_time`", node.name))
            .at(node.location.clone())
            .help("set `event_time` to the column that says when a row happened")
    };
    node.config_str("event_time").ok_or_else(|| Box::new(missing()))
}

/// What a microbatch model must say, and must not.
fn check_microbatch(node: &Node) -> Outcome<()> {
    event_time(node)?;
    if unique_key(node).is_empty() {
        return Ok(());
    }
    Diagnostic::error(
        "microbatch-unique-key",
        format!("microbatch model `{}` has a `unique_key`, which batches do not use", node.name),
    )
    .at(node.location.clone())
    .help("rows are replaced by their `event_time`; remove `unique_key`, or set `incremental_strategy: merge`")
    .fail()
}

fn unknown_strategy<T>(node: &Node, name: &str) -> Outcome<T> {
    let message = if STRATEGIES.contains(&name) {
        format!("The incremental strategy '{name}' is not valid for this adapter")
    } else {
        let wanted = format!("get_incremental_{}_sql", name.replace('+', "_"));
        format!("there is no incremental strategy '{name}', and no macro `{wanted}` that would define it")
    };
    Diagnostic::error("incremental-strategy", message)
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
    /// The configured one. An unknown word means `ignore`, as in dbt; here it is told.
    fn of(input: &Input<'_>) -> (Self, Vec<Diagnostic>) {
        let change = match input.node.config_str("on_schema_change").unwrap_or("ignore") {
            "ignore" => Self::Ignore,
            "append_new_columns" => Self::Append,
            "sync_all_columns" => Self::Sync,
            "fail" => Self::Fail,
            other => {
                let text = format!("Invalid value for on_schema_change ({other}) specified; `ignore` is taken");
                let warning = Diagnostic::warning("on-schema-change", text)
                    .at(input.node.location.clone())
                    .suggest(other, SCHEMA_CHANGES)
                    .help(format!("expected one of {}", SCHEMA_CHANGES.join(", ")));
                return (Self::Ignore, vec![warning]);
            }
        };
        (change, Vec::new())
    }

    /// What changes the table before rows are written.
    fn operations(self, input: &Input<'_>) -> Outcome<Vec<Operation>> {
        let (added, removed, retyped) = (new_columns(input), gone_columns(input), retyped_columns(input));
        let relation = input.compiled.relation.clone();
        let mut operations = Vec::new();
        match self {
            Self::Fail if !(added.is_empty() && removed.is_empty() && retyped.is_empty()) => {
                return out_of_sync(input, [&added, &removed, &retyped]);
            }
            Self::Ignore | Self::Fail => {}
            Self::Append | Self::Sync => {
                if !added.is_empty() {
                    operations.push(Operation::AddColumns { relation: relation.clone(), columns: added });
                }
                if self == Self::Sync && !removed.is_empty() {
                    operations.push(Operation::DropColumns { relation: relation.clone(), columns: names(&removed) });
                }
                if self == Self::Sync && !retyped.is_empty() {
                    operations.push(Operation::RetypeColumns { relation, columns: retyped });
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

fn out_of_sync<T>(input: &Input<'_>, [added, removed, retyped]: [&[ColumnType]; 3]) -> Outcome<T> {
    let types = retyped.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect::<Vec<_>>().join(", ");
    Diagnostic::error(
        "schema-out-of-sync",
        format!(
            "the query and the table are out of sync\nSource columns not in target: [{}]\nTarget columns not in source: [{}]\nNew \
             column types: [{types}]",
            names(added).join(", "),
            names(removed).join(", "),
        ),
    )
    .at(input.node.location.clone())
    .help("set `on_schema_change` to append_new_columns or sync_all_columns, or run with --full-refresh to build the table anew")
    .fail()
}

/// Columns that the query gives with another type than the table has.
fn retyped_columns(input: &Input<'_>) -> Vec<ColumnType> {
    let changed = |given: &&ColumnType| {
        let stored = input.state.columns.iter().find(|column| column.name == given.name);
        stored.is_some_and(|column| !column.data_type.eq_ignore_ascii_case(&given.data_type))
    };
    input.state.query_columns.iter().filter(changed).cloned().collect()
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
