//! What has to stand before the first node runs: external tables and schemas.

use std::collections::{BTreeMap, BTreeSet};

use super::session::Session;
use super::{external, query_comment};
use crate::adapter::Operation;
use crate::name::UniqueId;

/// Stages the external sources the plan reads, and makes every schema it writes to, once. What fails blocks the nodes that
/// need it, with the engine's message.
pub(super) async fn prepare(session: &mut Session) {
    if let Err(error) = query_comment::check(session) {
        let reason = format!("the query comment could not be made: {}", error.message);
        let steps = session.run.plan.steps.iter();
        session.blocked = steps.map(|step| (step.unique_id.clone(), reason.clone())).collect();
        return;
    }
    let failed = external::stage(session).await;
    session.blocked.extend(external::blocked_nodes(session, &failed));
    let blocked = create_schemas(session).await;
    session.blocked.extend(blocked);
}

async fn create_schemas(session: &Session) -> Vec<(UniqueId, String)> {
    let nodes = session.run.plan.steps.iter().filter_map(|step| session.run.manifest.nodes.get(&step.unique_id));
    let mut users: BTreeMap<(Option<String>, String), BTreeSet<UniqueId>> = BTreeMap::new();
    for node in nodes.filter(|node| session.builds_relation(node)) {
        if let Some(schema) = node.schema.clone().filter(|schema| !schema.is_empty()) {
            users.entry((node.database.clone(), schema)).or_default().insert(node.unique_id.clone());
        }
    }
    let mut blocked = Vec::new();
    for ((database, schema), nodes) in users {
        if session.stop.is_cancelled() {
            break;
        }
        let operation = Operation::CreateSchema { database, schema: schema.clone() };
        if let Err(error) = session.run.adapter.apply(operation).await {
            // What is wrong first: a full disk is no matter of schemas.
            let reason = format!("{}\nbefore the first node ran, the schema `{schema}` could not be created", error.message);
            blocked.extend(nodes.into_iter().map(|node| (node, reason.clone())));
        }
    }
    blocked
}
