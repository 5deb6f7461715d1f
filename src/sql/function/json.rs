//! JSON held in text: PostgreSQL's operators and the path functions of Redshift and others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use serde_json::Value as Json;

use super::{DataTypeOf, Function, Gives, Kind, REPEATS};

pub(super) const FUNCTIONS: &[Function] = &[
    row("json_get", &[Kind::Text, Kind::Any], 0, DataTypeOf::Text, get),
    row("json_get_text", &[Kind::Text, Kind::Any], 0, DataTypeOf::Text, get_text),
    row("json_path", &[Kind::Text, Kind::Text], 0, DataTypeOf::Text, path),
    row("json_path_text", &[Kind::Text, Kind::Text], 0, DataTypeOf::Text, path_text),
    row("json_contains", &[Kind::Text, Kind::Text], 0, DataTypeOf::Boolean, contains),
    row("json_extract_path_text", &[Kind::Text, Kind::Text, Kind::Text], REPEATS, DataTypeOf::Text, extract_path_text),
    row("json_extract_path", &[Kind::Text, Kind::Text, Kind::Text], REPEATS, DataTypeOf::Text, extract_path),
    row("json_extract_array_element_text", &[Kind::Text, Kind::Any], 0, DataTypeOf::Text, get_text),
    row("json_array_length", &[Kind::Text], 0, DataTypeOf::Integer, array_length),
    row("jsonb_array_length", &[Kind::Text], 0, DataTypeOf::Integer, array_length),
    row("json_typeof", &[Kind::Text], 0, DataTypeOf::Text, type_of),
    row("jsonb_typeof", &[Kind::Text], 0, DataTypeOf::Text, type_of),
    row("is_valid_json", &[Kind::Text], 0, DataTypeOf::Boolean, is_valid),
    row("json_valid", &[Kind::Text], 0, DataTypeOf::Boolean, is_valid),
    row("json_parse", &[Kind::Text], 0, DataTypeOf::Text, parse_strictly),
    row("parse_json", &[Kind::Text], 0, DataTypeOf::Text, parse_strictly),
    row("json_serialize", &[Kind::Text], 0, DataTypeOf::Text, parse_strictly),
];

const fn row(name: &'static str, takes: &'static [Kind], optional: usize, gives: DataTypeOf, body: super::Body) -> Function {
    Function { name, takes, optional, gives: Gives::Type(gives), body }
}

/// A row's document; what is not JSON is an error, as in PostgreSQL.
fn document(values: &StringArray, row: usize) -> Result<Option<Json>> {
    if values.is_null(row) {
        return Ok(None);
    }
    match serde_json::from_str(values.value(row)) {
        Ok(json) => Ok(Some(json)),
        Err(error) => exec_err!("invalid input syntax for type json: {error}"),
    }
}

/// What `->>` gives: text without its quotes, null for JSON's null.
fn unquoted(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => whole(other),
    }
}

/// One step: a key of an object, an index of an array (from the end if negative).
fn step<'a>(json: &'a Json, key: &str) -> Option<&'a Json> {
    match json {
        Json::Object(fields) => fields.get(key),
        Json::Array(items) => {
            let index: i64 = key.parse().ok()?;
            let index = if index < 0 { items.len().checked_sub(index.unsigned_abs() as usize)? } else { index as usize };
            items.get(index)
        }
        _ => None,
    }
}

fn by_key(args: &[ArrayRef], show: fn(&Json) -> Option<String>) -> Result<ArrayRef> {
    let values = args[0].as_string::<i32>();
    let by_index = args[1].data_type().is_integer();
    let indexes = if by_index { Some(cast(&args[1], &DataType::Int64)?) } else { None };
    let keys = cast(&args[1], &DataType::Utf8)?;
    let keys = keys.as_string::<i32>();
    let result = (0..values.len()).map(|row| {
        let Some(json) = document(values, row)? else { return Ok(None) };
        if keys.is_null(row) || (indexes.is_some() && !json.is_array()) {
            return Ok(None);
        }
        let key = indexes.as_ref().map(|array| array.as_primitive::<Int64Type>().value(row).to_string());
        Ok(step(&json, key.as_deref().unwrap_or(keys.value(row))).and_then(show))
    });
    Ok(Arc::new(result.collect::<Result<StringArray>>()?))
}

fn whole(json: &Json) -> Option<String> {
    let mut text = String::new();
    spell(json, &mut text);
    Some(text)
}

