//! One node's step: compile, hooks, materialize; every way it can end becomes a result.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::clock::Clock;
use super::hook::{self, When};
use super::message::{CompiledFile, Failure, Sent};
use super::session::{Place, Session};
use super::test_outcome::{Counted, judge};
use super::{clone, contract, microbatch, script, snapshot, strategy, target, templated};
use crate::adapter::{AdapterError, Effect, Operation};
use crate::artifact::TargetFolder;
use crate::compile::{CompileContext, CompiledNode, compile, compile_batch};
use crate::event::Event;
use crate::manifest::Node;
use crate::materialization::{self, Facts, Input, RelationState, Work};
use crate::name::{ResourceType, UniqueId};
use crate::plan::Verb;
use crate::result::{NodeResult, Status};

/// How a node's work ended when nothing failed.
pub(super) struct Done {
    pub status: Status,
    pub message: Option<String>,
    pub failures: Option<i64>,
    pub response: Map<String, Json>,
}

impl Done {
    fn of(effect: &Effect) -> Self {
        let message = Some(effect.message.clone());
        Self { status: Status::Success, message, failures: None, response: adapter_response(effect) }
    }

    /// There was nothing to do.
    fn nothing() -> Self {
        Self { message: Some("No-op".to_string()), ..Self::silent() }
    }

    /// Nothing was asked of the database.
    fn silent() -> Self {
        Self { status: Status::Success, message: None, failures: None, response: Map::new() }
    }
}

/// Runs one node to its result. Never fails: every error is in the result.
pub(super) async fn run(session: &Arc<Session>, node: &Arc<Node>, thread_id: String) -> NodeResult {
    if microbatch::applies(session, node) {
        return microbatch::run(session, node, thread_id).await;
    }
    let mut clock = Clock::start();
    let mut compiled = None;
    let outcome = work(session, node, &thread_id, (&mut clock, &mut compiled)).await;
    let mut result = blank_result(session, node, thread_id);
    result.execution_time = clock.elapsed();
    result.timing = clock.timing;
    if let Some(compiled) = compiled.filter(|_| node.resource_type != ResourceType::Seed) {
        result.compiled = Some(true);
        result.compiled_code = Some(compiled.sql);
    }
    match outcome {
        Ok(done) => {
            (result.status, result.message, result.failures) = (done.status, done.message, done.failures);
            result.adapter_response = done.response;
        }
        Err(failure) => (result.status, result.message) = (Status::Error, Some(failure.message(node, &session.run))),
    }
    result
}

/// A result of a node that has not run.
pub(super) fn blank_result(session: &Session, node: &Node, thread_id: String) -> NodeResult {
    let is_seed = node.resource_type == ResourceType::Seed;
    let stored = node.resource_type == ResourceType::Test && session.builds_relation(node);
    let relation_name = match &node.relation_name {
        // dbt's results carry it for nodes that compile only.
        _ if is_seed => None,
        None if stored => Some(node.relation().render()),
        name => name.clone(),
    };
    NodeResult {
        status: Status::Skipped,
        timing: Vec::new(),
        thread_id,
        execution_time: 0.0,
        adapter_response: Map::new(),
        message: None,
        failures: None,
        unique_id: node.unique_id.clone(),
        compiled: (!is_seed).then_some(false),
        compiled_code: None,
        relation_name,
        batch_results: None,
    }
}

async fn work(
    session: &Arc<Session>,
    node: &Arc<Node>,
    thread: &str,
    (clock, kept): (&mut Clock, &mut Option<CompiledNode>),
) -> Result<Done, Failure> {
    if let Some(reason) = session.blocked.get(&node.unique_id) {
        return Err(Failure::Runtime(reason.clone()));
    }
    let world = session.run.world.clone();
    if session.run.plan.verb == Verb::Clone && session.run.adapter.builds_by_macros() {
        return cloned_by_macro(session, node, thread).await;
    }
    if session.run.plan.verb == Verb::Clone {
        let cloned = clock.time("execute", world.as_ref(), clone::clone(session, node)).await?;
        return Ok(cloned.as_ref().map_or_else(Done::nothing, Done::of));
    }
    // Where the adapter has connections, the node has one of its own for all it does.
    let (context, connection) = session.node_context(&Place::of_node(node, thread));
    let outcome = compile_and_build(session, node, &context, (clock, kept)).await;
    if let Some(connection) = connection {
        connection.end().await;
    }
    outcome
}

