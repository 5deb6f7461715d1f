//! Hooks: a node's `pre-hook` and `post-hook`, the project's `on-run-start` and `on-run-end`.

use std::sync::Arc;

use minijinja::Value;
use serde_json::{Value as Json, json};

use super::clock::Clock;
use super::message::{Failure, Sent};
use super::node::blank_result;
use super::session::{self, Session, node_info};
use super::target;
use crate::adapter::Adapter;
use crate::artifact::TargetFolder;
use crate::compile::{CompileContext, CompiledNode, Extras, compile_with, node_dictionary, render_in_node, value_of};
use crate::event::Event;
use crate::jinja::node_config;
use crate::manifest::Node;
use crate::name::UniqueId;
use crate::result::{NodeResult, Status};
use crate::source::Location;

/// The four moments of a node's hooks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// `pre-hook` with `transaction: false`.
    BeforeStart,
    Before,
    After,
    /// `post-hook` with `transaction: false`.
    AfterEnd,
}

impl When {
    fn key(self) -> &'static str {
        match self {
            Self::BeforeStart | Self::Before => "pre-hook",
            Self::After | Self::AfterEnd => "post-hook",
        }
    }

    /// Whether it comes before the node is built.
    pub fn is_before(self) -> bool {
        matches!(self, Self::BeforeStart | Self::Before)
    }

    fn in_transaction(self) -> bool {
        matches!(self, Self::Before | Self::After)
    }
}

/// Runs the node's hooks of one moment, in the order they are written.
pub(super) async fn run_node_hooks(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    when: When,
) -> Result<(), Failure> {
    for text in hooks_at(node, when) {
        let (context, subject) = (session.context.clone(), node.clone());
        let sql = Value::from(compiled.sql.as_str());
        let extras = Extras::from([("sql".to_string(), sql.clone()), ("compiled_code".to_string(), sql)]);
        let raw = text.clone();
        let rendered = session.blocking(move || render_in_node(when.key(), &text, &subject, &context, extras)).await?;
        execute(session, node, &session.run.adapter, (&raw, rendered.trim())).await?;
    }
    Ok(())
}

/// The hooks of one moment as they are written: text, `{sql, transaction}`, or that as JSON text.
fn hooks_at(node: &Node, when: When) -> Vec<String> {
    let hooks = match node.config.get(when.key()).or_else(|| node.config.get(&when.key().replace('-', "_"))) {
        Some(Json::Array(hooks)) => hooks.clone(),
        Some(Json::Null) | None => Vec::new(),
        Some(one) => vec![one.clone()],
    };
    let parsed = hooks.into_iter().map(|hook| match hook {
        Json::String(text) => serde_json::from_str(&text).ok().filter(Json::is_object).unwrap_or_else(|| json!({"sql": text})),
        other => other,
    });
    let fits = |hook: &Json| hook.get("transaction").and_then(Json::as_bool).unwrap_or(true) == when.in_transaction();
    parsed.filter(fits).filter_map(|hook| hook.get("sql").and_then(Json::as_str).map(str::to_string)).collect()
}

/// Runs the text `sql` that the hook `raw` of `node` gave.
async fn execute(session: &Session, node: &Node, adapter: &Arc<dyn Adapter>, (raw, sql): (&str, &str)) -> Result<(), Failure> {
    if sql.is_empty() {
        return Ok(());
    }
    adapter.execute(sql).await.map(|_| ()).map_err(|error| {
        let location = error.position.and_then(|position| written_at(session, node, raw, (sql, position)));
        Failure::Database { error, sent: Some(Sent { sql: sql.to_string(), compiled: None, location }) }
    })
}

