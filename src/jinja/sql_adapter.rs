//! What dbt's SQL adapters do in Python for the materialization macros: strategies, column types, constraints, indexes, grants.

use std::fmt;
use std::sync::Arc;

use md5::{Digest, Md5};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::collection::{dict, list, pair};
use super::context::{Native, Root};
use super::database::{self, reachable};
use super::error::carry;
use super::{relation, table};
use crate::diagnostic::Diagnostic;
use crate::name::quote_identifier;
use crate::rows::Cell;

type Reply = Result<Value, Error>;
type Vm<'a, 'b, 'c> = &'a mut State<'b, 'c>;

/// Strategies that dbt itself has a macro for.
const BUILT_IN_STRATEGIES: [&str; 5] = ["append", "delete+insert", "merge", "insert_overwrite", "microbatch"];

pub(super) fn method(name: &str) -> Option<Native> {
    Some(match name {
        "get_incremental_strategy_macro" => strategy_macro,
        "expand_target_column_types" => expand_column_types,
        "convert_type" => convert_type,
        "get_hard_deletes_behavior" => hard_deletes,
        "valid_snapshot_target" | "assert_valid_snapshot_target_given_strategy" => snapshot_target,
        "standardize_grants_dict" => grants,
        "parse_index" => parse_index,
        "render_raw_columns_constraints" => column_constraints,
        "render_raw_model_constraints" => model_constraints,
        "load_rows" => load_rows,
        "valid_incremental_strategies" => {
            |root, _, _| Ok(list(valid_strategies(root).iter().map(|name| Value::from(*name)).collect()))
        }
        _ => return None,
    })
}

fn wrong(code: &'static str, message: impl Into<String>) -> Error {
    carry(Diagnostic::error(code, message))
}

/// An attribute or item that is there and not none.
fn item(value: &Value, key: &str) -> Option<Value> {
    value.get_attr(key).ok().filter(|found| !found.is_undefined() && !found.is_none())
}

fn text(value: &Value, key: &str) -> Option<String> {
    item(value, key).map(|found| found.to_string()).filter(|text| !text.is_empty())
}

fn items(value: &Value, key: &str) -> Vec<Value> {
    item(value, key).and_then(|found| found.try_iter().ok().map(Iterator::collect)).unwrap_or_default()
}

fn valid_strategies(root: &Arc<Root>) -> &'static [&'static str] {
    match root.scope.database().is_some_and(|database| database.by_macros()) {
        true => &["append", "delete+insert", "merge", "microbatch"],
        false => &["append", "merge", "delete+insert", "insert_overwrite", "microbatch"],
    }
}

/// `adapter.get_incremental_strategy_macro(context, strategy)`.
fn strategy_macro(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let strategy = args.optional_text(1, "strategy")?.unwrap_or_else(|| "default".to_string());
    let valid = valid_strategies(root);
    if BUILT_IN_STRATEGIES.contains(&strategy.as_str()) && !valid.contains(&strategy.as_str()) {
        let message = format!("The incremental strategy '{strategy}' is not valid for this adapter");
        return Err(carry(
            Diagnostic::error("incremental-strategy", message).help(format!("expected one of {}", valid.join(", "))),
        ));
    }
    let name = format!("get_incremental_{}_sql", strategy.replace('+', "_"));
    match root.engine.macros.visible(root.scope.package(), &name) {
        Some(index) => Ok(root.macro_value(index)),
        None => Err(wrong(
            "incremental-strategy",
            format!(
                "dbt could not find an incremental strategy macro with the name \"{name}\" in {}",
                root.engine.settings.project_name
            ),
        )),
    }
}

/// Text columns of `to_relation` that are narrower than those of `from_relation` are widened.
fn expand_column_types(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    if !root.scope.executes() || !root.scope.database().is_some_and(|database| database.by_macros()) {
        return Ok(Value::from(""));
    }
    let (from, to) = (args.require(0, "from_relation")?.clone(), args.require(1, "to_relation")?.clone());
    let wanted = database::columns_of(root, state, &from)?;
    let present = database::columns_of(root, state, &to)?;
    for column in wanted {
        let same = present.iter().find(|other| item(other, "name") == item(&column, "name"));
        let Some(other) = same else { continue };
        if other.call_method(state, "can_expand_to", std::slice::from_ref(&column))?.is_true() {
            let size = column.call_method(state, "string_size", &[])?;
            let wider = Value::from(format!("character varying({size})"));
            let name = item(&column, "name").unwrap_or_default();
            database::call_macro(root, state, "alter_column_type", &[to.clone(), name, wider])?;
        }
    }
    Ok(Value::from(""))
}

