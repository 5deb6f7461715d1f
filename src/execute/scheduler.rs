//! The scheduler: walks the plan with a fixed number of workers. Of the nodes that may start, the first in the plan goes
//! first, so one worker runs the plan's own order.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value as Json;
use tokio::task::JoinSet;

use super::session::{Session, node_info};
use super::{audit, node, unit_test};
use crate::compile::unit_test_node;
use crate::event::{Event, NodeInfo};
use crate::manifest::{Node, OtherResource};
use crate::name::{ResourceType, UniqueId};
use crate::plan::Verb;
use crate::result::{NodeResult, Status};

/// How long running nodes may take to give up after a cancellation.
const GRACE: Duration = Duration::from_millis(1500);

/// Runs every step of the plan; results in the order they ended.
pub(super) async fn walk(session: &Arc<Session>) -> Vec<NodeResult> {
    let mut walk = Walk::new(session);
    while !session.stop.is_cancelled() {
        walk.start_ready();
        if walk.running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(ended) = walk.running.join_next() => walk.end(ended),
            () = session.stop.cancelled() => {}
        }
    }
    walk.drain().await;
    walk.skip_the_rest();
    audit::settle(session, &mut walk.results).await;
    walk.results
}

/// All nodes as skipped: `on-run-start` failed.
pub(super) fn skip_all(session: &Arc<Session>) -> Vec<NodeResult> {
    let mut walk = Walk::new(session);
    for step in 0..walk.subjects.len() {
        walk.skip(step, None);
    }
    walk.results
}

/// What a step works on.
#[derive(Clone)]
enum Subject {
    Node(Arc<Node>),
    /// With the node it runs as.
    UnitTest(Arc<OtherResource>, Arc<Node>),
    /// Resources that a run has nothing to do for: exposures, saved queries.
    Nothing(NodeInfo),
}

/// Why a step is skipped.
#[derive(Clone)]
enum Cause {
    /// Something above failed or was skipped.
    Above,
    /// An ephemeral parent, which has no result of its own, did not compile.
    Ephemeral(UniqueId),
}

/// A worker's end: the step, the worker, and the result, none if it was stopped.
type Ended = (usize, usize, Option<NodeResult>);

struct Walk<'a> {
    session: &'a Arc<Session>,
    subjects: Vec<Subject>,
    children: Vec<Vec<usize>>,
    /// How many parents each step waits for.
    waiting: Vec<usize>,
    ready: BTreeSet<usize>,
    free_workers: BTreeSet<usize>,
    skipped: HashMap<usize, Cause>,
    running: JoinSet<Ended>,
    started: BTreeSet<usize>,
    done: BTreeSet<usize>,
    next_index: usize,
    indexes: HashMap<usize, usize>,
    total: usize,
    results: Vec<NodeResult>,
}

impl<'a> Walk<'a> {
    fn new(session: &'a Arc<Session>) -> Self {
        let steps = &session.run.plan.steps;
        let places: HashMap<&UniqueId, usize> = steps.iter().enumerate().map(|(at, step)| (&step.unique_id, at)).collect();
        let mut children = vec![Vec::new(); steps.len()];
        let mut waiting = vec![0; steps.len()];
        for (at, step) in steps.iter().enumerate() {
            let parents: BTreeSet<usize> = step.depends_on.iter().filter_map(|id| places.get(id).copied()).collect();
            waiting[at] = parents.len();
            for parent in parents {
                children[parent].push(at);
            }
        }
        let subjects: Vec<Subject> = steps.iter().map(|step| subject(session, &step.unique_id)).collect();
        let ready = (0..steps.len()).filter(|at| waiting[*at] == 0).collect();
        let mut walk = Self {
            session,
            subjects,
            children,
            waiting,
            ready,
            free_workers: (1..=session.run.settings.threads.max(1)).collect(),
            skipped: HashMap::new(),
            running: JoinSet::new(),
            started: BTreeSet::new(),
            done: BTreeSet::new(),
            next_index: 1,
            indexes: HashMap::new(),
            total: 0,
            results: Vec::new(),
        };
        walk.total = (0..walk.subjects.len()).filter(|step| walk.is_counted(*step)).count();
        walk
    }

    /// Whether the step has a line and a result: ephemeral models only while compiling.
    fn is_counted(&self, step: usize) -> bool {
        match &self.subjects[step] {
            Subject::Node(node) => !node.is_ephemeral() || self.session.run.plan.verb == Verb::Compile,
            Subject::UnitTest(..) | Subject::Nothing(_) => true,
        }
    }

