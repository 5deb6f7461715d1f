//! Contracts: a model's columns are those its property file declares, in name and type, and its rows keep to the constraints.
//!
//! Types are compared without their sizes, as dbt's PostgreSQL adapter does, and a little further: engines differ in the size
//! they infer. Values are then stored in exactly the type declared.

use serde_json::Value as Json;

use crate::adapter::Constraint;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Column, Node};
use crate::name::{ResourceType, quote_identifier};
use crate::rows::ColumnType;

/// Constraints that a write is held to; the others are promises of the project's.
const ENFORCED: [&str; 2] = ["not_null", "check"];

/// Whether the node's columns are held to its contract.
pub fn is_enforced(node: &Node) -> bool {
    let contract = node.config.get("contract").and_then(|contract| contract.get("enforced")).and_then(Json::as_bool);
    node.resource_type == ResourceType::Model && contract == Some(true) && !node.is_ephemeral()
}

/// A query without rows whose columns are the declared ones.
pub fn declared_query(node: &Node) -> Outcome<String> {
    let missing: Vec<String> =
        node.columns.values().filter(|column| column.data_type.is_none()).map(|column| format!("'{}'", column.name)).collect();
    if !missing.is_empty() {
        let columns = missing.join(", ");
        return Diagnostic::error(
            "contract-without-type",
            format!("Contracted models require data_type to be defined for each column: [{columns}] have none"),
        )
        .at(node.location.clone())
        .help("give each column of the contract its `data_type`")
        .fail();
    }
    let column =
        |column: &Column| format!("cast(null as {}) as {}", column.data_type.as_deref().unwrap_or_default(), column_name(column));
    Ok(format!("select {} where false", node.columns.values().map(column).collect::<Vec<_>>().join(", ")))
}

/// As it stands in SQL: quoted only where the property file says so.
fn column_name(column: &Column) -> String {
    if column.quote == Some(true) { quote_identifier(&column.name) } else { column.name.clone() }
}

/// Compares what the query gives with what is declared.
///
/// # Errors
/// `contract-broken`, with dbt's table of the differences.
pub fn check(node: &Node, declared: &[ColumnType], given: &[ColumnType]) -> Outcome<()> {
    let mut differences: Vec<[&str; 4]> = Vec::new();
    for column in given {
        match declared.iter().find(|other| other.name == column.name) {
            None => differences.push([&column.name, &column.data_type, "", "missing in contract"]),
            Some(other) if !same_kind(&other.data_type, &column.data_type) => {
                differences.push([&column.name, &column.data_type, &other.data_type, "data type mismatch"]);
            }
            Some(_) => {}
        }
    }
    let gone = declared.iter().filter(|column| !given.iter().any(|other| other.name == column.name));
    differences.extend(gone.map(|column| [column.name.as_str(), "", &column.data_type, "missing in definition"]));
    if differences.is_empty() {
        return Ok(());
    }
    differences.sort_by_key(|row| row[0]);
    Diagnostic::error(
        "contract-broken",
        format!(
            "This model has an enforced contract that failed.\nIts columns and those of the query must be as many, with \
             the same names and types:\n\n{}",
            table(&differences)
        ),
    )
    .at(node.location.clone())
    .fail()
}

/// Whether two types differ in nothing but size: whole numbers are one kind, numbers with a fraction another, whether binary
/// or decimal, as engines infer either for the same expression. A decimal without fraction is both.
fn same_kind(declared: &str, given: &str) -> bool {
    let (declared, given) = (kind(declared), kind(given));
    declared == given
        || matches!((declared, given), ("whole decimal", "integer" | "fraction") | ("integer" | "fraction", "whole decimal"))
}

fn kind(data_type: &str) -> &str {
    match data_type {
        "smallint" | "integer" | "bigint" => "integer",
        "real" | "double precision" => "fraction",
        numeric if numeric.starts_with("numeric(") && numeric.ends_with(",0)") => "whole decimal",
        numeric if numeric.starts_with("numeric") => "fraction",
        other => other.split('(').next().unwrap_or(other),
    }
}

