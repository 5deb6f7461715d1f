//! The lineage DAG and what of it a command selects.
//!
//! [`Dag::build`] turns the manifest's `depends_on` lists into one graph and reports a cycle with its whole path.
//! [`select`] answers dbt's selection language on it. Nothing here asks a database or a file.

use std::sync::Arc;

use indexmap::IndexSet;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Manifest;
use crate::name::{ResourceType, UniqueId};

mod change;
mod dag;
mod definition;
mod gate;
mod member;
mod method;
mod node_set;
mod pattern;
mod selector;
mod state;

pub use dag::{Dag, Direction};
pub use member::Member;
pub use state::{State, StateManifest};

/// What the command line selects by.
#[derive(Clone, Debug, Default)]
pub struct SelectionArgs {
    /// `--select` arguments; a space is union, a comma intersection. Empty selects everything.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    /// A selection of `selectors.yml` by name; it stands for `select` and `exclude`. Where none of the three is given, the
    /// project's default selector holds.
    pub selector: Option<String>,
    /// Resource types the command works on at all; empty for every type.
    pub resource_types: Vec<ResourceType>,
    /// `eager` (default), `cautious`, `buildable`, `empty`.
    pub indirect_selection: String,
    /// What an earlier run left, for `state:`, `result:` and `source_status:`.
    pub state: Option<Arc<State>>,
}

/// What the arguments choose, in the manifest's order, and a warning for every criterion that matched nothing.
///
/// Errors: a malformed criterion, an unknown method, a value the method does not know, a method that is not supported yet.
pub fn select(manifest: &Manifest, dag: &Dag, args: &SelectionArgs) -> Outcome<(IndexSet<UniqueId>, Vec<Diagnostic>)> {
    selector::select(manifest, dag, args)
}
