//! The straight line, written once: load → parse → resolve → graph → select → plan → execute → artifact.
//!
//! Each stage takes values and gives values; what a command adds is which stages it needs and how the outcome is shown.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use indexmap::IndexSet;

use crate::adapter::{self, Adapter};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::event::{Event, EventSink};
use crate::graph::{self, Dag, SelectionArgs};
use crate::jinja::Jinja;
use crate::manifest::Manifest;
use crate::name::UniqueId;
use crate::project::{self, LoadOptions, Project};
use crate::resolve;
use crate::world::World;

/// Which invocation this is, for artifacts and templates.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub id: String,
    pub started_at: DateTime<Utc>,
}

/// A project after everything that needs no database.
#[derive(Clone)]
pub struct Loaded {
    pub project: Arc<Project>,
    pub manifest: Arc<Manifest>,
    pub jinja: Arc<Jinja>,
    pub dag: Arc<Dag>,
}

/// `dbt_project.yml`, `profiles.yml` and the installed packages.
pub fn load_project(world: &dyn World, options: &LoadOptions) -> Outcome<(Project, Vec<Diagnostic>)> {
    project::load(world, options)
}

/// Reads every file and resolves it into the manifest and its graph. Errors in the project's text come back among the
/// diagnostics; `Err` is what stopped everything.
pub fn load(world: &dyn World, project: Arc<Project>, invocation: &Invocation) -> Outcome<(Loaded, Vec<Diagnostic>)> {
    let (manifest, jinja, diagnostics) = resolve::load_manifest(world, &project)?;
    let dag = Dag::build(&manifest)?;
    let loaded = Loaded { project, manifest: Arc::new(manifest), jinja: Arc::new(jinja), dag: Arc::new(dag) };
    Ok((loaded, diagnostics))
}

/// The nodes a command works on; warnings (a criterion that matches nothing) become events.
pub fn select(loaded: &Loaded, args: &SelectionArgs, events: &dyn EventSink) -> Outcome<IndexSet<UniqueId>> {
    let (chosen, warnings) = graph::select(&loaded.manifest, &loaded.dag, args)?;
    for warning in warnings {
        events.emit(Event::Diagnostic(warning));
    }
    Ok(chosen)
}