fn table(rows: &[[&str; 4]]) -> String {
    let head = ["column_name", "definition_type", "contract_type", "mismatch_reason"];
    let width = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |row: &[&str; 4]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.map(|width| "-".repeat(width));
    let lines = [line(&head), line(&[&rule[0], &rule[1], &rule[2], &rule[3]])].into_iter().chain(rows.iter().map(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// The query with its columns in the contract's order and types; a view stays as it is written.
pub fn shaped(node: &Node, sql: &str, declared: &[ColumnType], given: &[ColumnType]) -> String {
    if node.materialized() == "view" {
        return sql.to_string();
    }
    let column = |column: &ColumnType| {
        let name = quote_identifier(&column.name);
        let same = given.iter().any(|other| other == column);
        let own = node.columns.values().find(|own| own.name.eq_ignore_ascii_case(&column.name));
        match own.and_then(|own| own.data_type.as_deref()) {
            Some(data_type) if !same && has_size(data_type) => format!("cast({name} as {data_type}) as {name}"),
            _ => name,
        }
    };
    let columns = declared.iter().map(column).collect::<Vec<_>>().join(", ");
    format!("select {columns}\nfrom (\n{sql}\n) as model_subq")
}

/// A decimal without precision takes what the query gives.
fn has_size(data_type: &str) -> bool {
    !matches!(data_type.trim().to_lowercase().as_str(), "numeric" | "decimal" | "number")
}

/// The constraints that the table's rows are held to, each with a name of its own.
pub fn enforced_constraints(node: &Node) -> Vec<Constraint> {
    let mut constraints: Vec<Constraint> = Vec::new();
    for (column, constraint) in all_constraints(node).filter(|_| is_enforced(node)) {
        let expression = constraint["expression"].as_str().filter(|text| !text.trim().is_empty());
        let kind = constraint["type"].as_str().unwrap_or_default();
        let columns: Vec<String> = match column {
            Some(column) => vec![column_name(column)],
            None => super::strings(constraint.get("columns")),
        };
        let made: Vec<(String, String)> = match (kind, expression) {
            ("not_null", _) => columns.iter().map(|name| (format!("not_null_{name}"), format!("{name} is not null"))).collect(),
            ("check", Some(expression)) => vec![(format!("check_{}", columns.join("_")), expression.to_string())],
            _ => Vec::new(),
        };
        for (default, expression) in made {
            let name = constraint["name"].as_str().map_or(default, str::to_string);
            let taken = constraints.iter().filter(|other| other.name.starts_with(&name)).count();
            let name = if taken == 0 { name } else { format!("{name}_{}", taken + 1) };
            constraints.push(Constraint { name, expression });
        }
    }
    constraints
}

/// Warnings about constraints that are not enforced here.
pub fn notices(node: &Node, adapter: &str) -> Vec<Diagnostic> {
    if !is_enforced(node) || node.materialized() == "view" {
        return Vec::new();
    }
    let is_asked = |constraint: &Json, key: &str| constraint[key].as_bool().unwrap_or(true);
    let notice = |(_, constraint): (Option<&Column>, &Json)| {
        let kind = constraint["type"].as_str().unwrap_or_default();
        if ENFORCED.contains(&kind) {
            return None;
        }
        let (says, key) = match kind {
            "custom" => ("supported", "warn_unsupported"),
            _ => ("enforced", "warn_unenforced"),
        };
        let message = format!("The constraint type {kind} is not {says} by {adapter}: `{}` is built without it", node.name);
        let warning = Diagnostic::warning("constraint-not-enforced", message).at(node.location.clone());
        is_asked(constraint, key).then(|| warning.help(format!("set `{key}: false` on the constraint to hear no more of it")))
    };
    let mut told: Vec<Diagnostic> = Vec::new();
    for warning in all_constraints(node).filter_map(notice) {
        if !told.iter().any(|other| other.message == warning.message) {
            told.push(warning);
        }
    }
    told
}

/// Those of columns with their column, then those of the model.
fn all_constraints(node: &Node) -> impl Iterator<Item = (Option<&Column>, &Json)> {
    let of_columns =
        node.columns.values().flat_map(|column| column.constraints.iter().map(move |constraint| (Some(column), constraint)));
    let of_model = node.model.iter().flat_map(|model| model.constraints.iter().map(|constraint| (None, constraint)));
    of_columns.chain(of_model)
}
