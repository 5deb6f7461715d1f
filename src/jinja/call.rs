//! The functions of dbt's context: `ref`, `source`, `config`, `var`, `env_var`, `log`, `return` and the rest.

use std::sync::Arc;

use md5::{Digest, Md5};
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::Arguments;
use super::collection::{dict, dict_entries, from_json, list, record, to_json};
use super::context::{Native, Root};
use super::error::carry;
use super::{database, invoke, output, relation, table};
use crate::diagnostic::Diagnostic;
use crate::manifest::{JsonMap, RefArgs};

type Outcome = Result<Value, Error>;
type Vm<'a, 'b, 'c> = &'a mut State<'b, 'c>;

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("diff_of_two_dicts", diff_of_two_dicts),
    ("env_var", env_var),
    ("fromjson", fromjson),
    ("fromyaml", fromyaml),
    ("function", function),
    ("load_agate_table", |root, _, _| root.scope.seed_rows().map(|rows| table::of(&rows, root)).map_err(carry)),
    ("load_result", load_result),
    ("local_md5", local_md5),
    ("log", log),
    ("print", print),
    ("ref", reference),
    ("render", render),
    ("return", give_back),
    ("set", set),
    ("set_strict", set),
    ("source", source),
    ("store_raw_result", store_raw_result),
    ("store_result", store_result),
    ("tojson", tojson),
    ("toyaml", toyaml),
    ("try_or_compiler_error", try_or_compiler_error),
    ("write", write),
    ("zip", zip),
    ("zip_strict", zip),
];

fn wrong_arguments(message: &str, help: &str) -> Error {
    carry(Diagnostic::error("jinja-arguments", message).help(help))
}

fn reference(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let text: Option<Vec<String>> = args.positional.iter().map(|value| value.as_str().map(str::to_string)).collect();
    let (package, name) = match text.as_deref() {
        Some([name]) => (None, name.clone()),
        Some([package, name]) => (Some(package.clone()), name.clone()),
        _ => {
            return Err(wrong_arguments(
                "`ref` takes a name, or a package and a name, as text",
                "write `ref('model')` or `ref('package', 'model')`",
            ));
        }
    };
    if let Some((unknown, _)) = args.named.iter().find(|(key, _)| !matches!(key.as_str(), "version" | "v")) {
        return Err(wrong_arguments(&format!("`ref` takes no argument `{unknown}`"), "expected `version` (or `v`)"));
    }
    let version = args.named.iter().map(|(_, value)| to_json(value)).find(|version| !version.is_null());
    root.scope.resolve_ref(RefArgs { name, package, version }).map(relation::answer).map_err(carry)
}

fn source(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    match args.positional {
        [source, table] if args.named.is_empty() => match (source.as_str(), table.as_str()) {
            (Some(source), Some(table)) => root.scope.resolve_source(source, table).map(relation::answer).map_err(carry),
            _ => Err(wrong_arguments("`source` takes two texts", "write `source('name', 'table')`")),
        },
        _ => Err(wrong_arguments("`source` takes exactly two arguments", "write `source('name', 'table')`")),
    }
}

fn function(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let text: Option<Vec<&str>> = args.positional.iter().map(|value| value.as_str()).collect();
    let (package, name) = match text.as_deref() {
        Some([name]) if args.named.is_empty() => (None, *name),
        Some([package, name]) if args.named.is_empty() => (Some(*package), *name),
        _ => {
            return Err(wrong_arguments(
                "`function` takes a name, or a package and a name, as text",
                "write `function('name')` or `function('package', 'name')`",
            ));
        }
    };
    root.scope.resolve_function(name, package).map(relation::answer).map_err(carry)
}

pub(super) fn config(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let entries = match (args.positional, args.named.as_slice()) {
        ([], named) if !named.is_empty() => named.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
        ([mapping], []) if mapping.kind() == ValueKind::Map => {
            dict_entries(mapping)?.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect::<JsonMap>()
        }
        _ => {
            return Err(wrong_arguments(
                "`config` takes keyword arguments, or one dictionary",
                "write `config(materialized='table')`",
            ));
        }
    };
    root.scope.set_config(entries).map_err(carry)?;
    Ok(Value::from(""))
}

pub(super) fn config_method(name: &str) -> Option<Native> {
    Some(match name {
        "get" => |root, _, args| config_get(root, args, None),
        "require" => |root, _, args| config_require(root, args),
        "set" => |root, _, args| {
            let (name, value) = (args.text(0, "name")?, to_json(args.require(1, "value")?));
            root.scope.set_config(JsonMap::from_iter([(name, value)])).map_err(carry)?;
            Ok(Value::from(""))
        },
        "meta_get" => |root, _, args| config_get(root, args, Some("meta")),
        "meta_require" => |root, _, args| config_get(root, args, Some("meta")),
        "persist_relation_docs" => |root, _, _| Ok(Value::from(persists(root, "relation"))),
        "persist_column_docs" => |root, _, _| Ok(Value::from(persists(root, "columns"))),
        _ => return None,
    })
}

