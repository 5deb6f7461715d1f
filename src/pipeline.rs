//! The straight line, written once: load → parse → resolve → graph → select → plan → execute → artifact.
//!
//! Each stage takes values and gives values; what a command adds is which stages it needs and how the outcome is shown.

mod following;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use indexmap::{IndexMap, IndexSet};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use crate::adapter::{self, Adapter, CatalogEntry};
use crate::artifact::{self, ArtifactMetadata, Journal, Unfinished};
use crate::cache;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::docs::{self, SiteInput};
use crate::event::{Event, EventSink};
use crate::execute::{self, FreshnessOutcome, RunOutcome, RunRequest, RunSettings};
use crate::graph::{self, Dag, SelectionArgs, State};
use crate::invocation::Invocation;
use crate::jinja::Jinja;
use crate::manifest::{Manifest, NodeLineage};
use crate::name::{Relation, UniqueId};
use crate::plan::{self, Plan, Verb};
use crate::project::{self, LoadOptions, Project};
use crate::world::{Stamp, World};

pub use following::{Following, following};

/// A project after everything that needs no database.
#[derive(Clone)]
pub struct Loaded {
    pub project: Arc<Project>,
    pub manifest: Arc<Manifest>,
    pub jinja: Arc<Jinja>,
    pub dag: Arc<Dag>,
    /// The manifest that was kept for the next command, if this is the same.
    pub kept: Option<String>,
}

/// `dbt_project.yml`, `profiles.yml` and the installed packages.
pub fn load_project(world: &dyn World, options: &LoadOptions) -> Outcome<(Project, Vec<Diagnostic>)> {
    project::load(world, options)
}

/// Reads every file and resolves it into the manifest and its graph. Errors in the project's text come back among the
/// diagnostics; `Err` is what stopped everything.
pub fn load(world: &dyn World, project: Arc<Project>, invocation: &Invocation) -> Outcome<(Loaded, Vec<Diagnostic>)> {
    let cache::Parsed { manifest, jinja, diagnostics, kept } = cache::load(world, &project, invocation)?;
    let dag = Dag::build(&manifest)?;
    let loaded = Loaded { project, manifest: Arc::new(manifest), jinja: Arc::new(jinja), dag: Arc::new(dag), kept };
    Ok((loaded, diagnostics))
}

/// Every file of the project with its stamp, `dbt_project.yml` of each package among them: to see whether something was edited.
pub fn sight(world: &dyn World, project: &Project) -> Outcome<BTreeMap<PathBuf, Option<Stamp>>> {
    let own = project.packages.iter().map(|package| package.root.join("dbt_project.yml"));
    let paths = project.files(world)?.into_iter().map(|file| file.absolute).chain(own);
    Ok(paths.map(|path| (path.clone(), world.stamp(&path).ok())).collect())
}

/// The nodes a command works on; warnings (a criterion that matches nothing) become events.
pub fn select(loaded: &Loaded, args: &SelectionArgs, events: &dyn EventSink) -> Outcome<IndexSet<UniqueId>> {
    let (chosen, warnings) = graph::select(&loaded.manifest, &loaded.dag, args)?;
    for warning in warnings {
        events.emit(Event::Diagnostic(warning));
    }
    Ok(chosen)
}

/// The engine the target names.
pub async fn connect(project: &Project) -> Outcome<Arc<dyn Adapter>> {
    let target = &project.target;
    let place = adapter::Target {
        database: &target.database,
        schema: &target.schema,
        threads: target.threads,
        settings: &target.settings,
        base: &project.root,
    };
    adapter::connect(&target.engine, &place).await.map_err(|error| {
        let diagnostic = Diagnostic::error(error.code, error.message);
        Box::new(match error.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        })
    })
}

/// What a command that touches the database works with, beside the loaded project.
#[derive(Clone)]
pub struct Runner {
    pub settings: RunSettings,
    pub events: Arc<dyn EventSink>,
    pub cancel: CancellationToken,
    pub world: Arc<dyn World>,
    pub deferral: Option<Deferral>,
}

