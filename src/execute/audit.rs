//! Write-audit-publish: under `build --audit`, what a node wrote is seen by this run only until the tests of the node have
//! passed. Then it is published in one commit; otherwise readers keep what they had, and the node's result says so.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use super::RunRequest;
use super::node;
use super::session::Session;
use crate::manifest::{Manifest, Node};
use crate::name::{ResourceType, UniqueId};
use crate::plan::Verb;
use crate::result::{NodeResult, Status};

/// The nodes that are held back, each with the tests it waits for.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// The nodes that a test decides on.
    gated_by: HashMap<UniqueId, Vec<UniqueId>>,
    gates: Mutex<BTreeMap<UniqueId, Gate>>,
}

/// How far the audit of one node is.
#[derive(Debug, Default)]
struct Gate {
    waiting: BTreeSet<UniqueId>,
    failed: BTreeSet<UniqueId>,
    published: bool,
    /// The node itself did not get so far that there is something to test.
    void: bool,
}

impl Audit {
    /// Which tests of the plan decide on which nodes: a test decides on the lowest of the nodes it reads; one that is written at
    /// a node decides on that node alone, if it is among them.
    pub fn of(run: &RunRequest, builds: impl Fn(&Node) -> bool) -> Option<Self> {
        if !run.settings.audit || run.plan.verb != Verb::Build {
            return None;
        }
        let planned: HashSet<&UniqueId> = run.plan.steps.iter().map(|step| &step.unique_id).collect();
        let is_built = |id: &UniqueId| planned.contains(id) && run.manifest.nodes.get(id).is_some_and(&builds);
        let mut ancestors = Ancestors { manifest: &run.manifest, known: HashMap::new() };
        let mut audit = Self::default();
        for step in run.plan.steps.iter().filter(|step| step.resource_type == ResourceType::Test) {
            let Some(test) = run.manifest.nodes.get(&step.unique_id) else { continue };
            let parents: Vec<UniqueId> = test.depends_on.nodes.iter().filter(|id| is_built(id)).cloned().collect();
            let mut lowest: Vec<UniqueId> = Vec::new();
            for parent in &parents {
                let is_above = parents.iter().any(|other| other != parent && ancestors.of(other).contains(parent));
                if !is_above && !lowest.contains(parent) {
                    lowest.push(parent.clone());
                }
            }
            if let Some(own) =
                test.test.as_ref().and_then(|detail| detail.attached_node.clone()).filter(|own| lowest.contains(own))
            {
                lowest = vec![own];
            }
            let gates = audit.gates.get_mut().unwrap_or_else(PoisonError::into_inner);
            for node in &lowest {
                gates.entry(node.clone()).or_default().waiting.insert(step.unique_id.clone());
            }
            audit.gated_by.insert(step.unique_id.clone(), lowest);
        }
        Some(audit)
    }

    fn gates(&self) -> std::sync::MutexGuard<'_, BTreeMap<UniqueId, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_gated(&self, id: &UniqueId) -> bool {
        self.gates().contains_key(id)
    }

    /// Notes how a test ended; the nodes that wait for no more tests, with whether all were passed.
    fn decided(&self, test: &UniqueId, passed: bool) -> Vec<(UniqueId, bool)> {
        let mut gates = self.gates();
        let mut decided = Vec::new();
        for id in self.gated_by.get(test).into_iter().flatten() {
            let Some(gate) = gates.get_mut(id).filter(|gate| !gate.void) else { continue };
            gate.waiting.remove(test);
            if !passed {
                gate.failed.insert(test.clone());
            }
            if gate.waiting.is_empty() {
                decided.push((id.clone(), gate.failed.is_empty()));
            }
        }
        decided
    }
}

/// The nodes above each node, worked out once.
struct Ancestors<'a> {
    manifest: &'a Manifest,
    known: HashMap<UniqueId, Arc<HashSet<UniqueId>>>,
}

