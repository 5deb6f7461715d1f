//! Rows written in a unit test as the query that gives them: every value cast to its column's type, what a row leaves out null.

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::name::quote_identifier;
use crate::rows::ColumnType;

/// An input's text as it stands in its CTE.
#[derive(Clone, Debug, PartialEq)]
pub enum Fixture {
    Sql(String),
    /// Written as SQL by a person: its Jinja is rendered first.
    Template(String),
}

/// The rows of an input or of the expectation, before any type is known.
#[derive(Clone, Debug, PartialEq)]
pub enum FixtureRows {
    /// Mappings of column to value, from `dict` and `csv` alike.
    Values(Vec<Json>),
    Sql(String),
}

impl FixtureRows {
    /// Reads `{rows, format}` as the manifest holds it.
    pub fn of(fixture: &Json) -> Self {
        match (&fixture["format"], &fixture["rows"]) {
            (Json::String(format), Json::String(text)) if format == "sql" => Self::Sql(text.clone()),
            (_, Json::Array(rows)) => Self::Values(rows.clone()),
            _ => Self::Values(Vec::new()),
        }
    }
}

/// The query of an input's rows. `subject` is what messages call it: `'stg_orders'`.
pub fn fixture_sql(subject: &str, rows: &[Json], columns: &[ColumnType]) -> Outcome<String> {
    let mut selects = Vec::with_capacity(rows.len());
    for row in rows {
        let given = cells(subject, row, columns)?;
        let cell = |column: &ColumnType| {
            let value = given.get(&column.name.to_lowercase()).cloned().unwrap_or_else(|| typed(&Json::Null, &column.data_type));
            format!("{value} as {}", quote_identifier(&column.name))
        };
        selects.push(format!("select {}", columns.iter().map(cell).collect::<Vec<_>>().join(", ")));
    }
    if selects.is_empty() {
        let cell =
            |column: &ColumnType| format!("{} as {}", typed(&Json::Null, &column.data_type), quote_identifier(&column.name));
        return Ok(format!("select {}\nwhere false", columns.iter().map(cell).collect::<Vec<_>>().join(", ")));
    }
    Ok(selects.join("\nunion all\n"))
}

/// The query of the expected rows, with the columns of the first of them, and these columns; none where no row is expected.
pub fn expected_sql(rows: &[Json], columns: &[ColumnType]) -> Outcome<Option<(String, Vec<String>)>> {
    const SUBJECT: &str = "expected output";
    let Some(first) = rows.first() else { return Ok(None) };
    let order: Vec<String> = cells(SUBJECT, first, columns)?.into_keys().collect();
    let name_of = |key: &String| columns.iter().find(|column| column.name.to_lowercase() == *key).map(|column| &column.name);
    let names: Vec<String> = order.iter().map(|key| name_of(key).unwrap_or(key).clone()).collect();
    let mut selects = Vec::with_capacity(rows.len());
    for row in rows {
        let given = cells(SUBJECT, row, columns)?;
        let same = given.len() == order.len() && order.iter().all(|key| given.contains_key(key));
        if !same {
            return Diagnostic::error("unit-test-rows", "the rows of the expected output do not all have the same columns")
                .help(format!("the first row has {}; write `null` where a row has no value", order.join(", ")))
                .help(format!("another row has {}", given.into_keys().collect::<Vec<_>>().join(", ")))
                .fail();
        }
        let cell = |(key, name): (&String, &String)| format!("{} as {}", given[key], quote_identifier(name));
        selects.push(format!("select {}", order.iter().zip(&names).map(cell).collect::<Vec<_>>().join(", ")));
    }
    Ok(Some((selects.join("\nunion all\n"), names)))
}

/// A row's values as SQL by column in lower case.
fn cells(subject: &str, row: &Json, columns: &[ColumnType]) -> Outcome<IndexMap<String, String>> {
    let Some(row) = row.as_object() else {
        return Diagnostic::error("unit-test-rows", format!("a row of {subject} is not a mapping of columns to values")).fail();
    };
    let cell = |(name, value): (&String, &Json)| {
        let key = name.to_lowercase();
        let Some(column) = columns.iter().find(|column| column.name.to_lowercase() == key) else {
            let known: Vec<String> = columns.iter().map(|column| format!("'{}'", column.name.to_lowercase())).collect();
            let message = format!(
                "Invalid column name: '{key}' in unit test fixture for {subject}.\nAccepted columns for {subject} are: [{}]",
                known.join(", ")
            );
            return Diagnostic::error("unit-test-column", message)
                .suggest(&key, columns.iter().map(|column| column.name.as_str()))
                .fail();
        };
        Ok((key, typed(value, &column.data_type)))
    };
    row.iter().map(cell).collect()
}

/// A value cast to its column's type. Text keeps its whole length, so that a value too long is seen.
fn typed(value: &Json, data_type: &str) -> String {
    let base = data_type.split('(').next().unwrap_or(data_type);
    let data_type = if value.is_string() && base.contains("varying") { base } else { data_type };
    // A type without a literal form of its own takes the value as it is.
    match data_type {
        "" | "record" => literal(value),
        _ => format!("cast({} as {data_type})", literal(value)),
    }
}

fn literal(value: &Json) -> String {
    match value {
        Json::Null => "null".to_string(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => format!("'{}'", text.replace('\'', "''")),
        Json::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("'{}': {}", key.replace('\'', "''"), literal(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}