fn config_get(root: &Arc<Root>, args: &Arguments<'_>, within: Option<&str>) -> Outcome {
    // While parsing, nothing is decided yet; dbt answers with an empty text.
    if !root.scope.executes() {
        return Ok(Value::from(""));
    }
    let name = args.text(0, "name")?;
    let found = match within {
        Some(outer) => root.scope.config_value(outer).and_then(|outer| outer.get(&name).cloned()),
        None => root.scope.config_value(&name),
    };
    Ok(match found {
        Some(value) => from_json(&value),
        None => args.get(1, "default").cloned().unwrap_or(Value::from(())),
    })
}

fn config_require(root: &Arc<Root>, args: &Arguments<'_>) -> Outcome {
    if !root.scope.executes() {
        return Ok(Value::from(""));
    }
    let name = args.text(0, "name")?;
    match root.scope.config_value(&name) {
        Some(value) => Ok(from_json(&value)),
        None => Err(carry(Diagnostic::error("config-missing", format!("the config `{name}` is required")))),
    }
}

fn persists(root: &Arc<Root>, what: &str) -> bool {
    root.scope.executes()
        && root.scope.config_value("persist_docs").is_some_and(|docs| docs.get(what).and_then(|v| v.as_bool()) == Some(true))
}

pub(super) fn var(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Outcome {
    let name = args.text(0, "name")?;
    match variable(root, &name) {
        // A variable may be a template itself, such as `{{ source('shop', 'orders') }}`: it is rendered where it is read.
        Some(serde_json::Value::String(text)) if text.contains("{{") || text.contains("{%") => {
            return rendered(root, state, &text);
        }
        Some(value) => return Ok(from_json(&value)),
        None => {}
    }
    // While parsing a missing variable is none, as in dbt: the node may never be run.
    if !root.scope.executes() && args.get(1, "default").is_none() {
        return Ok(Value::from(()));
    }
    args.get(1, "default").cloned().ok_or_else(|| {
        carry(
            Diagnostic::error("var-not-found", format!("the variable `{name}` is required and not set"))
                .help("set it under `vars:` in dbt_project.yml or with `--vars`, or give `var` a default"),
        )
    })
}

/// A variable's value; that it was asked for is noted.
fn variable(root: &Arc<Root>, name: &str) -> Option<serde_json::Value> {
    root.engine.note(root.scope.as_ref(), |reads| {
        reads.vars.insert(name.to_string());
    });
    root.scope.variable(name)
}

pub(super) fn var_method(name: &str) -> Option<Native> {
    match name {
        "has_var" => Some(|root, _, args| Ok(Value::from(variable(root, &args.text(0, "name")?).is_some()))),
        _ => None,
    }
}

fn env_var(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let name = args.text(0, "var")?;
    if name.starts_with("DBT_ENV_SECRET") {
        return Err(carry(
            Diagnostic::error("env-var-secret", format!("the secret environment variable `{name}` cannot be read here"))
                .help("secrets (`DBT_ENV_SECRET…`) are allowed in profiles.yml and packages.yml only"),
        ));
    }
    let default = args.get(1, "default").filter(|value| !value.is_none() && !value.is_undefined());
    let value = root.scope.environment(&name).or_else(|| (root.engine.settings.env)(&name));
    root.engine.note(root.scope.as_ref(), |reads| {
        reads.env.insert(name.clone(), value.clone());
    });
    match (value, default) {
        (Some(value), _) => Ok(Value::from(value)),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(carry(
            Diagnostic::error("env-var-not-found", format!("the environment variable `{name}` is required and not set"))
                .help("set it, or give `env_var` a default"),
        )),
    }
}

fn log(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    root.scope.message(&args.require(0, "msg")?.to_string(), args.flag(1, "info", false));
    Ok(Value::from(""))
}

fn print(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    root.scope.print(&args.require(0, "msg")?.to_string());
    Ok(Value::from(""))
}

fn give_back(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    Err(invoke::returning(args.require(0, "data")?.clone()))
}

fn default_value(args: &Arguments<'_>) -> Value {
    args.get(1, "default").cloned().unwrap_or(Value::from(()))
}

fn fromjson(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let text = args.text(0, "string")?;
    Ok(serde_json::from_str(&text).map_or_else(|_| default_value(args), |json| from_json(&json)))
}

fn tojson(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let json = to_json(args.require(0, "value")?);
    Ok(Value::from(output::json_text(&json, args.flag(2, "sort_keys", false))))
}

fn fromyaml(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let text = args.text(0, "value")?;
    Ok(output::yaml_value(&text).map_or_else(|| default_value(args), |json| from_json(&json)))
}

fn toyaml(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let json = to_json(args.require(0, "value")?);
    Ok(Value::from(output::yaml_text(&json, args.flag(2, "sort_keys", false))))
}

/// Distinct items in order of first mention; Python's sets have no order to keep.
fn set(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let items = match args.require(0, "value")?.try_iter() {
        Ok(items) => items,
        Err(error) => return args.get(1, "default").cloned().ok_or(error),
    };
    // In the order of the values, so that two sets of the same items are equal however they came about.
    let mut distinct: Vec<Value> = items.collect::<indexmap::IndexSet<Value>>().into_iter().collect();
    distinct.sort();
    Ok(list(distinct))
}

fn zip(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let mut columns = Vec::new();
    for value in args.positional {
        match value.try_iter() {
            Ok(items) => columns.push(items),
            Err(error) => {
                return args.named.iter().find(|(key, _)| key == "default").map(|(_, value)| value.clone()).ok_or(error);
            }
        }
    }
    let mut rows = Vec::new();
    while let Some(row) = columns.iter_mut().map(Iterator::next).collect::<Option<Vec<Value>>>().filter(|row| !row.is_empty()) {
        rows.push(Value::from(Tuple::from(row)));
    }
    Ok(list(rows))
}

fn local_md5(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let digest = Md5::digest(args.require(0, "value")?.to_string().as_bytes());
    Ok(Value::from(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// What of `dict_a`'s lists is not in `dict_b`'s, compared without regard to case.
fn diff_of_two_dicts(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let lower = |value: &Value| value.to_string().to_lowercase();
    let known: Vec<(String, Vec<String>)> = dict_entries(args.require(1, "dict_b")?)?
        .iter()
        .map(|(key, values)| Ok((lower(key), values.try_iter()?.map(|value| lower(&value)).collect())))
        .collect::<Result<_, Error>>()?;
    let mut different = Vec::new();
    for (key, values) in dict_entries(args.require(0, "dict_a")?)? {
        let Some((_, others)) = known.iter().find(|(other, _)| *other == lower(&key)) else {
            different.push((key, values));
            continue;
        };
        let left: Vec<Value> = values.try_iter()?.filter(|value| !others.contains(&lower(value))).collect();
        if !left.is_empty() {
            different.push((key, list(left)));
        }
    }
    Ok(dict(different))
}

fn store(root: &Root, name: String, response: Value, result: Option<Value>) {
    let result = result.filter(|value| !value.is_none() && !value.is_undefined()).unwrap_or_else(table::empty);
    let data = table::matrix(&result);
    let stored = record([("response", response), ("data", data), ("table", result)]);
    root.results().insert(name, Some(stored));
}

fn store_result(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let response = args.require(1, "response")?.clone();
    store(root, args.text(0, "name")?, response, args.get(2, "agate_table").cloned());
    Ok(Value::from(""))
}

fn store_raw_result(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let part = |index, name| args.get(index, name).cloned().unwrap_or(Value::from(()));
    let response = database::response(part(1, "message"), part(2, "code"), part(3, "rows_affected"));
    store(root, args.text(0, "name")?, response, args.get(4, "agate_table").cloned());
    Ok(Value::from(""))
}

fn load_result(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    let name = args.text(0, "name")?;
    let mut results = root.results();
    match results.get_mut(&name) {
        None => Ok(Value::from(())),
        Some(slot) if name == "main" => Ok(slot.clone().unwrap_or(Value::from(()))),
        Some(slot) => slot.take().ok_or_else(|| {
            carry(
                Diagnostic::error("result-loaded", format!("the result `{name}` was loaded already"))
                    .help("keep it with `set`, or give every statement its own name"),
            )
        }),
    }
}

/// `write(text)`: the text that `target/run` keeps.
fn write(root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    root.write(args.require(0, "payload")?.to_string());
    Ok(Value::from(""))
}

/// `render(text)`: a text that holds Jinja itself, in the same context.
fn render(root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Outcome {
    rendered(root, state, &args.require(0, "string")?.to_string())
}

fn rendered(root: &Arc<Root>, state: Vm, text: &str) -> Outcome {
    let rewritten = super::rewrite::template(text)?;
    let context = Value::from_dyn_object(root.clone());
    state.env().render_named_str("rendered text", &rewritten.text, context).map(Value::from)
}

fn try_or_compiler_error(_root: &Arc<Root>, state: Vm, args: &Arguments<'_>) -> Outcome {
    let message = args.require(0, "message_if_exception")?.to_string();
    let function = args.require(1, "func")?.clone();
    function
        .call(state, args.positional.get(2..).unwrap_or_default())
        .map_err(|_| carry(Diagnostic::error("jinja-raised", message)))
}

/// `validation.any[…]`: a check that accepts everything; configs are checked where they are read.
pub(super) fn validate_any(_root: &Arc<Root>, _state: Vm, args: &Arguments<'_>) -> Outcome {
    args.positional.first().cloned().ok_or_else(|| Error::from(ErrorKind::MissingArgument))
}
