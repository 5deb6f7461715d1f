//! Microbatch models: one model, a statement for each stretch of time. A batch that fails leaves the others as they are, and the
//! result says which batches are done and which are not, for `retry`.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Map, Value as Json, json};

use super::clock::Clock;
use super::hook::When;
use super::message::Failure;
use super::node::{self, blank_result};
use super::session::{Session, node_info};
use super::templated::Part;
use crate::compile::{Batch, BatchPlan, Window, in_order};
use crate::event::{BatchInfo, Event};
use crate::manifest::Node;
use crate::materialization::{is_microbatch, strategy_macro};
use crate::name::RelationType;
use crate::plan::Verb;
use crate::result::{NodeResult, Status};

/// The batches of a model that an earlier run left, for `retry`: `batch_results` of that run's `run_results.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierBatches {
    /// What is to be done now.
    pub failed: Vec<Window>,
    /// What is done already: told again in this run's result.
    pub successful: Vec<Window>,
}

impl EarlierBatches {
    /// Reads a result's `batch_results`.
    pub fn from_json(batch_results: &Json) -> Option<Self> {
        let list = |key: &str| batch_results.get(key)?.as_array()?.iter().map(Window::from_json).collect::<Option<Vec<_>>>();
        Some(Self { failed: list("failed")?, successful: list("successful")? })
    }
}

/// A batch among the others.
#[derive(Clone, Copy)]
struct Place {
    batch: Batch,
    index: usize,
    total: usize,
    /// Whether the table is there before it.
    is_incremental: bool,
}

/// How a batch stands after its turn.
struct Ended {
    window: Window,
    done: bool,
}

/// Whether the node is run batch by batch here. A project with a strategy macro of its own for microbatch models asks for that by
/// a behaviour flag; otherwise its macro gets all rows at once, as before dbt had batches.
pub(super) fn applies(session: &Session, node: &Node) -> bool {
    let has_own_macro = || strategy_macro(node, &session.run.manifest).is_some();
    is_microbatch(node)
        && !matches!(session.run.plan.verb, Verb::Compile | Verb::Clone)
        && (!has_own_macro() || session.flag("require_batched_execution_for_custom_microbatch_strategy"))
}

/// Runs the model's batches to one result.
pub(super) async fn run(session: &Arc<Session>, node: &Arc<Node>, thread_id: String) -> NodeResult {
    let mut clock = Clock::start();
    let world = session.run.world.clone();
    clock.time("compile", world.as_ref(), async {}).await;
    let outcome = clock.time("execute", world.as_ref(), all(session, node, &thread_id)).await;
    let mut result = blank_result(session, node, thread_id);
    (result.execution_time, result.timing) = (clock.elapsed(), clock.timing);
    match outcome {
        Ok(ended) => settle(session, node, &ended, &mut result),
        Err(failure) => (result.status, result.message) = (Status::Error, Some(failure.message(node, &session.run))),
    }
    result
}

/// dbt's words for how many batches are done.
fn settle(session: &Session, node: &Node, ended: &[Ended], result: &mut NodeResult) {
    let of = |done: bool| ended.iter().filter(|batch| batch.done == done).map(|batch| batch.window).collect::<Vec<_>>();
    let (mut successful, failed) = (of(true), of(false));
    let (good, total) = (successful.len(), ended.len());
    (result.status, result.message) = match (good, failed.len()) {
        (_, 0) => (Status::Success, Some("SUCCESS".to_string())),
        (0, _) => (Status::Error, Some("ERROR".to_string())),
        _ => (Status::PartialSuccess, Some(format!("PARTIAL SUCCESS ({good}/{total})"))),
    };
    successful.extend(earlier(session, node).into_iter().flat_map(|earlier| earlier.successful.iter().copied()));
    let list = |windows: &[Window]| windows.iter().map(Window::to_json).collect::<Vec<_>>();
    result.batch_results = Some(json!({"successful": list(&successful), "failed": list(&failed)}));
    result.failures = Some(0);
}

fn earlier<'a>(session: &'a Session, node: &Node) -> Option<&'a EarlierBatches> {
    session.run.settings.batches.get(&node.unique_id)
}

