//! Enforced contracts: what they need of a model, and the checksum by which dbt tells a changed one.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Column, Node};
use crate::name::ResourceType;
use crate::parse::hex;
use crate::parse::python_text::repr;
use crate::source::Location;

fn is_enforced(node: &Node) -> bool {
    let contract = node.config.get("contract").and_then(|contract| contract.get("enforced")).and_then(Json::as_bool);
    node.resource_type == ResourceType::Model && contract == Some(true)
}

/// Materializations that make a table of their own, which can be held to constraints.
fn holds_constraints(node: &Node) -> bool {
    matches!(node.materialized(), "table" | "incremental")
}

/// An enforced contract needs columns and SQL; a key of several columns belongs to the model.
pub(super) fn check(node: &Node, location: &Location) -> Outcome<()> {
    check_primary_key(node, location)?;
    if !is_enforced(node) {
        return Ok(());
    }
    if node.columns.is_empty() {
        return Diagnostic::error("contract-without-columns", format!("the contract of `{}` has no columns", node.name))
            .at(location.clone())
            .help("list its columns with their `data_type`")
            .fail();
    }
    if node.language != "sql" {
        return Diagnostic::error("contract-not-sql", format!("`{}` is not SQL, so its contract cannot be enforced", node.name))
            .at(location.clone())
            .fail();
    }
    Ok(())
}

fn check_primary_key(node: &Node, location: &Location) -> Outcome<()> {
    let is_key = |constraint: &Json| constraint["type"] == "primary_key";
    let keys: Vec<&str> = node
        .columns
        .values()
        .flat_map(|column| column.constraints.iter().filter(|constraint| is_key(constraint)).map(|_| column.name.as_str()))
        .collect();
    let wrong = |what: String, help: &str| {
        Diagnostic::error("primary-key", format!("`{}` {what}", node.name)).at(location.clone()).help(help.to_string()).fail()
    };
    if keys.len() > 1 {
        let what = format!("has a primary key in each of {} columns ({})", keys.len(), keys.join(", "));
        return wrong(what, "write a key of several columns as one constraint of the model, with `columns`");
    }
    if !keys.is_empty() && node.model.as_ref().is_some_and(|model| model.constraints.iter().any(is_key)) {
        return wrong("has a primary key both of a column and of the model".to_string(), "keep one of them");
    }
    Ok(())
}

/// A warning where a contract has constraints that its materialization cannot be held to.
pub(super) fn unsupported(node: &Node) -> Option<Diagnostic> {
    if !is_enforced(node) || holds_constraints(node) {
        return None;
    }
    let of_model = node.model.iter().flat_map(|model| &model.constraints);
    let mut all = node.columns.values().flat_map(|column| &column.constraints).chain(of_model);
    let warns = all.any(|constraint| constraint["warn_unsupported"].as_bool().unwrap_or(true));
    warns.then(|| {
        let kind = node.materialized();
        let message =
            format!("Constraint types are not supported for {kind} materializations: those of `{}` do nothing", node.name);
        let warning = Diagnostic::warning("constraint-unsupported", message).at(node.location.clone());
        warning.help("set `warn_unsupported: false` on the constraint to hear no more of it")
    })
}

/// Sets the checksum of an enforced contract: dbt's hash over Python's texts of the columns by name and of the constraints.
pub(super) fn set_checksum(node: &mut Node) {
    let is_enforced = is_enforced(node);
    let mut columns: Vec<&Column> = node.columns.values().collect();
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::new();
    for column in columns {
        let data_type = column.data_type.as_deref().unwrap_or("None");
        text.push_str(&format!("|{}{data_type}{}", column.name, constraints("ColumnLevelConstraint", &column.constraints)));
    }
    let of_model = node.model.as_ref().map(|model| constraints("ModelLevelConstraint", &model.constraints));
    if holds_constraints(node) {
        text.push_str(node.materialized());
        text.push_str(&of_model.unwrap_or_default());
    }
    if let Some(model) = &mut node.model {
        model.contract_checksum = is_enforced.then(|| hex(&Sha256::digest(text.as_bytes())));
    }
}

/// `[ColumnLevelConstraint(type=<ConstraintType.check: 'check'>, name=None, …)]`.
fn constraints(class: &str, constraints: &[Json]) -> String {
    let one = |constraint: &Json| {
        let field = |(key, value): (&String, &Json)| match (key.as_str(), value.as_str()) {
            ("type", Some(kind)) => format!("type=<ConstraintType.{kind}: '{kind}'>"),
            _ => format!("{key}={}", repr(value)),
        };
        let fields: Vec<String> = constraint.as_object().into_iter().flatten().map(field).collect();
        format!("{class}({})", fields.join(", "))
    };
    format!("[{}]", constraints.iter().map(one).collect::<Vec<_>>().join(", "))
}