/// `clone` by the materialization of that name, which sees what is to be cloned as `defer_relation`.
async fn cloned_by_macro(session: &Arc<Session>, node: &Arc<Node>, thread: &str) -> Result<Done, Failure> {
    let Some(found) = session.run.jinja.find_materialization("clone") else { return Ok(Done::nothing()) };
    let (context, connection) = session.node_context(&Place::of_node(node, thread));
    let outcome = templated::clone(session, node, &context, found.macro_id).await;
    if let Some(connection) = connection {
        connection.end().await;
    }
    outcome.map(|done| done.unwrap_or_else(Done::nothing))
}

async fn compile_and_build(
    session: &Arc<Session>,
    node: &Arc<Node>,
    context: &Arc<CompileContext>,
    (clock, kept): (&mut Clock, &mut Option<CompiledNode>),
) -> Result<Done, Failure> {
    let world = session.run.world.clone();
    let compiled = clock.time("compile", world.as_ref(), compile_step(session, node, context)).await?;
    *kept = Some(compiled.clone());
    if has_types(node) {
        session.check_types(node, &compiled).await?;
    }
    let builds = session.run.plan.verb != Verb::Compile && !node.is_ephemeral();
    if !builds || matches!(node.resource_type, ResourceType::Analysis | ResourceType::SqlOperation) {
        return Ok(Done::silent());
    }
    clock.time("execute", world.as_ref(), build_step(session, node, &compiled, context)).await
}

/// Whether the node's text is one query of this project's own: analyses may be anything.
fn has_types(node: &Node) -> bool {
    matches!(node.resource_type, ResourceType::Model | ResourceType::Snapshot | ResourceType::Test)
}

async fn compile_step(session: &Arc<Session>, node: &Arc<Node>, context: &Arc<CompileContext>) -> Result<CompiledNode, Failure> {
    let (context, subject) = (context.clone(), node.clone());
    let compiled = session.blocking(move || compile(&subject, &context)).await?;
    if node.resource_type != ResourceType::Seed {
        session.keep(node, &compiled);
        target::write(session, TargetFolder::Compiled, node, &compiled.sql).map_err(|error| cannot_write(&error))?;
    }
    Ok(compiled)
}

/// One batch of a microbatch model: compiled for its stretch of time, written, with the hooks of `moments` around it.
pub(super) async fn batch_step(session: &Arc<Session>, node: &Arc<Node>, part: templated::Part<'_>) -> Result<Effect, Failure> {
    if let Some(macro_id) = templated::macro_of(session, node) {
        return templated_batch(session, node, part, macro_id).await;
    }
    let templated::Part { batch, moments, .. } = part;
    let (context, subject) = (session.context.clone(), node.clone());
    let compiled = session.blocking(move || compile_batch(&subject, &context, batch)).await?;
    let label = batch.label();
    let path = target::write_batch(session, TargetFolder::Compiled, node, &label, &compiled.sql)
        .map_err(|error| cannot_write(&error))?;
    for when in moments.iter().filter(|when| when.is_before()) {
        hook::run_node_hooks(session, node, &compiled, *when).await?;
    }
    let held = match batch.is_first {
        true => contract::held(session, node, &compiled).await,
        false => contract::quietly_held(session, node, &compiled).await,
    };
    let held = held.map_err(|failure| failure.compiled_at(&path))?;
    let state = fetch_state(session, node, &held, Facts::Columns).await.map_err(|failure| failure.compiled_at(&path))?;
    let capabilities = session.run.adapter.capabilities();
    let strategy_macro = materialization::strategy_macro(node, &session.run.manifest);
    let switches = session.switches();
    let input = Input {
        node,
        compiled: &held,
        state: &state,
        capabilities: &capabilities,
        switches,
        strategy_macro,
        batch: Some(&batch),
    };
    let mut planned = (materialization::find(node)?.plan)(&input)?;
    planned.operations.extend(materialization::described(&input, &planned));
    target::write_batch(session, TargetFolder::Run, node, &label, &script::text(&planned))
        .map_err(|error| cannot_write(&error))?;
    let effect = operate(session, node, &compiled, planned).await.map_err(|failure| failure.compiled_at(&path))?;
    for when in moments.iter().filter(|when| !when.is_before()) {
        hook::run_node_hooks(session, node, &compiled, *when).await?;
    }
    Ok(effect)
}

