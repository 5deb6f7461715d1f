//! `--defer`: nodes that this run does not build and that are not here are read where an earlier run put them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::adapter::{Adapter, AdapterError};
use crate::graph::State;
use crate::manifest::Manifest;
use crate::name::{Relation, UniqueId};
use crate::plan::{Plan, Verb};

/// The nodes to read elsewhere, each with its place. A node defers if the earlier manifest has a relation for it, the plan
/// does not build it, and either no relation of its name is here or, with `favor`, it is not selected.
///
/// # Errors
/// What the engine says when it lists relations.
pub async fn deferred(
    manifest: &Manifest,
    adapter: &dyn Adapter,
    plan: &Plan,
    (state, favor): (&State, bool),
) -> Result<HashMap<UniqueId, Relation>, AdapterError> {
    let Some(earlier) = &state.manifest else { return Ok(HashMap::new()) };
    let selected: HashSet<&UniqueId> = plan.steps.iter().map(|step| &step.unique_id).collect();
    let builds = matches!(plan.verb, Verb::Run | Verb::Build | Verb::Seed | Verb::Snapshot);
    let mut here = Here { adapter, schemas: BTreeMap::new() };
    let mut deferred = HashMap::new();
    for (id, node) in manifest.nodes.iter().filter(|(_, node)| node.resource_type.is_refable() && !node.is_ephemeral()) {
        let Some(relation) = earlier.relation(id) else { continue };
        let is_selected = selected.contains(id);
        if builds && is_selected {
            continue;
        }
        if plan.verb == Verb::Clone || (favor && !is_selected) || !here.has(&node.relation()).await? {
            deferred.insert(id.clone(), relation);
        }
    }
    Ok(deferred)
}

/// The relations that stand in the database, asked for once a schema.
struct Here<'a> {
    adapter: &'a dyn Adapter,
    schemas: BTreeMap<String, HashSet<String>>,
}

impl Here<'_> {
    async fn has(&mut self, relation: &Relation) -> Result<bool, AdapterError> {
        let schema = relation.schema.clone().unwrap_or_default();
        if !self.schemas.contains_key(&schema) {
            let listed = self.adapter.list_relations(&schema).await?;
            self.schemas.insert(schema.clone(), listed.into_iter().map(|(relation, _)| relation.identifier).collect());
        }
        Ok(self.schemas.get(&schema).is_some_and(|names| names.contains(&relation.identifier)))
    }
}
