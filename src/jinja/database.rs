//! `adapter`: what Jinja may ask of the database and tell it. While parsing there is none, and every answer is empty.

use std::sync::Arc;

use minijinja::value::Tuple;
use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::collection::{list, record};
use super::context::{Native, Root};
use super::error::carry;
use super::relation::{self, ColumnValue};
use super::{Introspect, table};
use crate::diagnostic::Diagnostic;
use crate::name::{Relation, quote_identifier};
use crate::rows::ColumnType;

type Answer = Result<Value, Error>;
type Vm<'a, 'b, 'c> = &'a mut State<'b, 'c>;

pub(super) fn adapter(root: &Arc<Root>) -> Value {
    root.service("adapter", None, method)
}

fn method(name: &str) -> Option<Native> {
    Some(match name {
        "dispatch" => dispatch,
        "type" => |root, _, _| Ok(Value::from(root.engine.settings.adapter_type.as_str())),
        "quote" => |_, _, args| Ok(Value::from(quote_identifier(&args.text(0, "identifier")?))),
        "quote_as_configured" => |_, _, args| Ok(Value::from(quote_identifier(&args.text(0, "identifier")?))),
        "quote_seed_column" => |_, _, args| {
            let column = args.text(0, "column")?;
            Ok(Value::from(if args.flag(1, "quote_config", false) { quote_identifier(&column) } else { column }))
        },
        "get_relation" => get_relation,
        "get_columns_in_relation" => {
            |root, _, args| Ok(list(columns(root, args, 0, "relation")?.iter().map(column_value).collect()))
        }
        "get_missing_columns" => missing_columns,
        "list_relations_without_caching" => list_relations_of,
        "list_relations" => list_relations,
        "list_schemas" => list_schemas,
        "check_schema_exists" => schema_exists,
        "already_exists" => already_exists,
        "create_schema" => |root, _, args| tell(root, args, |db, relation| db.create_schema(relation)),
        "drop_schema" => |root, _, args| tell(root, args, |db, relation| db.drop_schema(relation)),
        "drop_relation" => |root, _, args| tell(root, args, |db, relation| db.drop_relation(relation)),
        "truncate_relation" => |root, _, args| tell(root, args, |db, relation| db.truncate_relation(relation)),
        "rename_relation" => rename_relation,
        "execute" => execute,
        "get_column_schema_from_query" => columns_of_query,
        "stage_external" => stage_external,
        "expand_target_column_types"
        | "cache_added"
        | "cache_dropped"
        | "cache_renamed"
        | "commit"
        | "verify_database"
        | "add_query"
        | "close_connection"
        | "release_connection" => |_, _, _| Ok(Value::from("")),
        "valid_incremental_strategies" => {
            |_, _, _| Ok(list(["append", "merge", "delete+insert", "insert_overwrite", "microbatch"].map(Value::from).to_vec()))
        }
        "supports" => |_, _, _| Ok(Value::from(false)),
        _ => return None,
    })
}

/// The database, or none while parsing. To have none while compiling is a mistake to tell.
fn reachable(root: &Root) -> Result<Option<Arc<dyn Introspect>>, Error> {
    if !root.scope.executes() {
        return Ok(None);
    }
    match root.scope.database() {
        Some(database) => Ok(Some(database)),
        None => Err(carry(
            Diagnostic::error("database-not-available", "there is no database to ask here")
                .help("guard the call with `{% if execute %}`, or run a command that connects"),
        )),
    }
}

fn dispatch(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let name = args.text(0, "macro_name")?;
    let namespace = args.optional_text(1, "macro_namespace")?;
    if let Some((package, name)) = name.split_once('.') {
        return Err(carry(
            Diagnostic::error("dispatch-name", format!("`{package}.{name}` is no macro name: it holds a dot"))
                .help(format!("write `adapter.dispatch('{name}', macro_namespace='{package}')`")),
        ));
    }
    match root.engine.macros.dispatch(root.scope.package(), &name, namespace.as_deref()) {
        Ok(index) => Ok(root.macro_value(index)),
        Err(tried) => {
            let within = namespace.map_or_else(String::new, |namespace| format!(" within the namespace `{namespace}`"));
            Err(carry(
                Diagnostic::error("macro-not-found", format!("dispatch found no macro for `{name}`{within}"))
                    .help(format!("looked for {}", tried.join(", "))),
            ))
        }
    }
}

fn relation_argument(args: &Arguments<'_>, index: usize, name: &str) -> Result<Relation, Error> {
    let value = args.require(index, name)?;
    relation::from_value(value).map(|relation| relation.relation.clone()).ok_or_else(|| args.wrong(name, "a relation", value))
}

fn get_relation(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else { return Ok(Value::from(())) };
    let part = |index, name| args.optional_text(index, name);
    let identifier = part(2, "identifier")?.unwrap_or_default();
    let relation = Relation::new(part(0, "database")?.as_deref(), part(1, "schema")?.as_deref(), &identifier);
    let kind = database.relation_type(&relation).map_err(carry)?;
    Ok(kind.map_or(Value::from(()), |kind| relation::value(relation, Some(kind))))
}

