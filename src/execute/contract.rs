//! A model's contract, held before anything is built.

use std::sync::Arc;

use super::message::Failure;
use super::node::sent;
use super::session::Session;
use crate::compile::CompiledNode;
use crate::event::Event;
use crate::manifest::Node;
use crate::materialization::contract;

/// The model's SQL as its contract wants it; as it is where there is none. Tells of constraints that nothing enforces.
pub(super) async fn held(session: &Session, node: &Arc<Node>, compiled: &CompiledNode) -> Result<CompiledNode, Failure> {
    if contract::is_enforced(node) {
        for warning in contract::notices(node, &session.run.manifest.adapter_type) {
            session.run.events.emit(Event::Diagnostic(warning));
        }
    }
    quietly_held(session, node, compiled).await
}

/// The same without telling: for batches after the first.
pub(super) async fn quietly_held(session: &Session, node: &Arc<Node>, compiled: &CompiledNode) -> Result<CompiledNode, Failure> {
    if !contract::is_enforced(node) {
        return Ok(compiled.clone());
    }
    let adapter = &session.run.adapter;
    let query = contract::declared_query(node)?;
    let given =
        adapter.query_columns(&compiled.sql).await.map_err(|error| sent(session, node, compiled, error, &compiled.sql))?;
    let declared = adapter.query_columns(&query).await.map_err(|error| Failure::Database { error, sent: None })?;
    contract::check(node, &declared, &given)?;
    Ok(CompiledNode { sql: contract::shaped(node, &compiled.sql, &declared, &given), ..compiled.clone() })
}
