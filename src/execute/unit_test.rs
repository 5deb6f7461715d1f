//! One unit test: the model's code over the given rows against the expected rows, in one query that reads no relation.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::clock::Clock;
use super::message::{CompiledFile, Failure, Sent};
use super::node::{blank_result, cannot_write};
use super::session::Session;
use super::table_diff::{Tables, Text, differences};
use super::{input_columns, target};
use crate::adapter::AdapterError;
use crate::artifact::TargetFolder;
use crate::compile::{CompiledNode, Fixture, FixtureRows, Inputs, compile_over_inputs, expected_sql, fixture_sql, given};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Node, OtherResource};
use crate::name::{UniqueId, quote_identifier};
use crate::plan::Verb;
use crate::result::{NodeResult, Status};
use crate::rows::{Cell, ColumnType, Rows};

/// The column that tells the two sides apart.
const SIDE: &str = "actual_or_expected";

/// Runs one unit test to its result; `node` is the test as a node. Never fails: every error is in the result.
pub(super) async fn run(session: &Arc<Session>, test: &OtherResource, node: &Arc<Node>, thread_id: String) -> NodeResult {
    let mut clock = Clock::start();
    let mut compiled = None;
    let outcome = work(session, test, node, (&mut clock, &mut compiled)).await;
    let mut result = blank_result(session, node, thread_id);
    result.execution_time = clock.elapsed();
    result.timing = clock.timing;
    if let Some(compiled) = compiled {
        result.compiled = Some(true);
        result.compiled_code = Some(compiled.sql);
    }
    match outcome {
        Ok(None) => result.status = if session.run.plan.verb == Verb::Compile { Status::Success } else { Status::Pass },
        Ok(Some(table)) => {
            result.status = Status::Fail;
            result.message = Some(format!("\n\nactual differs from expected:\n\n{table}\n"));
        }
        Err(failure) => (result.status, result.message) = (Status::Error, Some(failure.message(node, &session.run))),
    }
    if matches!(result.status, Status::Pass | Status::Fail) {
        result.failures = Some(i64::from(result.status == Status::Fail));
        result.adapter_response = Map::from_iter([("_message".to_string(), Json::from("OK"))]);
    }
    result
}

/// The table of differences; none if the test passes.
async fn work(
    session: &Arc<Session>,
    test: &OtherResource,
    node: &Arc<Node>,
    (clock, kept): (&mut Clock, &mut Option<CompiledNode>),
) -> Result<Option<String>, Failure> {
    let world = session.run.world.clone();
    let compiled = clock.time("compile", world.as_ref(), compile_step(session, test, node)).await?;
    *kept = Some(compiled.clone());
    if session.run.plan.verb == Verb::Compile {
        return Ok(None);
    }
    clock.time("execute", world.as_ref(), compare(session, test, node, &compiled)).await
}

async fn compile_step(session: &Arc<Session>, test: &OtherResource, node: &Arc<Node>) -> Result<CompiledNode, Failure> {
    let tested_id = test.depends_on.nodes.first().cloned().unwrap_or_else(|| test.unique_id.clone());
    let Some(tested) = session.run.manifest.nodes.get(&tested_id).cloned() else {
        return Err(Failure::Runtime(format!("the model of unit test `{}` is not in the manifest", test.name)));
    };
    let mut inputs = Inputs::new();
    for (id, rows) in given(test, &tested, &session.context)? {
        let fixture = match rows {
            FixtureRows::Sql(text) => Fixture::Template(text),
            FixtureRows::Values(rows) => Fixture::Sql(values(session, test, (&id, id == tested_id), &rows).await?),
        };
        inputs.insert(id, fixture);
    }
    let overrides = test.json.get("overrides").cloned().unwrap_or_default();
    let (context, subject) = (session.context.clone(), node.clone());
    let compiled = session.blocking(move || compile_over_inputs(&subject, &tested, inputs, &overrides, &context)).await?;
    target::write(session, TargetFolder::Compiled, node, &compiled.sql).map_err(|error| cannot_write(&error))?;
    Ok(compiled)
}

/// The query of an input's rows, with the columns of what it stands for.
async fn values(
    session: &Arc<Session>,
    test: &OtherResource,
    (id, is_this): (&UniqueId, bool),
    rows: &[Json],
) -> Result<String, Failure> {
    let columns = match is_this {
        true => input_columns::columns_of_this(session, id).await?,
        false => input_columns::columns_of(session, id).await?,
    };
    let manifest = &session.run.manifest;
    let name = manifest.nodes.get(id).map(|node| &node.name).or_else(|| manifest.sources.get(id).map(|source| &source.name));
    let subject = format!("'{}'", name.map_or(id.as_str(), String::as_str));
    Ok(at_test(fixture_sql(&subject, rows, &columns), test)?)
}