/// JSON as `jsonb` prints it: a space after `:` and `,`.
fn spell(json: &Json, text: &mut String) {
    match json {
        Json::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n > 0 { ", " } else { "" });
                spell(item, text);
            }
            text.push(']');
        }
        Json::Object(fields) => {
            text.push('{');
            for (n, (key, value)) in fields.iter().enumerate() {
                text.push_str(if n > 0 { ", " } else { "" });
                text.push_str(&Json::from(key.as_str()).to_string());
                text.push_str(": ");
                spell(value, text);
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn get(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    by_key(args, whole)
}

fn get_text(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    by_key(args, unquoted)
}

fn by_path(
    args: &[ArrayRef],
    steps: impl Fn(usize) -> Option<Vec<String>>,
    show: fn(&Json) -> Option<String>,
) -> Result<ArrayRef> {
    let values = args[0].as_string::<i32>();
    let result = (0..values.len()).map(|row| {
        let (Some(json), Some(steps)) = (document(values, row)?, steps(row)) else { return Ok(None) };
        let found = steps.iter().try_fold(&json, |json, key| step(json, key));
        Ok(found.and_then(show))
    });
    Ok(Arc::new(result.collect::<Result<StringArray>>()?))
}

/// `#>`'s path: `{a,b,0}`.
fn braces(args: &[ArrayRef]) -> impl Fn(usize) -> Option<Vec<String>> + '_ {
    let paths = args[1].as_string::<i32>();
    move |row| {
        let text = (!paths.is_null(row)).then(|| paths.value(row))?;
        let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
        Some(inner.split(',').map(|key| key.trim().trim_matches('"').to_string()).filter(|key| !key.is_empty()).collect())
    }
}

fn path(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    by_path(args, braces(args), whole)
}

fn path_text(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    by_path(args, braces(args), unquoted)
}

/// One key an argument, or one `$.a.b[0]` path.
fn arguments(args: &[ArrayRef]) -> impl Fn(usize) -> Option<Vec<String>> + '_ {
    let keys: Vec<&StringArray> = args[1..].iter().map(|array| array.as_string::<i32>()).collect();
    move |row| {
        if keys.iter().any(|column| column.is_null(row)) {
            return None;
        }
        match keys.as_slice() {
            [only] if only.value(row).starts_with('$') => Some(json_path(only.value(row))),
            keys => Some(keys.iter().map(|column| column.value(row).to_string()).collect()),
        }
    }
}

fn json_path(text: &str) -> Vec<String> {
    let text = text.trim_start_matches('$');
    text.split(['.', '[', ']']).map(|key| key.trim_matches(['\'', '"']).to_string()).filter(|key| !key.is_empty()).collect()
}

fn extract_path_text(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    by_path(args, arguments(args), unquoted)
}

fn extract_path(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    by_path(args, arguments(args), whole)
}

fn contains(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (left, right) = (args[0].as_string::<i32>(), args[1].as_string::<i32>());
    let result = (0..left.len()).map(|row| Ok(document(left, row)?.zip(document(right, row)?).map(|(l, r)| holds(&l, &r))));
    Ok(Arc::new(result.collect::<Result<BooleanArray>>()?))
}

/// PostgreSQL's `@>`: every part of the right side is somewhere at the same level of the left.
fn holds(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Object(left), Json::Object(right)) => {
            right.iter().all(|(key, value)| left.get(key).is_some_and(|own| holds(own, value)))
        }
        (Json::Array(left), Json::Array(right)) => right.iter().all(|value| left.iter().any(|own| holds(own, value))),
        (Json::Array(left), scalar) => left.contains(scalar),
        (left, right) => left == right,
    }
}

fn array_length(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = args[0].as_string::<i32>();
    let result = (0..values.len()).map(|row| match document(values, row)? {
        Some(Json::Array(items)) => Ok(Some(items.len() as i64)),
        Some(_) => exec_err!("cannot get array length of a non-array"),
        None => Ok(None),
    });
    Ok(Arc::new(result.collect::<Result<Int64Array>>()?))
}

fn type_of(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = args[0].as_string::<i32>();
    let result = (0..values.len()).map(|row| {
        Ok(document(values, row)?.map(|json| match json {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }))
    });
    Ok(Arc::new(result.collect::<Result<StringArray>>()?))
}

fn is_valid(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let valid = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    Ok(Arc::new(args[0].as_string::<i32>().iter().map(|value| value.map(valid)).collect::<BooleanArray>()))
}

fn parse_strictly(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = args[0].as_string::<i32>();
    let result = (0..values.len()).map(|row| Ok(document(values, row)?.map(|_| values.value(row).to_string())));
    Ok(Arc::new(result.collect::<Result<StringArray>>()?))
}