    fn start_ready(&mut self) {
        while let Some(step) = self.ready.first().copied() {
            if let Some(cause) = self.skipped.get(&step).cloned() {
                self.ready.remove(&step);
                self.skip(step, Some(cause));
                continue;
            }
            let Some(worker) = self.free_workers.pop_first() else { return };
            self.ready.remove(&step);
            self.start(step, worker);
        }
    }

    fn start(&mut self, step: usize, worker: usize) {
        let index = self.take_index(step);
        self.started.insert(step);
        let thread_id = format!("Thread-{worker} (worker)");
        let (node, test) = match self.subjects[step].clone() {
            Subject::Node(node) => (node, None),
            Subject::UnitTest(test, node) => (node, Some(test)),
            Subject::Nothing(info) => {
                self.free_workers.insert(worker);
                self.finish(step, nothing_done(&info.unique_id, thread_id));
                return;
            }
        };
        if self.is_counted(step) {
            let (total, info) = (self.total, self.info(step));
            self.session.run.events.emit(Event::NodeStarted { index, total, node: info });
        }
        let session = self.session.clone();
        self.running.spawn(async move {
            let run = async {
                match test {
                    Some(test) => unit_test::run(&session, &test, &node, thread_id.clone()).await,
                    None => audit::run(&session, &node, thread_id.clone()).await,
                }
            };
            let work = AssertUnwindSafe(run).catch_unwind();
            let result = tokio::select! {
                biased;
                outcome = work => Some(outcome.unwrap_or_else(|panic| panicked(&session, &node, thread_id, panic.as_ref()))),
                () = session.stop.cancelled() => None,
            };
            (step, worker, result)
        });
    }

    fn end(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // A worker catches its panics, and is aborted only after this loop.
        let Ok((step, worker, result)) = ended else { return };
        self.free_workers.insert(worker);
        if let Some(result) = result {
            self.finish(step, result);
        }
    }

    /// Takes a result in: tells of it, lets the children go or marks them.
    fn finish(&mut self, step: usize, result: NodeResult) {
        self.done.insert(step);
        if self.session.run.settings.fail_fast && result.is_failure() {
            self.session.stop.cancel();
        }
        let cause = self.blocks(step, &result).then(|| match &self.subjects[step] {
            Subject::Node(node) if !self.is_counted(step) && result.status == Status::Error => {
                Cause::Ephemeral(node.unique_id.clone())
            }
            _ => Cause::Above,
        });
        for child in self.children[step].clone() {
            if let Some(cause) = &cause {
                self.skipped.entry(child).or_insert_with(|| cause.clone());
            }
            self.waiting[child] -= 1;
            if self.waiting[child] == 0 {
                self.ready.insert(child);
            }
        }
        if self.is_counted(step) {
            self.emit_finished(step, &result);
            self.results.push(result);
        }
    }

    fn blocks(&self, step: usize, result: &NodeResult) -> bool {
        let goes_on = match &self.subjects[step] {
            Subject::Node(node) => node.resource_type == ResourceType::Model && node.config_str("on_error") == Some("continue"),
            Subject::UnitTest(..) | Subject::Nothing(_) => false,
        };
        // What reads a query that compiled and has wrong types compiles all the same.
        let only_types = self.session.run.plan.verb == Verb::Compile && result.compiled == Some(true);
        // A failed test stops what is below only in `build`, where tests stand between the models.
        let is_failed_test = result.status == Status::Fail && self.session.run.plan.verb != Verb::Build;
        let told_only = goes_on && result.status != Status::Skipped;
        result.blocks_children() && !is_failed_test && !only_types && !told_only
    }

    fn skip(&mut self, step: usize, cause: Option<Cause>) {
        if self.is_counted(step) {
            self.take_index(step);
        }
        let mut result = self.blank(step);
        if cause.is_some() {
            // dbt's workers do the skipping; `results` in on-run-end leaves out what ended on the main thread.
            result.thread_id = "Thread-1 (worker)".to_string();
        }
        if let Some(Cause::Ephemeral(parent)) = cause {
            result.message = Some(format!(
                "Compilation Error in {}, caused by compilation error in referenced ephemeral model {parent}",
                result.unique_id
            ));
        }
        self.finish(step, result);
    }

    fn take_index(&mut self, step: usize) -> usize {
        if !self.is_counted(step) {
            return 0;
        }
        let index = self.next_index;
        self.next_index += 1;
        self.indexes.insert(step, index);
        index
    }

