//! `adapter`: what Jinja may ask of the database and tell it. While parsing there is none, and every answer is empty.

use std::sync::Arc;

use minijinja::value::Tuple;
use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::collection::{list, record};
use super::context::{Native, Root};
use super::error::carry;
use super::relation::{self, ColumnValue};
use super::{Introspect, sql_adapter, table};
use crate::diagnostic::Diagnostic;
use crate::name::{Relation, quote_identifier};
use crate::rows::{Answer, ColumnType};

type Reply = Result<Value, Error>;
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
            let quotes = args.get(1, "quote_config").is_none_or(|config| config.is_none() || config.is_true());
            Ok(Value::from(if quotes { quote_identifier(&column) } else { column }))
        },
        "get_relation" => get_relation,
        "get_columns_in_relation" => columns_in_relation,
        "get_missing_columns" => missing_columns,
        "list_relations_without_caching" => list_relations_of,
        "list_relations" => list_relations,
        "list_schemas" => list_schemas,
        "check_schema_exists" => schema_exists,
        "already_exists" => already_exists,
        "create_schema" => |root, state, args| tell(root, state, args, ("create_schema", |db, at| db.create_schema(at))),
        "drop_schema" => |root, state, args| tell(root, state, args, ("drop_schema", |db, at| db.drop_schema(at))),
        "drop_relation" => drop_relation,
        "truncate_relation" => {
            |root, state, args| tell(root, state, args, ("truncate_relation", |db, at| db.truncate_relation(at)))
        }
        "commit" => commit,
        "rename_relation" => rename_relation,
        "execute" => execute,
        "get_column_schema_from_query" => columns_of_query,
        "stage_external" => stage_external,
        "get_hard_deletes_behavior" => hard_deletes,
        "cache_added" | "cache_dropped" | "cache_renamed" | "verify_database" | "add_query" | "close_connection"
        | "release_connection" => |_, _, _| Ok(Value::from("")),
        "supports" => |_, _, _| Ok(Value::from(false)),
        other => return sql_adapter::method(other),
    })
}

/// The database, or none while parsing. To have none while compiling is a mistake to tell.
pub(super) fn reachable(root: &Root) -> Result<Option<Arc<dyn Introspect>>, Error> {
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

fn dispatch(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
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

fn get_relation(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
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

/// Whether relations are changed through macros, as dbt's SQL adapters do it.
fn by_macros(root: &Root) -> bool {
    root.scope.executes() && root.scope.database().is_some_and(|database| database.by_macros())
}

/// Calls a macro by the name that the project, or else headwater, has one of.
pub(super) fn call_macro(root: &Arc<Root>, state: Vm, name: &str, args: &[Value]) -> Reply {
    match root.engine.macros.visible(root.scope.package(), name) {
        Some(index) => root.macro_value(index).call(state, args),
        None => Err(carry(Diagnostic::error("macro-not-found", format!("no macro is called `{name}`")))),
    }
}

/// `adapter.get_columns_in_relation`: whatever the macro of that name gives, where relations are known by macros.
fn columns_in_relation(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    let relation = args.require(0, "relation")?;
    match by_macros(root) {
        true => call_macro(root, state, "get_columns_in_relation", std::slice::from_ref(relation)),
        false => Ok(list(columns_of(root, state, relation)?)),
    }
}

/// The columns of a relation as template values.
pub(super) fn columns_of(root: &Arc<Root>, state: Vm, relation: &Value) -> Result<Vec<Value>, Error> {
    let Some(database) = reachable(root)? else { return Ok(Vec::new()) };
    if database.by_macros() {
        return call_macro(root, state, "get_columns_in_relation", std::slice::from_ref(relation))?
            .try_iter()
            .map(Iterator::collect);
    }
    match relation::from_value(relation) {
        Some(known) => Ok(database.columns(&known.relation).map_err(carry)?.iter().map(column_value).collect()),
        None => Err(Arguments::new("get_columns_in_relation", &[]).wrong("relation", "a relation", relation)),
    }
}

/// Columns of the first relation that the second has not.
fn missing_columns(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    let from = columns_of(root, state, args.require(0, "from_relation")?)?;
    let to = columns_of(root, state, args.require(1, "to_relation")?)?;
    let name = |column: &Value| column.get_attr("name").map(|name| name.to_string().to_lowercase()).unwrap_or_default();
    let known: Vec<String> = to.iter().map(name).collect();
    Ok(list(from.into_iter().filter(|column| !known.contains(&name(column))).collect()))
}

fn relations(root: &Arc<Root>, database: Option<&str>, schema: &str) -> Reply {
    let Some(connection) = reachable(root)? else { return Ok(list(Vec::new())) };
    let found = connection.list_relations(database, schema).map_err(carry)?;
    Ok(list(found.into_iter().map(|(relation, kind)| relation::value(relation, Some(kind))).collect()))
}

fn list_relations_of(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let schema = relation_argument(args, 0, "schema_relation")?;
    relations(root, schema.database.as_deref(), schema.schema.as_deref().unwrap_or_default())
}

fn list_relations(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    relations(root, args.optional_text(0, "database")?.as_deref(), &args.text(1, "schema")?)
}

fn list_schemas(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(list(Vec::new())) };
    let schemas = database.list_schemas(args.optional_text(0, "database")?.as_deref()).map_err(carry)?;
    Ok(list(schemas.into_iter().map(Value::from).collect()))
}

fn schema_exists(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(Value::from(false)) };
    let wanted = args.text(1, "schema")?;
    let schemas = database.list_schemas(args.optional_text(0, "database")?.as_deref()).map_err(carry)?;
    Ok(Value::from(schemas.iter().any(|schema| schema.eq_ignore_ascii_case(&wanted))))
}

fn already_exists(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(Value::from(false)) };
    let target = root.engine.target.get_attr("database").ok();
    let name = target.as_ref().and_then(Value::as_str);
    let relation = Relation::new(name, Some(&args.text(0, "schema")?), &args.text(1, "name")?);
    Ok(Value::from(database.relation_type(&relation).map_err(carry)?.is_some()))
}