/// Where the failing line of a hook was written: in the node's own file, the file of its properties, or `dbt_project.yml`.
/// A line that Jinja had a part in leads to where the hook begins.
fn written_at(session: &Session, node: &Node, raw: &str, (sql, (line, column)): (&str, (u32, u32))) -> Option<Location> {
    let failing = sql.lines().nth(line.saturating_sub(1) as usize)?;
    let first = raw.lines().find(|line| !line.trim().is_empty())?.trim();
    let properties = node.patch_path.as_deref().and_then(|path| path.split_once("://")).map(|(_, path)| path);
    let files = [Some(node.original_file_path.as_str()), properties, Some("dbt_project.yml")];
    let find = |wanted: &str, column: u32| {
        files.iter().flatten().find_map(|path| {
            let bytes = session.run.world.read(&session.run.project.root.join(path)).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (index, at) = text.lines().enumerate().find_map(|(index, line)| Some((index, line.find(wanted)?)))?;
            let before = text.lines().nth(index)?[..at].chars().count();
            let path = path.trim_start_matches("./");
            Some(Location::new(path, u32::try_from(index).ok()? + 1, u32::try_from(before).ok()? + column))
        })
    };
    let indent = failing.len() - failing.trim_start().len();
    let within = column.saturating_sub(u32::try_from(indent).ok()?).max(1);
    find(failing.trim(), within).or_else(|| find(first, 1))
}

/// Runs `on-run-start`.
pub(super) async fn on_run_start(session: &Arc<Session>) -> Vec<NodeResult> {
    run_project_hooks(session, &session.run.plan.on_run_start, "on-run-start", Extras::new()).await
}

/// Runs `on-run-end`, which sees `results`, `schemas` and `database_schemas`.
pub(super) async fn on_run_end(session: &Arc<Session>, results: &[NodeResult]) -> Vec<NodeResult> {
    let hooks = &session.run.plan.on_run_end;
    if hooks.is_empty() {
        return Vec::new();
    }
    run_project_hooks(session, hooks, "on-run-end", end_extras(session, results)).await
}

fn end_extras(session: &Session, results: &[NodeResult]) -> Extras {
    let manifest = &session.run.manifest;
    let built = results.iter().filter(|result| !matches!(result.status, Status::Error | Status::Fail | Status::Skipped));
    let nodes = built.filter_map(|result| manifest.nodes.get(&result.unique_id)).filter(|node| session.builds_relation(node));
    let mut pairs: Vec<(Option<&str>, &str)> = Vec::new();
    for pair in nodes.map(|node| (node.database.as_deref(), node.schema.as_deref().unwrap_or_default())) {
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    let mut schemas: Vec<&str> = Vec::new();
    for (_, schema) in &pairs {
        if !schemas.contains(schema) {
            schemas.push(schema);
        }
    }
    // dbt leaves out the hooks that went well, which it knows by their thread.
    let shown = results.iter().filter(|result| result.thread_id != "main" || result.status == Status::Error);
    let shown: Vec<Value> = shown.map(|result| result_value(session, result)).collect();
    Extras::from([
        ("results".to_string(), Value::from(shown)),
        ("schemas".to_string(), value_of(&json!(schemas))),
        ("database_schemas".to_string(), value_of(&json!(pairs))),
    ])
}

/// A result as `on-run-end` sees it: with its whole node.
fn result_value(session: &Session, result: &NodeResult) -> Value {
    let entry = serde_json::to_value(result).unwrap_or_default();
    let node = session.run.manifest.nodes.get(&result.unique_id).map(|node| {
        let mut node = node_dictionary(node);
        node["compiled"] = json!(result.compiled);
        node["compiled_code"] = json!(result.compiled_code);
        let entries = node.as_object().into_iter().flatten();
        Value::from_pairs(entries.map(|(key, value)| match key.as_str() {
            "config" => (key.as_str(), node_config(value)),
            _ => (key.as_str(), value_of(value)),
        }))
    });
    let entries = entry.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value_of(value)));
    Value::from_pairs(entries.chain([("node", node.unwrap_or(Value::from(())))]))
}