    fn info(&self, step: usize) -> NodeInfo {
        match &self.subjects[step] {
            Subject::Node(node) => node_info(node),
            Subject::UnitTest(test, node) => {
                let model = test.json.get("model").and_then(Json::as_str).unwrap_or_default();
                NodeInfo { display_name: format!("{model}::{}", node.name), ..node_info(node) }
            }
            Subject::Nothing(info) => info.clone(),
        }
    }

    fn emit_finished(&self, step: usize, result: &NodeResult) {
        let info = self.info(step);
        let index = self.indexes.get(&step).copied().unwrap_or_default();
        self.session.run.events.emit(Event::NodeFinished {
            index,
            total: self.total,
            node: info,
            result: Box::new(result.clone()),
        });
    }

    /// After a cancellation: lets running nodes give up, and takes in those that had just ended.
    async fn drain(&mut self) {
        let deadline = tokio::time::Instant::now() + GRACE;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.running.join_next()).await {
            self.end(ended);
        }
        self.running.abort_all();
    }

    /// Every step without a result, in the plan's order.
    fn skip_the_rest(&mut self) {
        let by_user = self.session.run.cancel.is_cancelled();
        for step in 0..self.subjects.len() {
            if self.done.contains(&step) || !self.is_counted(step) {
                continue;
            }
            let mut result = self.blank(step);
            let (status, message) = match (by_user, self.started.contains(&step)) {
                (true, true) => (Status::Error, "Cancelled while it ran"),
                (true, false) => (Status::Skipped, "Skipping due to cancellation"),
                (false, _) => (Status::Skipped, "Skipping due to fail_fast"),
            };
            (result.status, result.message) = (status, Some(message.to_string()));
            self.results.push(result);
        }
    }

    fn blank(&self, step: usize) -> NodeResult {
        match &self.subjects[step] {
            Subject::Node(node) | Subject::UnitTest(_, node) => node::blank_result(self.session, node, "main".to_string()),
            Subject::Nothing(info) => {
                let mut result = nothing_done(&info.unique_id, "main".to_string());
                (result.status, result.message, result.failures) = (Status::Skipped, None, None);
                result
            }
        }
    }
}

fn subject(session: &Session, id: &UniqueId) -> Subject {
    let manifest = &session.run.manifest;
    if let Some(node) = manifest.nodes.get(id) {
        return Subject::Node(Arc::new(node.clone()));
    }
    let tested = manifest.unit_tests.get(id).and_then(|test| Some((test, manifest.nodes.get(test.depends_on.nodes.first()?)?)));
    if let Some((test, tested)) = tested {
        return Subject::UnitTest(Arc::new(test.clone()), Arc::new(unit_test_node(test, tested)));
    }
    let exposure = manifest.exposures.get(id).map(|it| (ResourceType::Exposure, &it.name, &it.original_file_path));
    let others = || {
        let tables = [&manifest.saved_queries, &manifest.metrics, &manifest.semantic_models];
        tables.iter().find_map(|table| table.get(id)).map(|it| (it.resource_type, &it.name, &it.original_file_path))
    };
    let unknown = (ResourceType::Operation, &String::new(), &String::new());
    let (resource_type, name, path) = exposure.or_else(others).unwrap_or(unknown);
    Subject::Nothing(NodeInfo {
        unique_id: id.clone(),
        resource_type,
        name: name.clone(),
        materialized: resource_type.to_string(),
        is_microbatch: false,
        display_name: name.clone(),
        original_file_path: path.clone(),
    })
}

fn nothing_done(id: &UniqueId, thread_id: String) -> NodeResult {
    NodeResult {
        status: Status::NoOp,
        timing: Vec::new(),
        thread_id,
        execution_time: 0.0,
        adapter_response: serde_json::Map::new(),
        message: Some("NO-OP".to_string()),
        failures: Some(0),
        unique_id: id.clone(),
        compiled: None,
        compiled_code: None,
        relation_name: None,
        batch_results: None,
    }
}

/// A bug in our code ended the node's work: told as the node's error, with the panic's own text.
fn panicked(session: &Session, node: &Node, thread_id: String, panic: &(dyn std::any::Any + Send)) -> NodeResult {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let mut result = node::blank_result(session, node, thread_id);
    result.status = Status::Error;
    result.message = Some(format!("Exception on worker thread. {}", text.unwrap_or("unknown panic")));
    result
}
