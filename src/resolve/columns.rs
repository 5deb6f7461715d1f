//! Columns and constraints of property files.

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Column, JsonMap};
use crate::parse::python_text::str_of;
use crate::source::Location;

const CONSTRAINTS: [&str; 6] = ["check", "not_null", "unique", "primary_key", "foreign_key", "custom"];

/// A column's own keys; any other is carried along.
const KNOWN: [&str; 15] = [
    "name",
    "description",
    "meta",
    "data_type",
    "constraints",
    "quote",
    "config",
    "tags",
    "granularity",
    "dimension",
    "entity",
    "doc_blocks",
    "docs",
    "data_tests",
    "tests",
];

/// The columns by name; descriptions are not rendered yet.
pub(crate) fn columns<'a>(
    entries: impl IntoIterator<Item = &'a JsonMap>,
    location: &Location,
) -> Outcome<IndexMap<String, Column>> {
    let entries = entries.into_iter();
    let mut columns = IndexMap::with_capacity(entries.size_hint().0);
    for entry in entries {
        let Some(name) = entry.get("name").map(str_of) else {
            return Diagnostic::error("column-without-name", "a column has no name").at(location.clone()).fail();
        };
        let column = column(&name, entry, location)?;
        columns.insert(name, column);
    }
    Ok(columns)
}

fn column(name: &str, entry: &JsonMap, location: &Location) -> Outcome<Column> {
    let config = entry.get("config").and_then(Json::as_object);
    let mut meta = object(entry.get("meta"));
    meta.extend(object(config.and_then(|config| config.get("meta"))));
    let mut tags = texts(entry.get("tags"));
    for tag in texts(config.and_then(|config| config.get("tags"))) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let constraints = entry.get("constraints").and_then(Json::as_array).cloned().unwrap_or_default();
    let constraints = constraints.iter().map(|given| constraint(given, false, location)).collect::<Outcome<Vec<_>>>()?;
    let mut own_config = JsonMap::new();
    own_config.insert("meta".to_string(), Json::Object(meta.clone()));
    own_config.insert("tags".to_string(), Json::from(tags.clone()));
    let extra: JsonMap =
        entry.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(Column {
        name: name.to_string(),
        description: text(entry.get("description")).unwrap_or_default(),
        meta: meta.into(),
        data_type: text(entry.get("data_type")),
        constraints,
        quote: entry.get("quote").and_then(Json::as_bool),
        config: own_config.into(),
        tags,
        granularity: text(entry.get("granularity")),
        doc_blocks: Vec::new(),
        extra: extra.into(),
    })
}

/// A constraint with all fields dbt gives it; one of a model also has `columns`.
pub(crate) fn constraint(given: &Json, of_model: bool, location: &Location) -> Outcome<Json> {
    let kind = given.get("type").and_then(Json::as_str).unwrap_or_default();
    if !CONSTRAINTS.contains(&kind) {
        return Diagnostic::error("constraint-invalid", format!("unknown constraint type `{kind}`"))
            .at(location.clone())
            .help(format!("expected one of {}", CONSTRAINTS.join(", ")))
            .suggest(kind, CONSTRAINTS)
            .fail();
    }
    let mut complete = json!({
        "type": kind, "name": null, "expression": null, "warn_unenforced": true, "warn_unsupported": true, "to": null,
        "to_columns": [],
    });
    if let (Json::Object(complete), Json::Object(given)) = (&mut complete, given) {
        if of_model {
            complete.insert("columns".to_string(), json!([]));
        }
        let known: Vec<String> = complete.keys().cloned().collect();
        complete.extend(known.into_iter().filter_map(|key| given.get(&key).map(|value| (key, value.clone()))));
    }
    Ok(complete)
}

pub(crate) fn object(value: Option<&Json>) -> JsonMap {
    value.and_then(Json::as_object).cloned().unwrap_or_default()
}

/// A text, or a scalar as text; none for null.
pub(crate) fn text(value: Option<&Json>) -> Option<String> {
    value.filter(|value| !value.is_null()).map(str_of)
}

/// A list of texts, or one text as a list.
pub(crate) fn texts(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::Array(items)) => items.iter().map(str_of).collect(),
        Some(Json::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// The entries of a list of mappings.
pub(crate) fn objects(value: Option<&Json>) -> Vec<&JsonMap> {
    value.and_then(Json::as_array).map(|items| items.iter().filter_map(Json::as_object).collect()).unwrap_or_default()
}
