//! `clone`: an earlier run's relation under this target's name, without its rows being computed again.
//!
//! A table becomes a table whose files are those of the original; whatever else stands there becomes a view on it. What is
//! there already stays, unless everything is to be replaced: dbt's rules.

use std::sync::Arc;

use super::message::Failure;
use super::session::Session;
use crate::adapter::{AdapterError, Effect, Operation};
use crate::event::Event;
use crate::manifest::Node;
use crate::name::{Relation, RelationType};

/// Clones one node; the effect of what was done, none if nothing had to be.
pub(super) async fn clone(session: &Arc<Session>, node: &Node) -> Result<Option<Effect>, Failure> {
    let run = &session.run;
    let say = |text: String| run.events.emit(Event::Message { text, info: true });
    let Some(source) = run.settings.deferred.get(&node.unique_id) else {
        say(format!("No relation found in state manifest for {}", node.unique_id));
        return Ok(None);
    };
    let relation = node.relation();
    let existing = kind(session, &relation).await?;
    if existing.is_some() && !run.settings.full_refresh {
        say(format!("Relation {relation} already exists"));
        return Ok(None);
    }
    if relation == *source {
        say(format!("Relation {relation} is the one to clone: nothing is done"));
        return Ok(None);
    }
    let operation = match kind(session, source).await? {
        Some(RelationType::Table) => Operation::CloneTable { relation, source: source.clone() },
        _ => Operation::CreateView { relation, sql: format!("select * from {source}"), description: None },
    };
    let effect = run.adapter.apply(operation).await;
    effect.map(Some).map_err(database)
}

async fn kind(session: &Session, relation: &Relation) -> Result<Option<RelationType>, Failure> {
    session.run.adapter.relation_type(relation).await.map_err(database)
}

fn database(error: AdapterError) -> Failure {
    Failure::Database { error, sent: None }
}
