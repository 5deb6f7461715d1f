//! What the parts of one run share.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::audit::Audit;
use super::query_comment;
use super::shared_scan::SharedScans;
use super::{RunRequest, TypeCheck};
use crate::adapter::Adapter;
use crate::artifact::{TargetFolder, target_file};
use crate::compile::{AdapterIntrospect, CompileContext, CompileFlags, CompiledNode, QueryLabel, Typed, Typing};
use crate::diagnostic::Outcome;
use crate::event::{Event, NodeInfo};
use crate::jinja::Introspect;
use crate::manifest::{Compiled, Manifest, Node, NodeLineage};
use crate::materialization::{Switches, is_microbatch, stores_failures};
use crate::name::{ResourceType, UniqueId};
use crate::plan::Verb;
use crate::rows::ColumnType;

/// Who a connection is for.
pub(super) struct Place<'a> {
    /// dbt's name of the connection: the node's id, `master`, `macro_…`.
    pub name: &'a str,
    pub node: Option<&'a Arc<Node>>,
    /// The worker's name.
    pub thread: &'a str,
}

impl<'a> Place<'a> {
    pub fn main(name: &'a str) -> Self {
        Self { name, node: None, thread: "MainThread" }
    }

    pub fn of_node(node: &'a Arc<Node>, thread: &'a str) -> Self {
        Self { name: node.unique_id.as_str(), node: Some(node), thread }
    }
}

pub(super) struct Session {
    pub run: RunRequest,
    pub context: Arc<CompileContext>,
    /// Cancelled by the user, or by the first failure under `--fail-fast`.
    pub stop: CancellationToken,
    /// Nodes that cannot run, with the reason: a schema or an external table they need could not be made.
    pub blocked: HashMap<UniqueId, String>,
    /// What is held back until it is tested, under `--audit`.
    pub audit: Option<Audit>,
    /// Tests that are counted together.
    pub scans: SharedScans,
    compiled: Mutex<HashMap<UniqueId, Compiled>>,
    /// Columns of what unit tests read.
    input_columns: Mutex<HashMap<UniqueId, Arc<Vec<ColumnType>>>>,
    typing: Option<Typing>,
}

impl Session {
    pub fn new(run: RunRequest) -> Self {
        let stop = run.cancel.child_token();
        let context = compile_context(&run, &stop);
        let scans = SharedScans::of(&run);
        let typing = typing(&run, &context);
        let (compiled, input_columns) = (Mutex::default(), Mutex::default());
        let audit = Audit::of(&run, |node| builds_relation(node, run.settings.store_failures));
        Self { run, context, stop, blocked: HashMap::new(), audit, scans, compiled, input_columns, typing }
    }

    /// Plans the node's query, keeps its lineage, and says what is wrong with it if that is asked for.
    pub async fn check_types(&self, node: &Arc<Node>, compiled: &CompiledNode) -> Outcome<()> {
        let Some(typing) = &self.typing else { return Ok(()) };
        match typing.node(node, compiled).await {
            Typed::Known { lineage, .. } => {
                let mut kept = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(entry) = kept.get_mut(&node.unique_id) {
                    entry.lineage = lineage;
                }
                Ok(())
            }
            Typed::Wrong(error) if self.run.settings.types == TypeCheck::Errors => Err(error),
            Typed::Wrong(_) | Typed::Unknown => Ok(()),
        }
    }

    /// The lineage of the plan's nodes and of all above them.
    pub async fn lineage(&self) -> IndexMap<UniqueId, Arc<NodeLineage>> {
        let Some(typing) = &self.typing else { return IndexMap::new() };
        for step in &self.run.plan.steps {
            typing.by_id(&step.unique_id).await;
        }
        let known = |id: &UniqueId| match typing.known(id) {
            Typed::Known { lineage: Some(lineage), .. } => Some((id.clone(), lineage)),
            _ => None,
        };
        self.run.manifest.nodes.keys().filter_map(known).collect()
    }

    pub fn switches(&self) -> Switches {
        Switches { full_refresh: self.run.settings.full_refresh, store_failures: self.run.settings.store_failures }
    }

    /// What a node compiles and builds in: over a connection of its own, which it ends, where the adapter has connections.
    pub fn node_context(&self, at: &Place<'_>) -> (Arc<CompileContext>, Option<Arc<dyn Adapter>>) {
        let context = self.context.on_thread(at.thread);
        match self.run.adapter.session().filter(|_| self.context.database.is_some()) {
            Some(connection) => {
                let label = QueryLabel { connection: at.name.to_string(), comment: query_comment::of(self, at) };
                let database = introspect(&self.run, connection.clone(), &self.stop).labelled(label);
                (context.over(Arc::new(database)), Some(connection))
            }
            None => (context, None),
        }
    }

    /// A behaviour flag of `dbt_project.yml`.
    pub fn flag(&self, name: &str) -> bool {
        self.run.project.flags.get(name).and_then(Json::as_bool).unwrap_or(false)
    }

    /// Tells what the project holds.
    pub fn announce(&self) {
        let counts = counts(&self.run.manifest);
        self.run.events.emit(Event::RunStarted { counts, threads: self.run.settings.threads.max(1) });
    }