/// What `--defer` reads unbuilt nodes from.
#[derive(Clone)]
pub struct Deferral {
    pub state: Arc<State>,
    /// `--favor-state`: also where the node is built here, unless it is selected.
    pub favor: bool,
}

/// The artifacts of an earlier run in `folder` (from the project's root).
pub fn read_state(project: &Project, folder: &Path) -> Outcome<State> {
    artifact::read_state(&project.root.join(folder), &project.target_path).map_err(|error| {
        let help = "it must hold artifacts that a run wrote";
        Box::new(Diagnostic::error("state-unreadable", error.to_string()).help(help))
    })
}

impl Runner {
    /// A request for the executor; connects.
    pub async fn request(mut self, loaded: &Loaded, plan: Plan) -> Outcome<RunRequest> {
        let adapter = connect(&loaded.project).await?;
        if let Some(deferral) = &self.deferral {
            let deferred = execute::deferred(&loaded.manifest, adapter.as_ref(), &plan, (&deferral.state, deferral.favor)).await;
            self.settings.deferred = Arc::new(deferred.map_err(|error| Box::new(Diagnostic::error(error.code, error.message)))?);
        }
        Ok(RunRequest {
            manifest: loaded.manifest.clone(),
            jinja: loaded.jinja.clone(),
            adapter,
            project: loaded.project.clone(),
            plan,
            settings: self.settings,
            events: self.events,
            cancel: self.cancel,
            world: self.world,
        })
    }
}

/// Runs `verb` on what is selected.
pub async fn run(loaded: &Loaded, verb: Verb, selected: &IndexSet<UniqueId>, runner: Runner) -> Outcome<RunOutcome> {
    let plan = plan::plan(&loaded.manifest, &loaded.dag, verb, selected);
    let request = runner.request(loaded, plan).await?;
    Ok(execute::run(request).await)
}

/// [`run`] with a journal in the target folder, so that `retry` knows what was open if the process is killed.
/// [`write_run`] ends the journal.
pub async fn run_with_journal(
    loaded: &Loaded,
    verb: Verb,
    selected: &IndexSet<UniqueId>,
    (mut runner, invocation): (Runner, &Invocation),
) -> Outcome<RunOutcome> {
    let plan = plan::plan(&loaded.manifest, &loaded.dag, verb, selected);
    let nodes = plan.steps.iter().map(|step| step.unique_id.clone()).collect();
    // A run without its journal is as good: only a `retry` after a kill misses it.
    if let Ok(journal) = Journal::begin(&loaded.project.target_path, &invocation.args, nodes) {
        runner.events = Arc::new(Noted { journal, events: runner.events });
    }
    let request = runner.request(loaded, plan).await?;
    Ok(execute::run(request).await)
}

/// What a killed run in this target folder left open, if the last one was killed.
pub fn unfinished_run(target: &Path) -> Option<Unfinished> {
    artifact::read_journal(target)
}

/// Events on their way, with each node's end noted.
struct Noted {
    journal: Journal,
    events: Arc<dyn EventSink>,
}

impl EventSink for Noted {
    fn emit(&self, event: Event) {
        if let Event::NodeFinished { result, .. } = &event {
            self.journal.note(result);
        }
        self.events.emit(event);
    }
}

/// Where the columns of the chosen nodes, and of all above them, come from.
pub async fn column_lineage(
    loaded: &Loaded,
    chosen: &IndexSet<UniqueId>,
    runner: Runner,
) -> Outcome<IndexMap<UniqueId, Arc<NodeLineage>>> {
    let plan = plan::plan(&loaded.manifest, &loaded.dag, Verb::Compile, chosen);
    let request = runner.request(loaded, plan).await?;
    Ok(execute::column_lineage(request).await)
}

/// Puts lineage into the manifest, for what is written from it.
pub fn keep_lineage(loaded: &mut Loaded, lineage: IndexMap<UniqueId, Arc<NodeLineage>>) {
    let manifest = Arc::make_mut(&mut loaded.manifest);
    for (id, lineage) in lineage {
        if let Some(node) = manifest.nodes.get_mut(&id) {
            node.lineage = Some(lineage);
        }
    }
}