/// `adapter.convert_type(agate_table, index)`: the database's type for a seed's column; the table carries it.
fn convert_type(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let index = args.require(1, "col_idx")?.as_usize().unwrap_or_default();
    let types = args.require(0, "agate_table")?.get_attr("column_types")?;
    types.get_item(&Value::from(index))
}

/// What becomes of rows that are gone: `hard_deletes`, or what `invalidate_hard_deletes` used to say.
fn hard_deletes(_root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    let config = args.require(0, "config")?;
    let mut get = |key: &str| {
        config.call_method(state, "get", &[Value::from(key)]).map(|value| Some(value).filter(|value| !value.is_none()))
    };
    let (legacy, chosen) = (get("invalidate_hard_deletes")?, get("hard_deletes")?);
    if legacy.is_some() && chosen.is_some() {
        let message = "You cannot set both the invalidate_hard_deletes and hard_deletes config properties on the same snapshot.";
        return Err(wrong("snapshot-config", message));
    }
    match chosen.as_ref().and_then(Value::as_str) {
        _ if legacy.is_some_and(|legacy| legacy.is_true()) => Ok(Value::from("invalidate")),
        Some(known @ ("invalidate" | "new_record" | "ignore")) => Ok(Value::from(known)),
        None if chosen.is_none() => Ok(Value::from("ignore")),
        _ => Err(wrong("snapshot-config", "Invalid setting for property hard_deletes.")),
    }
}

/// The target of a snapshot has to have the columns that snapshots write.
fn snapshot_target(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    if !root.scope.executes() {
        return Ok(Value::from(""));
    }
    let columns = database::columns_of(root, state, args.require(0, "relation")?)?;
    let names: Vec<String> = columns.iter().filter_map(|column| text(column, "name")).map(|name| name.to_lowercase()).collect();
    let named = args.get(1, "column_names");
    let new_record = args.get(2, "strategy").and_then(|strategy| text(strategy, "hard_deletes")).as_deref() == Some("new_record");
    let wanted = ["dbt_scd_id", "dbt_valid_from", "dbt_valid_to"].into_iter().chain(new_record.then_some("dbt_is_deleted"));
    let wanted = wanted.map(|key| named.and_then(|names| text(names, key)).unwrap_or_else(|| key.to_string()));
    let missing: Vec<String> = wanted.filter(|name| !names.contains(&name.to_lowercase())).collect();
    if missing.is_empty() {
        return Ok(Value::from(""));
    }
    let quoted = missing.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let message = format!(
        "Snapshot target is missing configured columns (missing {quoted}). See https://docs.getdbt.com/docs/build/snapshots#snapshot-meta-fields for more information."
    );
    Err(wrong("snapshot-target", message))
}

/// Rows of grantee and privilege as a dictionary of privileges.
fn grants(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let mut privileges: indexmap::IndexMap<String, Vec<Value>> = indexmap::IndexMap::new();
    for row in args.require(0, "grants_table")?.try_iter()? {
        let privilege = row.get_item(&Value::from("privilege_type"))?.to_string();
        privileges.entry(privilege).or_default().push(row.get_item(&Value::from("grantee"))?);
    }
    Ok(dict(privileges.into_iter().map(|(privilege, grantees)| (Value::from(privilege), list(grantees)))))
}

/// An index as a node's config names it.
#[derive(Debug)]
struct IndexConfig {
    columns: Vec<String>,
    unique: bool,
    kind: Option<String>,
}