type Act = fn(&dyn Introspect, &Relation) -> crate::diagnostic::Outcome<()>;

/// Has a relation changed: by the macro of that name, or by the database itself.
fn tell(root: &Arc<Root>, state: Vm, args: &Arguments<'_>, (name, act): (&str, Act)) -> Reply {
    let value = args.require(0, "relation")?;
    let Some(database) = reachable(root)?.filter(|_| !value.is_none()) else { return Ok(Value::from("")) };
    if by_macros(root) {
        call_macro(root, state, name, std::slice::from_ref(value))?;
        if name.ends_with("schema") {
            database.commit().map_err(carry)?;
        }
    } else {
        act(database.as_ref(), &relation_argument(args, 0, "relation")?).map_err(carry)?;
    }
    Ok(Value::from(""))
}

fn drop_relation(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    let value = args.require(0, "relation")?;
    let untyped = relation::from_value(value).is_some_and(|relation| relation.kind.is_none());
    if untyped && by_macros(root) {
        return Err(carry(
            Diagnostic::error("relation-type", format!("Tried to drop relation {value}, but its type is null."))
                .help("say what it is: `api.Relation.create(…, type='table')`, or ask for it with `adapter.get_relation`"),
        ));
    }
    tell(root, state, args, ("drop_relation", |db, at| db.drop_relation(at)))
}

fn rename_relation(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(Value::from("")) };
    let (from, to) = (args.require(0, "from_relation")?.clone(), args.require(1, "to_relation")?.clone());
    if database.by_macros() {
        call_macro(root, state, "rename_relation", &[from, to])?;
    } else {
        let (from, to) = (relation_argument(args, 0, "from_relation")?, relation_argument(args, 1, "to_relation")?);
        database.rename_relation(&from, &to).map_err(carry)?;
    }
    Ok(Value::from(""))
}

fn commit(root: &Arc<Root>, _state: Vm, _args: &Arguments<'_>) -> Reply {
    if let Some(database) = reachable(root)? {
        database.commit().map_err(carry)?;
    }
    Ok(Value::from(""))
}

/// A statement's answer, as dbt's adapters give it.
pub(super) fn response(message: Value, code: Value, rows_affected: Value) -> Value {
    record([("_message", message), ("code", code), ("rows_affected", rows_affected)])
}

fn answer(given: &Answer) -> Value {
    // As drivers of Python's DB-API have it, -1 where nothing was counted.
    let affected = match given.rows.rows_affected {
        Some(count) => Value::from(count),
        None if given.rows.columns.is_empty() => Value::from(-1),
        None => Value::from(given.rows.rows.len()),
    };
    response(Value::from(given.message.as_str()), Value::from(given.code()), affected)
}

/// `adapter.execute(sql, auto_begin, fetch)`: the answer and the rows.
fn execute(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else {
        return Ok(Value::from(Tuple::from(vec![Value::from(""), table::empty()])));
    };
    let given = database.execute(&args.text(0, "sql")?, args.flag(1, "auto_begin", false)).map_err(carry)?;
    let result = if args.flag(2, "fetch", false) { table::of(&given.rows, root) } else { table::empty() };
    Ok(Value::from(Tuple::from(vec![answer(&given), result])))
}

fn columns_of_query(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(list(Vec::new())) };
    let columns = database.query_columns(&args.text(0, "sql")?).map_err(carry)?;
    Ok(list(columns.iter().map(column_value).collect()))
}

/// What a snapshot does with rows that are gone: `ignore`, `invalidate` or `new_record`. The config handed over is the node's.
fn hard_deletes(root: &Arc<Root>, _state: Vm, _args: &Arguments<'_>) -> Reply {
    let config = |key: &str| root.scope.config_value(key).filter(|value| !value.is_null());
    let (older, newer) = (config("invalidate_hard_deletes"), config("hard_deletes"));
    if older.is_some() && newer.is_some() {
        let message =
            "You cannot set both the `invalidate_hard_deletes` and `hard_deletes` config properties on the same snapshot.";
        return Err(carry(Diagnostic::error("snapshot-config", message).help("keep `hard_deletes`, the newer one")));
    }
    let behaviour = match newer.as_ref().map(|value| value.as_str().unwrap_or_default()) {
        None if older == Some(true.into()) => "invalidate",
        None => "ignore",
        Some(known @ ("ignore" | "invalidate" | "new_record")) => known,
        Some(other) => {
            let known = ["ignore", "invalidate", "new_record"];
            let message = format!("Invalid setting for property hard_deletes: `{other}`");
            let error = Diagnostic::error("snapshot-config", message).help(format!("expected {}", known.join(", ")));
            return Err(carry(error.suggest(other, known)));
        }
    };
    Ok(Value::from(behaviour))
}

/// Lines about the external tables registered; `select` names sources, `name` or `name.table`, a space between them.
fn stage_external(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Reply {
    let Some(database) = reachable(root)? else { return Ok(list(Vec::new())) };
    let lines = database.stage_external(args.optional_text(0, "select")?.as_deref()).map_err(carry)?;
    Ok(list(lines.into_iter().map(Value::from).collect()))
}
