//! The graph itself, on petgraph: an edge runs from what is read to what reads it.

use std::collections::HashMap;

use indexmap::IndexSet;
use petgraph::graph::{DiGraph, NodeIndex};

use super::Member;
use super::node_set::NodeSet;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Manifest;
use crate::name::UniqueId;

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards what a node reads.
    Parents,
    /// Towards what reads it.
    Children,
}

/// The lineage of a project. Positions of nodes follow [`Member::all`], so every answer has one stable order.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    graph: DiGraph<UniqueId, ()>,
    indices: HashMap<UniqueId, NodeIndex>,
    /// Parents before children.
    order: Vec<NodeIndex>,
}

impl Dag {
    /// Links every node, source, exposure, unit test, metric, semantic model and saved query of the manifest.
    ///
    /// Errors: `dependency-cycle` with the whole path, `dependency-missing` for an id that the manifest does not hold.
    pub fn build(manifest: &Manifest) -> Outcome<Self> {
        let mut dag = Self::default();
        for member in Member::all(manifest) {
            let index = dag.graph.add_node(member.unique_id().clone());
            dag.indices.insert(member.unique_id().clone(), index);
        }
        // A parent named twice is one edge: the stamp tells for whom a parent was linked last.
        let mut linked_for = vec![usize::MAX; dag.len()];
        for (position, member) in Member::all(manifest).enumerate() {
            for parent in member.parents() {
                let Some(&from) = dag.indices.get(parent) else {
                    return missing(&member, parent).fail();
                };
                if std::mem::replace(&mut linked_for[from.index()], position) != position {
                    dag.graph.add_edge(from, NodeIndex::new(position), ());
                }
            }
        }
        dag.order = match dag.sort() {
            Ok(order) => order,
            Err(waiting) => return dag.cycle(manifest, &waiting).fail(),
        };
        Ok(dag)
    }

    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, id: &UniqueId) -> bool {
        self.indices.contains_key(id)
    }

    /// What `id` reads directly, in order of first mention; empty for an unknown id.
    pub fn parents(&self, id: &UniqueId) -> Vec<&UniqueId> {
        self.neighbours(id, Direction::Parents)
    }

    /// What reads `id` directly, in the manifest's order; empty for an unknown id.
    pub fn children(&self, id: &UniqueId) -> Vec<&UniqueId> {
        self.neighbours(id, Direction::Children)
    }

    /// Everything `id` reads, directly or not, at most `depth` steps away; in the manifest's order, without `id` itself.
    pub fn ancestors(&self, id: &UniqueId, depth: Option<usize>) -> IndexSet<UniqueId> {
        self.reach(id, Direction::Parents, depth)
    }

    /// Everything that reads `id`, directly or not, at most `depth` steps away; in the manifest's order.
    pub fn descendants(&self, id: &UniqueId, depth: Option<usize>) -> IndexSet<UniqueId> {
        self.reach(id, Direction::Children, depth)
    }

    /// Every id, parents before children; among equals the manifest's order.
    pub fn topological_order(&self) -> impl Iterator<Item = &UniqueId> {
        self.order.iter().map(|index| &self.graph[*index])
    }

    fn neighbours(&self, id: &UniqueId, direction: Direction) -> Vec<&UniqueId> {
        let Some(index) = self.indices.get(id) else { return Vec::new() };
        let mut found: Vec<_> = self.next(index.index(), direction).map(|index| self.id(index)).collect();
        // petgraph lists the newest edge first.
        found.reverse();
        found
    }

    fn reach(&self, id: &UniqueId, direction: Direction, depth: Option<usize>) -> IndexSet<UniqueId> {
        let Some(index) = self.position(id) else { return IndexSet::new() };
        let from = NodeSet::from_indices(self.len(), [index]);
        self.walk(&from, direction, depth).iter().map(|index| self.id(index).clone()).collect()
    }

    pub(crate) fn position(&self, id: &UniqueId) -> Option<usize> {
        self.indices.get(id).map(|index| index.index())
    }

    pub(crate) fn id(&self, position: usize) -> &UniqueId {
        &self.graph[NodeIndex::new(position)]
    }

    /// Positions, parents before children.
    pub(crate) fn order(&self) -> impl Iterator<Item = usize> {
        self.order.iter().map(|index| index.index())
    }

    /// Direct neighbours, newest edge first.
    pub(crate) fn next(&self, position: usize, direction: Direction) -> impl Iterator<Item = usize> {
        let direction = match direction {
            Direction::Parents => petgraph::Direction::Incoming,
            Direction::Children => petgraph::Direction::Outgoing,
        };
        self.graph.neighbors_directed(NodeIndex::new(position), direction).map(|index| index.index())
    }

    /// What is reached from `from` in at most `depth` steps; nodes of `from` only where another leads to them.
    pub(crate) fn walk(&self, from: &NodeSet, direction: Direction, depth: Option<usize>) -> NodeSet {
        let mut reached = NodeSet::empty(self.len());
        let mut layer: Vec<usize> = from.iter().collect();
        let mut steps = 0;
        while !layer.is_empty() && depth.is_none_or(|depth| steps < depth) {
            let mut following = Vec::new();
            for position in layer {
                following.extend(self.next(position, direction).filter(|next| reached.insert(*next)));
            }
            layer = following;
            steps += 1;
        }
        reached
    }

    /// Kahn's algorithm, first in first out. The error holds the nodes that wait on a cycle.
    fn sort(&self) -> Result<Vec<NodeIndex>, NodeSet> {
        let mut waits_for: Vec<usize> = (0..self.len()).map(|position| self.next(position, Direction::Parents).count()).collect();
        let mut order: Vec<usize> = (0..self.len()).filter(|position| waits_for[*position] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            let mut children: Vec<_> = self.next(order[at], Direction::Children).collect();
            children.reverse();
            for child in children {
                waits_for[child] -= 1;
                if waits_for[child] == 0 {
                    order.push(child);
                }
            }
            at += 1;
        }
        if order.len() == self.len() {
            return Ok(order.into_iter().map(NodeIndex::new).collect());
        }
        Err(NodeSet::from_indices(self.len(), (0..self.len()).filter(|position| waits_for[*position] > 0)))
    }

    /// Names a cycle among `waiting`, the nodes that could not be placed.
    fn cycle(&self, manifest: &Manifest, waiting: &NodeSet) -> Diagnostic {
        let ids: Vec<&UniqueId> = self.cycle_in(waiting).into_iter().map(|position| self.id(position)).collect();
        let route = ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" → ");
        let mut diagnostic = Diagnostic::error("dependency-cycle", format!("dependency cycle: {route}"));
        for pair in ids.windows(2) {
            if let Some(member) = Member::find(manifest, pair[0]) {
                diagnostic = diagnostic.help(format!("`{}` refers to `{}` ({})", pair[0], pair[1], member.location()));
            }
        }
        match ids.first().and_then(|id| Member::find(manifest, id)) {
            Some(member) => diagnostic.at(member.location().clone()),
            None => diagnostic,
        }
    }

    /// A cycle as positions, each followed by one it reads; the first is the smallest and stands at the end again.
    ///
    /// Every node that could not be placed has a parent that could not be placed either: going from parent to parent must
    /// come back to a node seen before.
    fn cycle_in(&self, waiting: &NodeSet) -> Vec<usize> {
        let mut seen_at = HashMap::new();
        let mut path = Vec::new();
        let mut next = waiting.iter().next();
        while let Some(position) = next {
            if let Some(start) = seen_at.insert(position, path.len()) {
                path.drain(..start);
                break;
            }
            path.push(position);
            next = self.next(position, Direction::Parents).filter(|parent| waiting.contains(*parent)).min();
        }
        let smallest = (0..path.len()).min_by_key(|place| path[*place]).unwrap_or_default();
        path.rotate_left(smallest);
        path.extend(path.first().copied());
        path
    }
}

fn missing(member: &Member<'_>, parent: &UniqueId) -> Diagnostic {
    let message = format!("`{}` depends on `{parent}`, which the project does not hold", member.unique_id());
    Diagnostic::error("dependency-missing", message).at(member.location().clone())
}
