//! The lineage DAG and what of it a command selects.

use indexmap::IndexSet;

use crate::diagnostic::Outcome;
use crate::manifest::Manifest;
use crate::name::{ResourceType, UniqueId};

/// What the command line selects by.
#[derive(Clone, Debug, Default)]
pub struct SelectionArgs {
    /// `--select` arguments; a space is union, a comma intersection.
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    /// Resource types the command works on at all.
    pub resource_types: Vec<ResourceType>,
    /// `eager` (default), `cautious`, `buildable`, `empty`.
    pub indirect_selection: String,
}