/// Runs hooks one after the other; after one that failed, the rest are skipped.
async fn run_project_hooks(session: &Arc<Session>, ids: &[UniqueId], kind: &str, extras: Extras) -> Vec<NodeResult> {
    let (context, connection) = session.node_context(&session::Place::main("master"));
    if let Some(connection) = &connection {
        connection.clear_transaction().await;
    }
    let place = (&context, connection.as_ref().unwrap_or(&session.run.adapter));
    let results = run_in_order(session, ids, (kind, extras), place).await;
    if let Some(connection) = connection {
        connection.end().await;
    }
    results
}

/// Where hooks are rendered and run.
type Place<'a> = (&'a Arc<CompileContext>, &'a Arc<dyn Adapter>);

async fn run_in_order(
    session: &Arc<Session>,
    ids: &[UniqueId],
    (kind, extras): (&str, Extras),
    at: Place<'_>,
) -> Vec<NodeResult> {
    let mut results: Vec<NodeResult> = Vec::new();
    let nodes: Vec<_> = ids.iter().filter_map(|id| session.run.manifest.nodes.get(id)).cloned().map(Arc::new).collect();
    for (index, node) in nodes.iter().enumerate() {
        let name = format!("{}.{kind}.{index}", node.package_name);
        let mut info = node_info(node);
        info.display_name.clone_from(&name);
        let failed = results.last().is_some_and(|last| last.status != Status::Success);
        let (place, total) = (index + 1, nodes.len());
        let result = if failed || session.stop.is_cancelled() {
            let mut result = blank_result(session, node, "main".to_string());
            (result.failures, result.message) = (Some(1), Some(format!("{name} skipped")));
            result
        } else {
            session.run.events.emit(Event::NodeStarted { index: place, total, node: info.clone() });
            run_project_hook(session, node, (&name, extras.clone()), at).await
        };
        session.run.events.emit(Event::NodeFinished { index: place, total, node: info, result: Box::new(result.clone()) });
        results.push(result);
    }
    results
}

async fn run_project_hook(session: &Arc<Session>, node: &Arc<Node>, (name, extras): (&str, Extras), at: Place<'_>) -> NodeResult {
    let mut clock = Clock::start();
    let mut result = blank_result(session, node, "main".to_string());
    let outcome = tokio::select! {
        biased;
        outcome = hook_work(session, node, extras, at, (&mut clock, &mut result)) => outcome,
        () = session.stop.cancelled() => Err(Failure::Runtime("cancelled while it ran".to_string())),
    };
    (result.execution_time, result.timing) = (clock.elapsed(), clock.timing);
    (result.status, result.failures, result.message) = match outcome {
        Ok(()) => (Status::Success, Some(0), Some(format!("{name} passed"))),
        Err(failure) => (Status::Error, Some(1), Some(format!("{name} failed, error:\n {}", failure.body(&session.run).1))),
    };
    result
}

async fn hook_work(
    session: &Arc<Session>,
    node: &Arc<Node>,
    extras: Extras,
    (context, adapter): Place<'_>,
    (clock, result): (&mut Clock, &mut NodeResult),
) -> Result<(), Failure> {
    let world = session.run.world.clone();
    let (context, subject) = (context.clone(), node.clone());
    let compile = session.blocking(move || compile_with(&subject, &context, extras));
    let compiled = clock.time("compile", world.as_ref(), compile).await?;
    session.keep(node, &compiled);
    (result.compiled, result.compiled_code) = (Some(true), Some(compiled.sql.clone()));
    if let Err(error) = target::write(session, TargetFolder::Compiled, node, &compiled.sql) {
        return Err(Failure::Runtime(format!("the target folder could not be written: {error}")));
    }
    // A hook may render to `{"sql": …}`: what the `before_begin` macros give.
    let parsed = serde_json::from_str::<Json>(&compiled.sql).ok();
    let sql = parsed.as_ref().and_then(|hook| hook.get("sql")).and_then(Json::as_str).unwrap_or(&compiled.sql);
    clock.time("execute", world.as_ref(), execute(session, node, adapter, (&node.raw_code, sql.trim()))).await
}