    /// Runs CPU-bound or blocking work away from the scheduler's threads; a panic goes on in the caller.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Aborted: the runtime is going down, and nobody waits for this any more.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Keeps what compiling gave, for the manifest artifact.
    pub fn keep(&self, node: &Node, compiled: &CompiledNode) {
        let path = self.display_path(&self.target_path(TargetFolder::Compiled, node));
        let extra_ctes = compiled.extra_ctes.clone();
        let (code, macros) = (compiled.sql.clone(), compiled.macros.clone());
        let entry = Compiled { code, path: Some(path), extra_ctes, macros, ..Compiled::default() };
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).insert(node.unique_id.clone(), entry);
    }

    /// Adds macros to those that the node called.
    pub fn keep_macros(&self, node: &Node, macros: Vec<UniqueId>) {
        if let Some(entry) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&node.unique_id) {
            entry.macros.extend(macros);
        }
    }

    /// Keeps where the statements lie that build the node.
    pub fn keep_build_path(&self, node: &Node, path: &str) {
        if let Some(entry) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&node.unique_id) {
            entry.build_path = Some(path.to_string());
        }
    }

    pub fn input_columns(&self, id: &UniqueId) -> Option<Arc<Vec<ColumnType>>> {
        self.input_columns.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub fn keep_input_columns(&self, id: &UniqueId, columns: &Arc<Vec<ColumnType>>) {
        self.input_columns.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), columns.clone());
    }

    /// Everything compiled in this run, in the manifest's order; ephemeral parents included.
    pub fn compiled_nodes(&self) -> IndexMap<UniqueId, Compiled> {
        for compiled in self.context.compiled_ephemerals() {
            let kept = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&compiled.unique_id);
            if let Some(node) = self.run.manifest.nodes.get(&compiled.unique_id).filter(|_| !kept) {
                self.keep(node, &compiled);
            }
        }
        let mut kept = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        self.run.manifest.nodes.keys().filter_map(|id| kept.remove_entry(id)).collect()
    }

    /// `target/<folder>/<package>/<file>`, absolute.
    pub fn target_path(&self, folder: TargetFolder, node: &Node) -> PathBuf {
        // Hooks come from `./dbt_project.yml`; collecting the components drops the dot.
        self.run.project.target_path.join(target_file(node, folder)).components().collect()
    }

    /// A path as people know it: below the project's root, with `/`.
    pub fn display_path(&self, path: &std::path::Path) -> String {
        let path = path.strip_prefix(&self.run.project.root).unwrap_or(path);
        path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/").replacen("//", "/", 1)
    }

    /// Whether the node becomes a relation in this run.
    pub fn builds_relation(&self, node: &Node) -> bool {
        builds_relation(node, self.run.settings.store_failures)
    }
}

fn builds_relation(node: &Node, store_failures: bool) -> bool {
    match node.resource_type {
        ResourceType::Model => !node.is_ephemeral(),
        ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function => true,
        ResourceType::Test => stores_failures(node, store_failures),
        _ => false,
    }
}

/// What a line about the node says.
pub(super) fn node_info(node: &Node) -> NodeInfo {
    let is_relation =
        matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function);
    let display_name = match &node.schema {
        Some(schema) if is_relation => format!("{schema}.{}", node.alias),
        _ => node.name.clone(),
    };
    let materialized = match node.resource_type {
        ResourceType::Model | ResourceType::Snapshot => node.materialized().to_string(),
        other => other.to_string(),
    };
    NodeInfo {
        unique_id: node.unique_id.clone(),
        resource_type: node.resource_type,
        name: node.name.clone(),
        materialized,
        is_microbatch: is_microbatch(node),
        display_name,
        original_file_path: node.original_file_path.clone(),
    }
}

fn compile_context(run: &RunRequest, stop: &CancellationToken) -> Arc<CompileContext> {
    let database: Option<Arc<dyn Introspect>> =
        (!run.settings.no_introspect).then(|| Arc::new(introspect(run, run.adapter.clone(), stop)) as Arc<dyn Introspect>);
    let (empty, sample) = (run.settings.empty, run.settings.sample);
    let selected = Arc::new(run.plan.steps.iter().map(|step| step.unique_id.clone()).collect());
    let flags =
        CompileFlags { empty, sample, deferred: run.settings.deferred.clone(), warn_error: run.settings.warn_error, selected };
    CompileContext::new(run.manifest.clone(), run.jinja.clone(), run.project.clone(), database, (run.events.clone(), flags))
}

fn introspect(run: &RunRequest, adapter: Arc<dyn Adapter>, stop: &CancellationToken) -> AdapterIntrospect {
    AdapterIntrospect {
        adapter,
        manifest: run.manifest.clone(),
        root: run.project.root.clone(),
        handle: Handle::current(),
        cancel: stop.clone(),
        events: run.events.clone(),
        label: QueryLabel { connection: "master".to_string(), comment: None },
    }
}

fn typing(run: &RunRequest, context: &Arc<CompileContext>) -> Option<Typing> {
    let built = match run.plan.verb {
        Verb::Compile => None,
        _ => Some(run.plan.steps.iter().map(|step| step.unique_id.clone()).collect()),
    };
    (run.settings.types != TypeCheck::Off).then(|| Typing::new(context.clone(), run.adapter.clone(), built))
}

fn counts(manifest: &Manifest) -> Vec<(ResourceType, usize)> {
    const ORDER: [ResourceType; 6] = [
        ResourceType::Model,
        ResourceType::Analysis,
        ResourceType::Test,
        ResourceType::Snapshot,
        ResourceType::Seed,
        ResourceType::Operation,
    ];
    let mut by_type: HashMap<ResourceType, usize> = HashMap::new();
    for node in manifest.nodes.values() {
        *by_type.entry(node.resource_type).or_default() += 1;
    }
    let others = [
        (ResourceType::Source, manifest.sources.len()),
        (ResourceType::Exposure, manifest.exposures.len()),
        (ResourceType::Metric, manifest.metrics.len()),
        (ResourceType::UnitTest, manifest.unit_tests.len()),
        (ResourceType::Macro, manifest.macros.len()),
    ];
    let nodes = ORDER.into_iter().map(|kind| (kind, by_type.get(&kind).copied().unwrap_or(0)));
    nodes.chain(others).filter(|(_, count)| *count > 0).collect()
}