impl Object for IndexConfig {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "columns" => Value::from(self.columns.clone()),
            "unique" => Value::from(self.unique),
            "type" => self.kind.as_deref().map_or(Value::from(()), Value::from),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _state: Vm, method: &str, args: &[Value]) -> Result<Value, Error> {
        if method != "render" {
            return Err(Error::new(minijinja::ErrorKind::UnknownMethod, format!("an index has no method `{method}`")));
        }
        // A name of its own each time: the old index is still there, under the backup, while the new one is made.
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
        let relation = Arguments::new(method, args).require(0, "relation")?.to_string();
        let unique = if self.unique { "True" } else { "False" };
        let kind = self.kind.as_deref().unwrap_or("None");
        let parts = self.columns.iter().map(String::as_str).chain([relation.as_str(), unique, kind, now.as_str()]);
        let digest = Md5::digest(parts.collect::<Vec<_>>().join("_").as_bytes());
        Ok(Value::from(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<index on {}>", self.columns.join(", "))
    }
}

fn parse_index(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let raw = args.require(0, "raw_index")?;
    let columns: Vec<String> = items(raw, "columns").iter().map(Value::to_string).collect();
    if columns.is_empty() {
        let message = format!("Could not parse constraint: an index needs a list of `columns`, got {raw}");
        return Err(wrong("index-config", message));
    }
    Ok(Value::from_object(IndexConfig {
        columns,
        unique: item(raw, "unique").is_some_and(|unique| unique.is_true()),
        kind: text(raw, "type"),
    }))
}

/// `adapter.render_raw_columns_constraints(raw_columns)`: a line of DDL a column.
fn column_constraints(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let columns = args.require(0, "raw_columns")?;
    let mut lines = Vec::new();
    for key in columns.try_iter()? {
        let column = columns.get_item(&key)?;
        let name = text(&column, "name").unwrap_or_default();
        let quoted = item(&column, "quote").is_some_and(|quote| quote.is_true());
        let mut line = if quoted { quote_identifier(&name) } else { name };
        line.push(' ');
        line.push_str(&text(&column, "data_type").unwrap_or_default());
        for constraint in items(&column, "constraints") {
            if let Some(rendered) = column_constraint(&constraint) {
                line.push(' ');
                line.push_str(rendered.trim());
            }
        }
        lines.push(Value::from(line));
    }
    Ok(list(lines))
}

fn column_constraint(constraint: &Value) -> Option<String> {
    let expression = text(constraint, "expression");
    let with = |words: &str| Some(format!("{words} {}", expression.clone().unwrap_or_default()));
    match text(constraint, "type")?.as_str() {
        "check" => expression.map(|expression| format!("check ({expression})")),
        "not_null" => with("not null"),
        "unique" => with("unique"),
        "primary_key" => with("primary key"),
        "foreign_key" => references(constraint, expression),
        "custom" => expression,
        _ => None,
    }
}

fn references(constraint: &Value, expression: Option<String>) -> Option<String> {
    match (text(constraint, "to"), names(constraint, "to_columns")) {
        (Some(to), columns) if !columns.is_empty() => Some(format!("references {to} ({columns})")),
        _ => expression.map(|expression| format!("references {expression}")),
    }
}

fn names(constraint: &Value, key: &str) -> String {
    items(constraint, key).iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// `adapter.render_raw_model_constraints(raw_constraints)`: DDL of the constraints of a whole table.
fn model_constraints(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let raw = args.require(0, "raw_constraints")?;
    let constraints = if raw.is_none() || raw.is_undefined() { Vec::new() } else { raw.try_iter()?.collect() };
    Ok(list(constraints.iter().filter_map(model_constraint).map(Value::from).collect()))
}

fn model_constraint(constraint: &Value) -> Option<String> {
    let expression = text(constraint, "expression");
    let prefix = text(constraint, "name").map(|name| format!("constraint {name} ")).unwrap_or_default();
    let columns = names(constraint, "columns");
    let extra = expression.as_ref().map(|expression| format!(" {expression}")).unwrap_or_default();
    let body = match text(constraint, "type")?.as_str() {
        "check" => format!("check ({})", expression?),
        "unique" => format!("unique{extra} ({columns})"),
        "primary_key" => format!("primary key{extra} ({columns})"),
        "foreign_key" => format!("foreign key ({columns}) {}", references(constraint, expression)?),
        "custom" => expression?,
        _ => return None,
    };
    Some(format!("{prefix}{body}"))
}

/// `adapter.load_rows(relation, agate_table)`: appends a seed's rows; its answer.
fn load_rows(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(Value::from("")) };
    let value = args.require(0, "relation")?;
    let Some(target) = relation::from_value(value) else { return Err(args.wrong("relation", "a relation", value)) };
    let rows = table::rows(args.require(1, "agate_table")?);
    let columns: Vec<String> = match args.get(2, "columns") {
        Some(names) => names.try_iter()?.map(|name| name.to_string()).collect(),
        None => rows.columns.iter().map(|column| quote_identifier(&column.name)).collect(),
    };
    let cell = |cell: &Cell| (*cell != Cell::Null).then(|| cell.display());
    let text: Vec<Vec<Option<String>>> = rows.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let given = database.load_rows(&target.relation, &columns, &text).map_err(carry)?;
    Ok(pair(Value::from(given.message), Value::from(text.len())))
}