async fn all(session: &Arc<Session>, node: &Arc<Node>, thread_id: &str) -> Result<Vec<Ended>, Failure> {
    if let Some(reason) = session.blocked.get(&node.unique_id) {
        return Err(Failure::Runtime(reason.clone()));
    }
    let (batches, incremental) = batches(session, node).await?;
    let total = batches.len();
    let one = |index: usize| {
        let place = Place { batch: batches[index], index, total, is_incremental: incremental || index > 0 };
        step(session, node, place, thread_id)
    };
    // The first makes the table where there is none; if it fails, nothing stands for the others to go into.
    let mut ended = vec![one(0).await];
    if !ended[0].done {
        for (index, batch) in batches.iter().enumerate().skip(1) {
            skip(session, node, Place { batch: *batch, index, total, is_incremental: true }, thread_id);
            ended.push(Ended { window: batch.window, done: false });
        }
        return Ok(ended);
    }
    let at_once = match node.config_bool("concurrent_batches") {
        Some(true) => session.run.settings.threads.max(1),
        _ => 1,
    };
    // The last runs alone: `post-hook` comes with it, after all rows are there.
    let between: Vec<Ended> =
        futures::stream::iter(1..total.max(1) - usize::from(total > 1)).map(one).buffered(at_once).collect().await;
    ended.extend(between);
    if total > 1 {
        ended.push(one(total - 1).await);
    }
    Ok(ended)
}

/// The batches there are to do, and whether the first of them adds to a table that is there.
async fn batches(session: &Session, node: &Node) -> Result<(Vec<Batch>, bool), Failure> {
    let settings = &session.run.settings;
    let existing = session.run.adapter.relation_type(&node.relation()).await;
    let existing = existing.map_err(|error| Failure::Database { error, sent: None })?;
    let full_refresh = node.config_bool("full_refresh").unwrap_or(settings.full_refresh);
    let plan = BatchPlan {
        node,
        is_incremental: existing == Some(RelationType::Table) && !full_refresh,
        start: settings.sample.map(|sample| sample.start).or(settings.event_time_start),
        end: settings.sample.map(|sample| sample.end).or(settings.event_time_end),
        now: settings.started_at.unwrap_or_else(|| session.run.world.now()),
    };
    let is_incremental = plan.is_incremental;
    let all = match earlier(session, node) {
        Some(earlier) if !earlier.failed.is_empty() => plan.size().map(|size| in_order(earlier.failed.clone(), size)),
        _ => plan.batches(),
    };
    all.map(|batches| (batches, is_incremental)).map_err(Failure::Runtime)
}

/// One batch's turn, told with its two lines.
async fn step(session: &Arc<Session>, node: &Arc<Node>, place: Place, thread_id: &str) -> Ended {
    let Place { batch, index, total, is_incremental } = place;
    session.run.events.emit(Event::BatchStarted(info(node, place)));
    let clock = Clock::start();
    let moments: &[When] = match (index == 0, index + 1 == total) {
        (true, true) => &[When::BeforeStart, When::Before, When::After, When::AfterEnd],
        (true, false) => &[When::BeforeStart, When::Before],
        (false, true) => &[When::After, When::AfterEnd],
        (false, false) => &[],
    };
    let outcome = node::batch_step(session, node, Part { batch, is_incremental, moments, thread: thread_id }).await;
    let mut result = blank_result(session, node, thread_id.to_string());
    result.execution_time = clock.elapsed();
    let done = outcome.is_ok();
    (result.status, result.message) = match outcome {
        Ok(effect) => (Status::Success, Some(effect.message)),
        Err(failure) => (Status::Error, Some(failure.message(node, &session.run))),
    };
    session.run.events.emit(Event::BatchFinished { batch: info(node, place), result: Box::new(result) });
    Ended { window: batch.window, done }
}

fn skip(session: &Session, node: &Node, place: Place, thread_id: &str) {
    let mut result = blank_result(session, node, thread_id.to_string());
    (result.message, result.adapter_response) = (Some("SKIPPED".to_string()), Map::new());
    session.run.events.emit(Event::BatchFinished { batch: info(node, place), result: Box::new(result) });
}

fn info(node: &Node, Place { batch, index, total, .. }: Place) -> BatchInfo {
    BatchInfo { index: index + 1, total, label: batch.label(), node: node_info(node) }
}