/// Checks how fresh the selected sources are.
pub async fn freshness(loaded: &Loaded, selected: &IndexSet<UniqueId>, runner: Runner) -> Outcome<FreshnessOutcome> {
    let plan = plan::plan(&loaded.manifest, &loaded.dag, Verb::Freshness, selected);
    let request = runner.request(loaded, plan).await?;
    Ok(execute::source_freshness(request).await)
}

/// Writes `manifest.json`, and `sources.json` into the target folder or to `output` (from the project's root).
pub fn write_freshness(
    loaded: &Loaded,
    outcome: &FreshnessOutcome,
    output: Option<&Path>,
    invocation: &Invocation,
) -> Outcome<()> {
    write_manifest(loaded, invocation)?;
    let path = match output {
        Some(output) => loaded.project.root.join(output),
        None => loaded.project.target_path.join("sources.json"),
    };
    written(&path, artifact::write_sources(&path, &outcome.sources, outcome.run.elapsed, &metadata(invocation)))
}

/// Writes `manifest.json` and `semantic_manifest.json` into the target folder.
pub fn write_manifest(loaded: &Loaded, invocation: &Invocation) -> Outcome<()> {
    let path = loaded.project.target_path.join("manifest.json");
    written(&path, artifact::write_manifest(&path, &loaded.manifest, &loaded.dag, &metadata(invocation)))?;
    let path = loaded.project.target_path.join("semantic_manifest.json");
    written(&path, artifact::write_semantic_manifest(&path, &loaded.manifest))
}

/// [`write_manifest`] of a project just loaded; where nothing changes until the next time, that only renews its metadata.
pub fn write_parsed(world: &dyn World, loaded: &Loaded, invocation: &Invocation) -> Outcome<()> {
    write_manifest(loaded, invocation)?;
    if let Some(id) = &loaded.kept {
        cache::mark(world, &loaded.project, id);
    }
    Ok(())
}

/// Renews `manifest.json` without loading the project, if at most the text of some models has changed since that was written.
/// Gives the warnings that parsing would give; none if there is something to parse.
pub fn renew_manifest(world: &dyn World, project: &Project, invocation: &Invocation) -> Option<Vec<Diagnostic>> {
    world.stamp(&project.target_path.join("semantic_manifest.json")).ok()?;
    let mut renewal = cache::renewal(world, project, invocation)?;
    artifact::renew_manifest(&project.target_path.join("manifest.json"), &metadata(invocation), &renewal.nodes).ok()?;
    let diagnostics = std::mem::take(&mut renewal.diagnostics);
    renewal.mark(world, project);
    Some(diagnostics)
}

/// Writes what a run leaves behind: `manifest.json` with the compiled code, and `run_results.json`.
pub fn write_run(loaded: &mut Loaded, outcome: &RunOutcome, invocation: &Invocation) -> Outcome<()> {
    keep_compiled(loaded, outcome);
    write_manifest(loaded, invocation)?;
    let path = loaded.project.target_path.join("column_lineage.json");
    written(&path, artifact::write_column_lineage(&path, &loaded.manifest, &metadata(invocation)))?;
    let path = loaded.project.target_path.join("run_results.json");
    let about = metadata(invocation);
    written(&path, artifact::write_run_results(&path, &outcome.results, outcome.elapsed, &invocation.args, &about))?;
    artifact::end_journal(&loaded.project.target_path);
    Ok(())
}

/// Puts what compiling gave into the manifest.
fn keep_compiled(loaded: &mut Loaded, outcome: &RunOutcome) {
    loaded.kept = None;
    let manifest = Arc::make_mut(&mut loaded.manifest);
    for (id, compiled) in &outcome.compiled {
        if let Some(node) = manifest.nodes.get_mut(id) {
            // dbt notes what a text calls while it runs too: behind `{% if execute %}`, or in a test's arguments.
            for called in &compiled.macros {
                if !node.depends_on.macros.contains(called) {
                    node.depends_on.macros.push(called.clone());
                }
            }
            node.compiled = Some(compiled.clone());
            node.lineage = compiled.lineage.clone();
        }
    }
}