/// [`batch_step`] by a materialization macro, on a connection of its own.
async fn templated_batch(
    session: &Arc<Session>,
    node: &Arc<Node>,
    part: templated::Part<'_>,
    macro_id: UniqueId,
) -> Result<Effect, Failure> {
    let batch = part.batch;
    let (context, connection) = session.node_context(&Place::of_node(node, part.thread));
    let work = async {
        let (rendered_in, subject) = (context.clone(), node.clone());
        let compiled = session.blocking(move || compile_batch(&subject, &rendered_in, batch)).await?;
        target::write_batch(session, TargetFolder::Compiled, node, &batch.label(), &compiled.sql)
            .map_err(|error| cannot_write(&error))?;
        templated::build_batch(session, node, (&compiled, &context), macro_id, &part).await
    };
    let outcome = work.await;
    if let Some(connection) = connection {
        connection.end().await;
    }
    let done = outcome?;
    let rows_affected = done.response.get("rows_affected").and_then(Json::as_u64);
    Ok(Effect { message: done.message.unwrap_or_default(), rows_affected })
}

async fn build_step(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    context: &Arc<CompileContext>,
) -> Result<Done, Failure> {
    if let Some(macro_id) = templated::macro_of(session, node) {
        // Where macros build everything, they hold the contract too.
        let held = match session.run.adapter.builds_by_macros() || node.resource_type != ResourceType::Model {
            true => compiled.clone(),
            false => contract::held(session, node, compiled).await?,
        };
        return templated::build(session, node, &held, context, macro_id).await;
    }
    let kind = materialization::find(node)?;
    let is_test = node.resource_type == ResourceType::Test;
    if !is_test {
        hook::run_node_hooks(session, node, compiled, When::BeforeStart).await?;
        hook::run_node_hooks(session, node, compiled, When::Before).await?;
    }
    let held = contract::held(session, node, compiled).await?;
    let state = fetch_state(session, node, &held, (kind.facts)(node)).await?;
    let capabilities = session.run.adapter.capabilities();
    let strategy_macro = materialization::strategy_macro(node, &session.run.manifest);
    let switches = session.switches();
    let input =
        Input { node, compiled: &held, state: &state, capabilities: &capabilities, switches, strategy_macro, batch: None };
    let mut planned = (kind.plan)(&input)?;
    planned.operations.extend(materialization::described(&input, &planned));
    if let Some(changes) = &state.snapshot {
        let checked = snapshot::check_times(session, node, changes).await;
        checked.map_err(|error| sent(session, node, compiled, error, &changes.sql))?;
    }
    if node.resource_type != ResourceType::Seed {
        target::write(session, TargetFolder::Run, node, &script::text(&planned)).map_err(|error| cannot_write(&error))?;
    }
    let full_refresh = input.full_refresh();
    let mut done = apply(session, node, compiled, planned).await?;
    if full_refresh && node.resource_type == ResourceType::Seed {
        done.message = done.message.map(|message| message.replacen("INSERT", "CREATE", 1));
    }
    if !is_test {
        hook::run_node_hooks(session, node, compiled, When::After).await?;
        hook::run_node_hooks(session, node, compiled, When::AfterEnd).await?;
    }
    Ok(done)
}