/// Mistakes in rows are told of at the test.
fn at_test<T>(outcome: Outcome<T>, test: &OtherResource) -> Outcome<T> {
    outcome.map_err(|mut error: Box<Diagnostic>| {
        error.location.get_or_insert_with(|| test.location.clone());
        error
    })
}

async fn compare(
    session: &Arc<Session>,
    test: &OtherResource,
    node: &Node,
    compiled: &CompiledNode,
) -> Result<Option<String>, Failure> {
    let fails = |error: AdapterError, sql: &str| in_execution(session, (test, node), compiled, error, sql);
    let columns = session.run.adapter.query_columns(&compiled.sql).await.map_err(|error| fails(error, &compiled.sql))?;
    let expect = test.json.get("expect").cloned().unwrap_or_default();
    let expected = match FixtureRows::of(&expect) {
        FixtureRows::Sql(text) => Some((text.trim().trim_end_matches(';').to_string(), names(&columns))),
        FixtureRows::Values(rows) => at_test(expected_sql(&rows, &columns), test)?,
    };
    let (sql, names) = both_sides(&compiled.sql, expected, &columns);
    target::write(session, TargetFolder::Run, node, &sql).map_err(|error| cannot_write(&error))?;
    let rows = session.run.adapter.query(&sql, None).await.map_err(|error| fails(error, &sql))?;
    Ok(table_of_differences(&names, rows))
}

fn names(columns: &[ColumnType]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

/// Actual and expected rows in one query, so that both have the same types, and the names of the compared columns.
fn both_sides(actual: &str, expected: Option<(String, Vec<String>)>, columns: &[ColumnType]) -> (String, Vec<String>) {
    let (expected, names) = match expected {
        Some((sql, names)) => (Some(sql), names),
        None => (None, names(columns)),
    };
    let list = names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ");
    let side = |sql: &str, side: &str| {
        format!(
            "select {list}, '{side}' as {SIDE}\nfrom (\n{}\n) _dbt_internal_unit_test_{side}",
            sql.trim_end().trim_end_matches(';')
        )
    };
    let mut sql = side(actual, "actual");
    if let Some(expected) = expected {
        sql = format!("{sql}\nunion all\n{}", side(&expected, "expected"));
    }
    (sql, names)
}

/// Compares the two sides' rows, whatever their order.
fn table_of_differences(names: &[String], rows: Rows) -> Option<String> {
    let (mut actual, mut expected) = (Vec::new(), Vec::new());
    for mut row in rows.rows {
        let side = row.pop();
        if side == Some(Cell::Text("expected".to_string())) { expected.push(row) } else { actual.push(row) }
    }
    let texts = |mut rows: Vec<Vec<Cell>>| -> Vec<Vec<Text>> {
        rows.sort_by(|a, b| order(a, b));
        rows.iter().map(|row| row.iter().map(text).collect()).collect()
    };
    let columns: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    differences(&Tables { columns: &columns, expected: &texts(expected), actual: &texts(actual) })
}

/// By the columns from left to right; null comes last.
fn order(a: &[Cell], b: &[Cell]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| order_of_cells(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn order_of_cells(a: &Cell, b: &Cell) -> Ordering {
    let number = |cell: &Cell| match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Float(value) => Some(*value),
        Cell::Decimal(text) => text.parse().ok(),
        _ => None,
    };
    match (a, b) {
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => Ordering::Greater,
        (_, Cell::Null) => Ordering::Less,
        (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(b),
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
        _ => match (number(a), number(b)) {
            (Some(x), Some(y)) => x.total_cmp(&y),
            _ => a.display().cmp(&b.display()),
        },
    }
}

/// A cell as the table shows it: a binary fraction keeps its point.
fn text(cell: &Cell) -> Text {
    match cell {
        Cell::Null => None,
        Cell::Float(value) => Some(format!("{value:?}")),
        other => Some(other.display()),
    }
}

/// dbt's words for what went wrong while the comparison ran, and the engine's own with the place.
fn in_execution(
    session: &Session,
    (test, node): (&OtherResource, &Node),
    compiled: &CompiledNode,
    error: AdapterError,
    sql: &str,
) -> Failure {
    let path = session.display_path(&session.target_path(TargetFolder::Compiled, node));
    let file = CompiledFile { path: Some(path), sql: compiled.sql.clone(), source_map: compiled.source_map.clone() };
    let sent = Sent { sql: sql.to_string(), compiled: Some(file), location: None };
    let failure = Failure::Database { error, sent: Some(sent) };
    let (kind, body) = failure.body(&session.run);
    let body: Vec<String> = body.lines().map(|line| format!("  {line}")).collect();
    Failure::Runtime(format!(
        "An error occurred during execution of unit test '{}'. There may be an error in the unit test definition: check the data \
         types.\n {kind} Error\n{}",
        test.name,
        body.join("\n")
    ))
}
