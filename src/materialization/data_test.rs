//! `test`: a query whose rows are failures, counted and compared with the thresholds; the rows are kept where the project asks.

use serde_json::Value as Json;

use super::{Check, Input, Work};
use crate::adapter::{Operation, TableOptions};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Node;

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    let node = input.node;
    let limit = node.config.get("limit").and_then(Json::as_i64);
    let sql = match limit {
        Some(limit) => format!("{}\n  limit {limit}", input.compiled.sql),
        None => input.compiled.sql.clone(),
    };
    if !stores_failures(node, input.switches.store_failures) {
        return Ok(Work { check: Some(count(node, &sql)), ..Work::default() });
    }
    let relation = input.compiled.relation.clone();
    let stored = format!("select *\nfrom {relation}");
    let operation = match node.config_str("store_failures_as").unwrap_or("table") {
        "table" => Operation::CreateTableAs { relation, sql, options: TableOptions::default() },
        "view" => Operation::CreateView { relation, sql, description: None },
        other => return invalid_kind(node, other),
    };
    Ok(Work { operations: vec![operation], check: Some(count(node, &stored)), ..Work::default() })
}

/// Whether the failing rows are kept: `store_failures` if set, else the flag; never with `store_failures_as: ephemeral`.
pub fn stores_failures(node: &Node, flag: bool) -> bool {
    node.config_str("store_failures_as") != Some("ephemeral") && node.config_bool("store_failures").unwrap_or(flag)
}

fn invalid_kind<T>(node: &Node, kind: &str) -> Outcome<T> {
    Diagnostic::error("store-failures-as", format!("`store_failures_as` is `{kind}`; it can be ephemeral, table or view"))
        .at(node.location.clone())
        .suggest(kind, ["ephemeral", "table", "view"])
        .fail()
}

/// dbt's `get_test_sql`.
fn count(node: &Node, sql: &str) -> Check {
    let config = |key, default| node.config_str(key).unwrap_or(default);
    let (calc, warn, error) = (config("fail_calc", "count(*)"), config("warn_if", "!= 0"), config("error_if", "!= 0"));
    let head =
        format!("select\n  {calc} as failures,\n  {calc} {warn} as should_warn,\n  {calc} {error} as should_error\nfrom (\n");
    Check { sql: format!("{head}{sql}\n) dbt_internal_test") }
}
