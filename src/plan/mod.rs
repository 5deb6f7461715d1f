//! Placeholder for the plan module that the graph part brings; same names and meaning, dropped when that lands.

use crate::name::{ResourceType, UniqueId};

/// What a command does to each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Run,
    Test,
    Build,
    Seed,
    Snapshot,
    Compile,
    Show,
    Freshness,
    List,
}

/// One node's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    pub depends_on: Vec<UniqueId>,
}

/// What a command will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub verb: Verb,
    pub steps: Vec<Step>,
    pub on_run_start: Vec<UniqueId>,
    pub on_run_end: Vec<UniqueId>,
}