impl Ancestors<'_> {
    fn of(&mut self, id: &UniqueId) -> Arc<HashSet<UniqueId>> {
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        let (mut seen, mut left) = (HashSet::new(), vec![id.clone()]);
        while let Some(next) = left.pop() {
            for parent in self.manifest.nodes.get(&next).into_iter().flat_map(|node| &node.depends_on.nodes) {
                if seen.insert(parent.clone()) {
                    left.push(parent.clone());
                }
            }
        }
        let seen = Arc::new(seen);
        self.known.insert(id.clone(), seen.clone());
        seen
    }
}

/// Runs one node; what it writes is held back where tests decide on it, and what its end decides is carried out.
pub(super) async fn run(session: &Arc<Session>, node: &Arc<Node>, thread_id: String) -> NodeResult {
    let Some(audit) = &session.audit else {
        return node::run(session, node, thread_id).await;
    };
    let is_gated = audit.is_gated(&node.unique_id);
    if is_gated && let Err(error) = session.run.adapter.hold(&node.relation()).await {
        let mut result = node::blank_result(session, node, thread_id);
        (result.status, result.message) = (Status::Error, Some(error.message));
        return result;
    }
    let mut result = node::run(session, node, thread_id).await;
    if is_gated && result.status != Status::Success {
        if let Some(gate) = audit.gates().get_mut(&node.unique_id) {
            gate.void = true;
        }
        discard(session, node).await;
        nothing_done(&mut result);
    }
    for (id, passed) in audit.decided(&node.unique_id, matches!(result.status, Status::Pass | Status::Warn)) {
        if let Some(message) = decide(session, audit, &id, passed).await {
            (result.status, result.message) = (Status::Error, Some(message));
        }
    }
    result
}

/// Publishes or discards; the message if publishing was wanted and did not work.
async fn decide(session: &Session, audit: &Audit, id: &UniqueId, passed: bool) -> Option<String> {
    let node = session.run.manifest.nodes.get(id)?;
    if !passed {
        discard(session, node).await;
        return None;
    }
    match session.run.adapter.publish(&node.relation()).await {
        Ok(()) => {
            audit.gates().get_mut(id)?.published = true;
            None
        }
        Err(error) => Some(format!("{} passed its tests, but could not be published: {}", node.relation(), error.message)),
    }
}

/// Readers keep what they have. That it could not be cleared away is no news for the person who waits for the run: nobody sees
/// it.
async fn discard(session: &Session, node: &Node) {
    let _ = session.run.adapter.discard(&node.relation()).await;
}

/// After the last node: what is still held back goes, and the results of nodes that were not published say so.
pub(super) async fn settle(session: &Session, results: &mut [NodeResult]) {
    let Some(audit) = &session.audit else { return };
    let left: Vec<(UniqueId, Vec<UniqueId>)> = audit
        .gates()
        .iter()
        .filter(|(_, gate)| !gate.published && !gate.void)
        .map(|(id, gate)| (id.clone(), gate.failed.iter().chain(&gate.waiting).cloned().collect()))
        .collect();
    for (id, tests) in left {
        let Some(node) = session.run.manifest.nodes.get(&id) else { continue };
        discard(session, node).await;
        let names: Vec<&str> =
            tests.iter().filter_map(|id| session.run.manifest.nodes.get(id)).map(|test| test.name.as_str()).collect();
        for result in results.iter_mut().filter(|result| result.unique_id == id && result.status == Status::Success) {
            result.status = Status::Error;
            result.message = Some(format!(
                "the new version of {} was not published: not passed: {}; readers keep the version before",
                node.relation(),
                names.join(", ")
            ));
            nothing_done(result);
        }
    }
}

/// No batch of a model that was not published is done.
fn nothing_done(result: &mut NodeResult) {
    let Some(batches) = result.batch_results.take() else { return };
    let list = |key: &str| batches.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut all: Vec<Json> = list("successful").into_iter().chain(list("failed")).collect();
    all.sort_by_key(Json::to_string);
    result.batch_results = Some(json!({"successful": [], "failed": all}));
    if result.status == Status::PartialSuccess {
        (result.status, result.message) = (Status::Error, Some("ERROR: some batches failed, so none is published".to_string()));
    }
}
