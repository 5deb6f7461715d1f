//! The lineage DAG and what of it a command selects.
//!
//! [`Dag::build`] turns the manifest's `depends_on` lists into one graph and reports a cycle with its whole path.
//! [`select`] answers dbt's selection language on it. Nothing here asks a database or a file.

use indexmap::IndexSet;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Manifest;
use crate::name::{ResourceType, UniqueId};

mod dag;
mod edited;
mod gate;
mod member;
mod method;
mod node_set;
mod pattern;
mod selector;

pub use dag::{Dag, Direction};
pub use edited::edited;
pub use member::Member;

/// What the command line selects by.
#[derive(Clone, Debug, Default)]
pub struct SelectionArgs {
    /// `--select` arguments; a space is union, a comma intersection. Empty selects everything.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    /// Resource types the command works on at all; empty for every type.
    pub resource_types: Vec<ResourceType>,
    /// `eager` (default), `cautious`, `buildable`, `empty`.
    pub indirect_selection: String,
}

/// What the arguments choose, in the manifest's order, and a warning for every criterion that matched nothing.
///
/// Errors: a malformed criterion, an unknown method, a value the method does not know, a method that is not supported yet.
pub fn select(manifest: &Manifest, dag: &Dag, args: &SelectionArgs) -> Outcome<(IndexSet<UniqueId>, Vec<Diagnostic>)> {
    selector::select(manifest, dag, args)
}