fn written(path: &Path, result: std::io::Result<()>) -> Outcome<()> {
    result.map_err(|error| Box::new(Diagnostic::error("io", format!("cannot write {}: {error}", path.display()))))
}

/// What `docs generate` is asked for.
#[derive(Clone, Debug)]
pub struct DocsRequest {
    /// The nodes to compile first, so that the site shows their compiled code.
    pub compile: Option<IndexSet<UniqueId>>,
    /// Ask the warehouse for columns and sizes.
    pub catalog: bool,
    /// The site's folder.
    pub site: PathBuf,
}

/// Compiles, writes `manifest.json` and `catalog.json`, and makes the site of both. Returns its number of pages.
pub async fn docs(loaded: &mut Loaded, request: &DocsRequest, invocation: &Invocation, runner: Runner) -> Outcome<usize> {
    let plan = plan::plan(&loaded.manifest, &loaded.dag, Verb::Compile, request.compile.as_ref().unwrap_or(&IndexSet::new()));
    let run = runner.request(loaded, plan).await?;
    let adapter = run.adapter.clone();
    if request.compile.is_some() {
        let outcome = execute::compile_only(run).await;
        if let Some(failed) = outcome.results.iter().find(|result| result.is_failure()) {
            let (id, message) = (failed.unique_id.clone(), failed.message.clone().unwrap_or_default());
            // What failed can be retried.
            write_run(loaded, &outcome, invocation)?;
            return Diagnostic::error("docs-compile", format!("{id} does not compile: {message}"))
                .help("mend it, or write the site without compiled code: --no-compile")
                .fail();
        }
        keep_compiled(loaded, &outcome);
        write_manifest(loaded, invocation)?;
    }
    let relations = if request.catalog { relations(&loaded.manifest) } else { Vec::new() };
    let entries = adapter.catalog(&relations).await.map_err(|error| Box::new(Diagnostic::error(error.code, error.message)))?;
    let path = loaded.project.target_path.join("catalog.json");
    written(&path, artifact::write_catalog(&path, &loaded.manifest, &entries, &metadata(invocation)))?;
    site(loaded, &entries, request, invocation)
}

fn site(loaded: &Loaded, entries: &[CatalogEntry], request: &DocsRequest, invocation: &Invocation) -> Outcome<usize> {
    let metadata = metadata(invocation);
    let results = std::fs::read(loaded.project.target_path.join("run_results.json")).ok();
    let run_results = results.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Json::Null);
    let manifest = artifact::manifest_json(&loaded.manifest, &loaded.dag, &metadata);
    let catalog = artifact::catalog_json(&loaded.manifest, entries, &metadata);
    let input = SiteInput { manifest: &manifest, catalog: &catalog, run_results: &run_results };
    let failed = |error: docs::SiteError| Box::new(Diagnostic::error("io", error.to_string()));
    let pages = docs::generate(&input, &request.site).map_err(failed)?;
    docs::lead_on(&loaded.project.target_path.join("index.html"), "site/index.html").map_err(failed)?;
    Ok(pages)
}

/// Every relation the project builds or reads.
fn relations(manifest: &Manifest) -> Vec<Relation> {
    let built = manifest.nodes.values().filter(|node| node.resource_type.is_refable() && !node.is_ephemeral());
    built.map(|node| node.relation()).chain(manifest.sources.values().map(|source| source.relation())).collect()
}

fn metadata(invocation: &Invocation) -> ArtifactMetadata {
    ArtifactMetadata {
        generated_at: Utc::now(),
        invocation_id: invocation.id.clone(),
        invocation_started_at: invocation.started_at,
        env: std::env::vars()
            .filter_map(|(name, value)| Some((name.strip_prefix("DBT_ENV_CUSTOM_ENV_")?.to_string(), value)))
            .collect(),
    }
}