fn column_value(column: &ColumnType) -> Value {
    Value::from_object(ColumnValue::new(column))
}

fn columns(root: &Arc<Root>, args: &Arguments<'_>, index: usize, name: &str) -> Result<Vec<ColumnType>, Error> {
    match reachable(root)? {
        None => Ok(Vec::new()),
        Some(database) => database.columns(&relation_argument(args, index, name)?).map_err(carry),
    }
}

/// Columns of the first relation that the second has not.
fn missing_columns(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let from = columns(root, args, 0, "from_relation")?;
    let to = columns(root, args, 1, "to_relation")?;
    let missing = from.iter().filter(|column| !to.iter().any(|known| known.name.eq_ignore_ascii_case(&column.name)));
    Ok(list(missing.map(column_value).collect()))
}

fn relations(root: &Arc<Root>, database: Option<&str>, schema: &str) -> Answer {
    let Some(connection) = reachable(root)? else { return Ok(list(Vec::new())) };
    let found = connection.list_relations(database, schema).map_err(carry)?;
    Ok(list(found.into_iter().map(|(relation, kind)| relation::value(relation, Some(kind))).collect()))
}

fn list_relations_of(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let schema = relation_argument(args, 0, "schema_relation")?;
    relations(root, schema.database.as_deref(), schema.schema.as_deref().unwrap_or_default())
}

fn list_relations(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    relations(root, args.optional_text(0, "database")?.as_deref(), &args.text(1, "schema")?)
}

fn list_schemas(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else { return Ok(list(Vec::new())) };
    let schemas = database.list_schemas(args.optional_text(0, "database")?.as_deref()).map_err(carry)?;
    Ok(list(schemas.into_iter().map(Value::from).collect()))
}

fn schema_exists(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else { return Ok(Value::from(false)) };
    let wanted = args.text(1, "schema")?;
    let schemas = database.list_schemas(args.optional_text(0, "database")?.as_deref()).map_err(carry)?;
    Ok(Value::from(schemas.iter().any(|schema| schema.eq_ignore_ascii_case(&wanted))))
}

fn already_exists(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else { return Ok(Value::from(false)) };
    let target = root.engine.target.get_attr("database").ok();
    let name = target.as_ref().and_then(Value::as_str);
    let relation = Relation::new(name, Some(&args.text(0, "schema")?), &args.text(1, "name")?);
    Ok(Value::from(database.relation_type(&relation).map_err(carry)?.is_some()))
}

fn tell(root: &Arc<Root>, args: &Arguments<'_>, act: fn(&dyn Introspect, &Relation) -> crate::diagnostic::Outcome<()>) -> Answer {
    let value = args.require(0, "relation")?;
    if let (Some(database), false) = (reachable(root)?, value.is_none()) {
        act(database.as_ref(), &relation_argument(args, 0, "relation")?).map_err(carry)?;
    }
    Ok(Value::from(""))
}

fn rename_relation(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    if let Some(database) = reachable(root)? {
        let (from, to) = (relation_argument(args, 0, "from_relation")?, relation_argument(args, 1, "to_relation")?);
        database.rename_relation(&from, &to).map_err(carry)?;
    }
    Ok(Value::from(""))
}

/// A statement's answer, as dbt's adapters give it.
pub(super) fn response(message: Value, code: Value, rows_affected: Value) -> Value {
    record([("_message", message), ("code", code), ("rows_affected", rows_affected)])
}

/// `adapter.execute(sql, auto_begin, fetch)`: the answer and the rows.
fn execute(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else {
        return Ok(Value::from(Tuple::from(vec![Value::from(""), table::empty()])));
    };
    let rows = database.query(&args.text(0, "sql")?).map_err(carry)?;
    let affected = rows.rows_affected.map_or_else(|| Value::from(rows.rows.len()), Value::from);
    let answer = response(Value::from("OK"), Value::from("OK"), affected);
    let result = if args.flag(2, "fetch", false) { table::of(&rows, root) } else { table::empty() };
    Ok(Value::from(Tuple::from(vec![answer, result])))
}

fn columns_of_query(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else { return Ok(list(Vec::new())) };
    let sql = args.text(0, "sql")?;
    let sql = sql.trim().trim_end_matches(';');
    let rows = database.query(&format!("select * from (\n{sql}\n) as __query limit 0")).map_err(carry)?;
    Ok(list(rows.columns.iter().map(column_value).collect()))
}

/// Lines about the external tables registered; `select` names sources, `name` or `name.table`, a space between them.
fn stage_external(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Answer {
    let Some(database) = reachable(root)? else { return Ok(list(Vec::new())) };
    let lines = database.stage_external(args.optional_text(0, "select")?.as_deref()).map_err(carry)?;
    Ok(list(lines.into_iter().map(Value::from).collect()))
}
