//! What the parts of one run share.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::RunRequest;
use super::audit::Audit;
use crate::artifact::{TargetFolder, target_file};
use crate::compile::{AdapterIntrospect, CompileContext, CompileFlags, CompiledNode};
use crate::event::{Event, NodeInfo};
use crate::jinja::Introspect;
use crate::manifest::{Compiled, Manifest, Node};
use crate::materialization::{Switches, is_microbatch, stores_failures};
use crate::name::{ResourceType, UniqueId};

pub(super) struct Session {
    pub run: RunRequest,
    pub context: Arc<CompileContext>,
    /// Cancelled by the user, or by the first failure under `--fail-fast`.
    pub stop: CancellationToken,
    /// Nodes that cannot run, with the reason: a schema or an external table they need could not be made.
    pub blocked: HashMap<UniqueId, String>,
    /// What is held back until it is tested, under `--audit`.
    pub audit: Option<Audit>,
    compiled: Mutex<HashMap<UniqueId, Compiled>>,
}

impl Session {
    pub fn new(run: RunRequest) -> Self {
        let stop = run.cancel.child_token();
        let context = compile_context(&run, &stop);
        let audit = Audit::of(&run, |node| builds_relation(node, run.settings.store_failures));
        Self { run, context, stop, blocked: HashMap::new(), audit, compiled: Mutex::default() }
    }

    pub fn switches(&self) -> Switches {
        Switches { full_refresh: self.run.settings.full_refresh, store_failures: self.run.settings.store_failures }
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
        let entry = Compiled { code: compiled.sql.clone(), path: Some(path), extra_ctes: compiled.extra_ctes.clone() };
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).insert(node.unique_id.clone(), entry);
    }

    /// Everything compiled in this run, in the manifest's order; ephemeral parents included.
    pub fn compiled_nodes(&self) -> IndexMap<UniqueId, Compiled> {
        for compiled in self.context.compiled_ephemerals() {
            if let Some(node) = self.run.manifest.nodes.get(&compiled.unique_id) {
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
        ResourceType::Seed | ResourceType::Snapshot => true,
        ResourceType::Test => stores_failures(node, store_failures),
        _ => false,
    }
}

/// What a line about the node says.
pub(super) fn node_info(node: &Node) -> NodeInfo {
    let is_relation = matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot);
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
    let database: Option<Arc<dyn Introspect>> = (!run.settings.no_introspect).then(|| {
        Arc::new(AdapterIntrospect {
            adapter: run.adapter.clone(),
            manifest: run.manifest.clone(),
            root: run.project.root.clone(),
            handle: Handle::current(),
            cancel: stop.clone(),
        }) as Arc<dyn Introspect>
    });
    let flags = CompileFlags { empty: run.settings.empty, sample: run.settings.sample };
    CompileContext::new(run.manifest.clone(), run.jinja.clone(), run.project.clone(), database, (run.events.clone(), flags))
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
