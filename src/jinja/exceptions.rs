//! `exceptions.…`: mistakes that a project's own Jinja reports.

use std::sync::Arc;

use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::context::{Native, Root};
use super::error::carry;
use super::table;
use crate::diagnostic::Diagnostic;

/// `exceptions.<name>`.
pub(super) fn method(name: &str) -> Option<Native> {
    Some(match name {
        "warn" => warn,
        "warn_snapshot_timestamp_data_types" => warn_of_times,
        "raise_compiler_error"
        | "raise_dependency_error"
        | "raise_database_error"
        | "raise_fail_fast_error"
        | "raise_cache_inconsistent"
        | "raise_ambiguous_alias"
        | "raise_ambiguous_catalog_match"
        | "raise_dataclass_not_dict"
        | "raise_dep_not_found"
        | "raise_duplicate_patch_name"
        | "raise_duplicate_resource_name"
        | "raise_invalid_property_yml_version" => raise,
        "raise_not_implemented" => not_implemented,
        "raise_contract_error" => contract,
        "missing_relation" => missing_relation,
        "missing_config" => missing_config,
        "missing_materialization" => missing_materialization,
        "relation_wrong_type" => wrong_type,
        "column_type_missing" => column_type_missing,
        _ => return None,
    })
}

fn warn(root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let text = args.require(0, "msg")?.to_string();
    if root.scope.warns_are_errors() {
        return Err(raised("jinja-warning", text));
    }
    root.scope.warn(&text);
    Ok(Value::from(""))
}

fn warn_of_times(root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let (stamped, given) = (args.require(0, "snapshot_time_data_type")?, args.require(1, "updated_at_data_type")?);
    root.scope.warn(&format!(
        "Data type of snapshot table timestamp columns ({stamped}) doesn't match derived column 'updated_at' ({given}). Cast it in \
         the snapshot's `updated_at`."
    ));
    Ok(Value::from(""))
}

fn raised(code: &'static str, text: String) -> Error {
    carry(Diagnostic::error(code, text))
}

fn raise(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let text: Vec<String> =
        args.positional.iter().chain(args.named.iter().map(|(_, value)| value)).take(1).map(Value::to_string).collect();
    Err(raised("jinja-raised", text.join(" ")))
}

fn not_implemented(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    Err(raised("not-implemented", args.require(0, "msg")?.to_string()))
}

fn contract(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let columns = |index, name| -> Result<Vec<[String; 2]>, Error> {
        let part = |column: &Value, key: &str| column.get_attr(key).map(|value| value.to_string());
        args.require(index, name)?.try_iter()?.map(|it| Ok([part(&it, "name")?, part(&it, "data_type")?])).collect()
    };
    let (declared, given) = (columns(0, "yaml_columns")?, columns(1, "sql_columns")?);
    if declared.is_empty() {
        let message = "The contract of this model is enforced, but no `columns` are given for it";
        return Err(raised("contract-broken", message.to_string()));
    }
    Err(raised(
        "contract-broken",
        format!(
            "This model has an enforced contract that failed.\nIts columns and those of the query must be as many, with \
             the same names and types:\n\n{}",
            mismatches(&declared, &given)
        ),
    ))
}

/// dbt's table of the columns that a contract and a query do not have in common.
fn mismatches(declared: &[[String; 2]], given: &[[String; 2]]) -> String {
    let mut rows: Vec<[&str; 4]> = Vec::new();
    for [name, data_type] in given {
        match declared.iter().find(|[other, _]| other == name) {
            None => rows.push([name, data_type, "", "missing in contract"]),
            Some([_, other]) if other != data_type => rows.push([name, data_type, other, "data type mismatch"]),
            Some(_) => {}
        }
    }
    let gone = declared.iter().filter(|[name, _]| !given.iter().any(|[other, _]| other == name));
    rows.extend(gone.map(|[name, data_type]| [name.as_str(), "", data_type.as_str(), "missing in definition"]));
    rows.sort_by_key(|row| row[0]);
    table::printed(&["column_name", "definition_type", "contract_type", "mismatch_reason"], &rows)
}

fn missing_relation(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    Err(raised("relation-missing", format!("relation {} does not exist", args.require(0, "relation")?)))
}

fn missing_config(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    Err(raised("config-missing", format!("the config `{}` is required", args.require(1, "name")?)))
}

fn missing_materialization(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let name =
        args.require(0, "model")?.get_attr("config").and_then(|config| config.get_attr("materialized")).unwrap_or_default();
    Err(raised(
        "materialization-missing",
        format!("there is no materialization `{name}` for {}", args.require(1, "adapter_type")?),
    ))
}

fn wrong_type(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let (relation, expected) = (args.require(0, "relation")?, args.require(1, "expected_type")?);
    let found = relation.get_attr("type").unwrap_or_default();
    Err(raised("relation-type", format!("relation {relation} is a {found}, expected a {expected}")))
}

fn column_type_missing(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    Err(raised("column-type-missing", format!("columns need a data type: {}", args.require(0, "column_names")?)))
}
