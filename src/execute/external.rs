//! External tables: registered before anything reads them.

use std::collections::{HashMap, HashSet, VecDeque};

use futures::StreamExt;

use super::session::Session;
use crate::compile::external_table;
use crate::name::UniqueId;

/// Stages the external sources among the ancestors of the plan's nodes; gives those that failed, with the message.
pub(super) async fn stage(session: &Session) -> HashMap<UniqueId, String> {
    let needed = needed_sources(session);
    let sources = session.run.manifest.sources.values().filter(|source| needed.contains(&source.unique_id));
    let tables = sources.filter_map(|source| Some((source, external_table(source, &session.run.project.root)?)));
    let work: Vec<_> = tables
        .map(|(source, table)| async move {
            let staged = tokio::select! {
                biased;
                staged = session.run.adapter.stage_external(&table) => staged.map(|_| ()).map_err(|error| {
                    let help = error.help.map_or(String::new(), |help| format!("\nhelp: {help}"));
                    format!("external table {}.{}: {}{help}", source.source_name, source.name, error.message)
                }),
                () = session.stop.cancelled() => Err("the run was cancelled".to_string()),
            };
            staged.err().map(|message| (source.unique_id.clone(), message))
        })
        .collect();
    let results: Vec<_> = futures::stream::iter(work).buffer_unordered(session.run.settings.threads.max(1)).collect().await;
    results.into_iter().flatten().collect()
}

/// Every source above a node of the plan, through nodes that are not in the plan too.
fn needed_sources(session: &Session) -> HashSet<UniqueId> {
    let manifest = &session.run.manifest;
    let mut seen: HashSet<&UniqueId> = HashSet::new();
    let mut waiting: Vec<&UniqueId> = session.run.plan.steps.iter().map(|step| &step.unique_id).collect();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(node) = manifest.nodes.get(id) {
            waiting.extend(&node.depends_on.nodes);
        }
    }
    seen.into_iter().filter(|id| manifest.sources.contains_key(*id)).cloned().collect()
}

/// The first nodes of the plan below a failed source; those below them are skipped as below any failure.
pub(super) fn blocked_nodes(session: &Session, failed: &HashMap<UniqueId, String>) -> HashMap<UniqueId, String> {
    if failed.is_empty() {
        return HashMap::new();
    }
    let planned: HashSet<&UniqueId> = session.run.plan.steps.iter().map(|step| &step.unique_id).collect();
    let mut children: HashMap<&UniqueId, Vec<&UniqueId>> = HashMap::new();
    for node in session.run.manifest.nodes.values() {
        for parent in &node.depends_on.nodes {
            children.entry(parent).or_default().push(&node.unique_id);
        }
    }
    let mut blocked = HashMap::new();
    let mut seen: HashSet<&UniqueId> = HashSet::new();
    // In the manifest's order, so that a node below two failed sources always names the same one.
    let sources = session.run.manifest.sources.keys();
    let mut waiting: VecDeque<_> = sources.filter_map(|id| Some((id, failed.get(id)?))).collect();
    while let Some((id, reason)) = waiting.pop_front() {
        for child in children.get(id).into_iter().flatten().copied() {
            if !seen.insert(child) {
                continue;
            }
            if planned.contains(child) {
                blocked.insert(child.clone(), reason.clone());
            } else {
                waiting.push_back((child, reason));
            }
        }
    }
    blocked
}