/// What the materialization has to know, and no more: each fact is a question to the database.
async fn fetch_state(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    facts: Facts,
) -> Result<RelationState, Failure> {
    let mut state = RelationState::default();
    if facts == Facts::Nothing {
        return Ok(state);
    }
    let (adapter, relation) = (&session.run.adapter, &compiled.relation);
    state.existing = adapter.relation_type(relation).await.map_err(|error| Failure::Database { error, sent: None })?;
    if facts == Facts::Snapshot {
        if state.existing.is_some() {
            state.columns = adapter.columns(relation).await.map_err(|error| Failure::Database { error, sent: None })?;
        }
        // A mistake in the query is told as the query's own, not as that of a macro that looks at its columns.
        let given = adapter.query_columns(&compiled.sql).await;
        state.query_columns = given.map_err(|error| sent(session, node, compiled, error, &compiled.sql))?;
        state.snapshot = Some(snapshot::changes(session, node, compiled, state.existing.is_some()).await?);
        return Ok(state);
    }
    if facts == Facts::Columns && state.existing.is_some() {
        state.columns = adapter.columns(relation).await.map_err(|error| Failure::Database { error, sent: None })?;
        let given = adapter.query_columns(&compiled.sql).await;
        state.query_columns = given.map_err(|error| sent(session, node, compiled, error, &compiled.sql))?;
    }
    Ok(state)
}

async fn apply(session: &Arc<Session>, node: &Arc<Node>, compiled: &CompiledNode, mut work: Work) -> Result<Done, Failure> {
    let check = work.check.take();
    let effect = operate(session, node, compiled, work).await?;
    let Some(check) = check else {
        return Ok(Done::of(&effect));
    };
    let counted = match session.scans.counted(&session.run, node).await {
        Some(counted) => counted,
        None => {
            let rows = session.run.adapter.query(&check.sql, None).await;
            let rows = rows.map_err(|error| sent(session, node, compiled, error, &check.sql))?;
            Counted::read(node, &rows).map_err(Failure::Runtime)?
        }
    };
    let verdict = judge(node, &counted, session.run.settings.warn_error);
    let effect = Effect { message: "SELECT 1".to_string(), rows_affected: Some(1) };
    let response = adapter_response(&effect);
    Ok(Done { status: verdict.status, message: verdict.message, failures: Some(verdict.failures), response })
}

/// Carries out the operations, then what a strategy macro of the project writes; what the last of them did.
async fn operate(session: &Arc<Session>, node: &Arc<Node>, compiled: &CompiledNode, work: Work) -> Result<Effect, Failure> {
    work.warnings.into_iter().for_each(|warning| session.run.events.emit(Event::Diagnostic(warning)));
    let mut effect = Effect::default();
    for operation in work.operations {
        let sql = sql_of(&operation).map(str::to_string);
        let done = session.run.adapter.apply(operation).await.map_err(|error| match sql {
            Some(sql) => sent(session, node, compiled, error, &sql),
            None => Failure::Database { error, sent: None },
        })?;
        // What has nothing to say (comments) does not speak for the node.
        if !done.message.is_empty() {
            effect = done;
        }
    }
    match work.strategy {
        Some(call) => strategy::run(session, node, compiled, &call).await,
        None => Ok(effect),
    }
}

/// A statement's failure with what is needed to show its place.
pub(super) fn sent(session: &Session, node: &Node, compiled: &CompiledNode, error: AdapterError, sql: &str) -> Failure {
    let path = session.display_path(&session.target_path(TargetFolder::Compiled, node));
    let file = CompiledFile { path: Some(path), sql: compiled.sql.clone(), source_map: compiled.source_map.clone() };
    Failure::Database { error, sent: Some(Sent { sql: sql.to_string(), compiled: Some(file), location: None }) }
}

fn sql_of(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::CreateView { sql, .. }
        | Operation::CreateTableAs { sql, .. }
        | Operation::Write { sql, .. }
        | Operation::Snapshot { sql, .. }
        | Operation::Statement { sql } => Some(sql),
        _ => None,
    }
}

/// dbt's `adapter_response`: the message, its words without numbers, the rows.
fn adapter_response(effect: &Effect) -> Map<String, Json> {
    let words = effect.message.split(' ').filter(|word| word.parse::<u64>().is_err());
    let mut response = Map::new();
    response.insert("_message".into(), Json::from(effect.message.as_str()));
    response.insert("code".into(), Json::from(words.collect::<Vec<_>>().join(" ")));
    if let Some(rows) = effect.rows_affected {
        response.insert("rows_affected".into(), Json::from(rows));
    }
    response
}

pub(super) fn cannot_write(error: &std::io::Error) -> Failure {
    Failure::Runtime(format!("the target folder could not be written: {error}"))
}
