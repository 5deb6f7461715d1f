//! Plans: what a command does with what was selected, as ordered steps. Pure data, built first and executed later, and
//! printable without running.

use std::fmt;

use indexmap::IndexSet;

use crate::graph::Dag;
use crate::manifest::Manifest;
use crate::name::{ResourceType, UniqueId};

mod build;
mod contract;
mod lineage;
mod ls;

pub use lineage::{ColumnEdge, ColumnGraph, Dependence, Way};
pub use ls::{LsOutput, ls};

/// What a command does to each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Run,
    Test,
    Build,
    Seed,
    Snapshot,
    Compile,
    /// Compile one node and show its first rows.
    Show,
    /// Check how fresh sources are.
    Freshness,
    List,
    /// Take over an earlier run's relations.
    Clone,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Test => "test",
            Self::Build => "build",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Compile => "compile",
            Self::Show => "show",
            Self::Freshness => "freshness",
            Self::List => "list",
            Self::Clone => "clone",
        }
    }

    /// The resource types the verb works on, for [`SelectionArgs`](crate::graph::SelectionArgs). `ls` can list analyses too
    /// where they are asked for.
    pub fn resource_types(self) -> &'static [ResourceType] {
        use ResourceType::*;
        match self {
            Self::Run => &[Model],
            Self::Test => &[Test, UnitTest],
            Self::Build => &[Model, Seed, Snapshot, Test, UnitTest, SavedQuery, Exposure, Function],
            Self::Seed => &[Seed],
            Self::Snapshot => &[Snapshot],
            Self::Compile | Self::Show => &[Model, Test, Snapshot, Analysis, Operation, Seed, SqlOperation, Function],
            Self::Freshness => &[Source],
            Self::Clone => &[Model, Seed, Snapshot],
            Self::List => &[Model, Snapshot, Seed, Test, Source, Exposure, Metric, SavedQuery, SemanticModel, UnitTest, Function],
        }
    }

    /// Whether `on-run-start` and `on-run-end` run with it.
    pub fn runs_hooks(self) -> bool {
        matches!(self, Self::Run | Self::Test | Self::Build | Self::Seed | Self::Snapshot | Self::Freshness)
    }

    /// Whether ephemeral models are steps of their own; elsewhere they only pass dependencies on.
    pub fn visits_ephemeral(self) -> bool {
        matches!(self, Self::Compile | Self::Show | Self::List)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One node's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    /// The steps that must end before this one begins, and whose failure skips it. Ways through nodes that are no steps count;
    /// a step that another of these waits for anyway may be left out.
    pub depends_on: Vec<UniqueId>,
}

/// What a command will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub verb: Verb,
    /// Parents before children, in the order in which one thread takes them: by distance from the first steps, then by id.
    pub steps: Vec<Step>,
    /// Operations before the first step: the root project's, then those of installed packages. Empty when nothing is selected.
    pub on_run_start: Vec<UniqueId>,
    pub on_run_end: Vec<UniqueId>,
}

/// Orders what was selected for `verb`: keeps what the verb works on, drops files without code, and links each step to the
/// steps it waits for. In `build`, nodes wait for the tests of their ancestors, and a model for its own unit tests.
///
/// `selected` is what [`select`](crate::graph::select) gave; `dag` is the graph of the same manifest.
pub fn plan(manifest: &Manifest, dag: &Dag, verb: Verb, selected: &IndexSet<UniqueId>) -> Plan {
    build::plan(manifest, dag, verb, selected)
}

impl fmt::Display for Plan {
    /// `build: 3 steps` and a numbered list; `after` names the numbers of the steps waited for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.steps.len() == 1 { "" } else { "s" };
        writeln!(f, "{}: {} step{plural}", self.verb, self.steps.len())?;
        for hook in &self.on_run_start {
            writeln!(f, "start: {hook}")?;
        }
        let numbers: std::collections::HashMap<&UniqueId, usize> =
            self.steps.iter().enumerate().map(|(at, step)| (&step.unique_id, at + 1)).collect();
        for (at, step) in self.steps.iter().enumerate() {
            write!(f, "{}. {}", at + 1, step.unique_id)?;
            let mut after: Vec<usize> = step.depends_on.iter().filter_map(|id| numbers.get(id).copied()).collect();
            after.sort_unstable();
            if !after.is_empty() {
                let after: Vec<String> = after.iter().map(usize::to_string).collect();
                write!(f, " after {}", after.join(", "))?;
            }
            writeln!(f)?;
        }
        for hook in &self.on_run_end {
            writeln!(f, "end: {hook}")?;
        }
        Ok(())
    }
}
