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

/// What a data test counts of its column, where that is known without its query: it can then be counted along with others.
#[derive(Clone, Debug, PartialEq)]
pub enum Counts {
    /// Rows where the column is null.
    Nulls { column: String },
    /// Values that stand in more than one row.
    Repeated { column: String },
    /// Rows whose value is none of `list`. The test counts values, so only that there are none is its answer.
    Others { column: String, list: String },
}

/// What the test counts, if it is one of the plain generic tests without a config that changes its query.
pub fn counts(node: &Node, flag: bool) -> Option<Counts> {
    let test = node.test.as_deref().filter(|test| test.namespace.is_none())?;
    let plain = |key: &str| node.config.get(key).is_none_or(Json::is_null);
    let counts_rows = node.config_str("fail_calc").unwrap_or("count(*)") == "count(*)";
    if !plain("where") || !plain("limit") || !counts_rows || stores_failures(node, flag) {
        return None;
    }
    let column = test.kwargs.get("column_name")?.as_str()?.to_string();
    let takes = |names: &[&str]| test.kwargs.keys().all(|key| names.contains(&key.as_str()));
    match test.name.as_str() {
        "not_null" if takes(&["model", "column_name"]) => Some(Counts::Nulls { column }),
        "unique" if takes(&["model", "column_name"]) => Some(Counts::Repeated { column }),
        "accepted_values" if takes(&["model", "column_name", "values", "quote"]) => {
            let quote = test.kwargs.get("quote").is_none_or(|quote| quote == &Json::Bool(true));
            let values = test.kwargs.get("values")?.as_array().filter(|values| !values.is_empty())?;
            let list = values.iter().map(|value| plain_value(value, quote)).collect::<Option<Vec<_>>>()?.join(", ");
            Some(Counts::Others { column, list })
        }
        _ => None,
    }
}

/// A value as the test's macro writes it; none where it holds Jinja or is spelt in another way there.
fn plain_value(value: &Json, quote: bool) -> Option<String> {
    let text = match value {
        Json::String(text) if !text.contains(['{', '(']) => text.clone(),
        Json::Number(number) if number.is_i64() => number.to_string(),
        _ => return None,
    };
    Some(if quote { format!("'{text}'") } else { text })
}

/// The thresholds of a test on an expression that counts its failures: what [`Check`] gives, as three columns.
pub fn judged(node: &Node, failures: &str) -> [String; 3] {
    let judged = |key| format!("{failures} {}", node.config_str(key).unwrap_or("!= 0"));
    [failures.to_string(), judged("warn_if"), judged("error_if")]
}
