//! Compiling: one node's Jinja becomes the SQL that is sent, with its ephemeral parents in front as CTEs.
//!
//! The manifest says what a node depends on; here the calls are answered with real relations. Introspective calls
//! (`run_query`, `adapter.get_columns_in_relation`) go to the database through [`Introspect`], blocking, so compiling
//! belongs on a blocking thread.

mod batch;
mod dictionary;
mod ephemeral;
mod fixture;
mod generic_test;
mod introspect;
mod lookup;
mod scope;
mod source_map;
mod typing;
mod unit_test;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use minijinja::Value;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::event::EventSink;
use crate::jinja::{Introspect, Jinja, TemplateText};
use crate::manifest::{ExtraCte, Manifest, Node};
use crate::name::{Relation, ResourceType, UniqueId};
use crate::project::Project;

use source_map::Traced;

pub use crate::jinja::value_of;
pub use batch::{Batch, BatchPlan, BatchSize, Window, in_order, iso, moment};
pub use dictionary::{graph_dictionary, node_dictionary};
pub use ephemeral::inject_ctes;
pub use fixture::{Fixture, FixtureRows, expected_sql, fixture_sql};
pub use introspect::{AdapterIntrospect, QueryComment, QueryLabel, external_table};
pub use lookup::Lookup;
pub use scope::{CompileScope, with_batch};
pub use source_map::{Origin, SourceMap};
pub use typing::{Typed, Typing};
pub use unit_test::{Inputs, compile_over_inputs, given, unit_test_node};

/// A node as it is sent to the database.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledNode {
    pub unique_id: UniqueId,
    /// The final text, CTEs included; empty for seeds.
    pub sql: String,
    /// Every ephemeral ancestor, in the order of the CTEs.
    pub extra_ctes: Vec<ExtraCte>,
    pub relation: Relation,
    /// Macros that the text called, those that macros call left out.
    pub macros: Vec<UniqueId>,
    /// Where each part of `sql` was written.
    pub source_map: SourceMap,
}

impl CompiledNode {
    fn assembled(id: &UniqueId, traced: &Traced, ctes: &[ephemeral::Cte], relation: Relation) -> Self {
        let (sql, source_map) = ephemeral::assemble(traced, ctes);
        let extra_ctes = ctes.iter().map(ephemeral::Cte::extra_cte).collect();
        Self { unique_id: id.clone(), sql, extra_ctes, relation, macros: Vec::new(), source_map }
    }
}

/// What the command line changes about compiling. (`flags` in templates is the engine's.)
#[derive(Clone, Debug, Default)]
pub struct CompileFlags {
    /// `--empty`: every ref and source reads no rows.
    pub empty: bool,
    /// `--sample`: refs and sources with an `event_time` read the rows of this window only.
    pub sample: Option<Window>,
    /// `--defer`: where a `ref` finds nodes that are not built here.
    pub deferred: Arc<HashMap<UniqueId, Relation>>,
    /// `--warn-error`: what Jinja warns of is a mistake.
    pub warn_error: bool,
    /// `selected_resources`: what the command works on.
    pub selected: Arc<Vec<UniqueId>>,
}

/// Names a render sees beside the engine's own: `results`, `schemas`, `sql`, a test's arguments.
pub type Extras = BTreeMap<String, Value>;

/// What all nodes of one run share while they compile.
#[derive(Clone)]
pub struct CompileContext {
    pub manifest: Arc<Manifest>,
    pub jinja: Arc<Jinja>,
    pub project: Arc<Project>,
    /// None: compile without a database (`--no-introspect`).
    pub database: Option<Arc<dyn Introspect>>,
    pub events: Arc<dyn EventSink>,
    pub flags: CompileFlags,
    /// `thread_id`: the worker that a node runs on.
    pub thread: Arc<str>,
    pub(crate) lookup: Arc<Lookup>,
    graph: Arc<OnceLock<Value>>,
    ephemerals: Arc<Mutex<HashMap<UniqueId, Arc<ephemeral::Slot>>>>,
}

impl CompileContext {
    pub fn new(
        manifest: Arc<Manifest>,
        jinja: Arc<Jinja>,
        project: Arc<Project>,
        database: Option<Arc<dyn Introspect>>,
        (events, flags): (Arc<dyn EventSink>, CompileFlags),
    ) -> Arc<Self> {
        let lookup = Arc::new(Lookup::new(&manifest, &project.name));
        let (graph, ephemerals) = (Arc::default(), Arc::default());
        let thread = Arc::from("MainThread");
        Arc::new(Self { manifest, jinja, project, database, events, flags, thread, lookup, graph, ephemerals })
    }

    /// The same context over another connection to the database: one node's own.
    pub fn over(&self, database: Arc<dyn Introspect>) -> Arc<Self> {
        Arc::new(Self { database: Some(database), ..self.clone() })
    }

    /// The same context on a thread of this name.
    pub fn on_thread(&self, thread: &str) -> Arc<Self> {
        Arc::new(Self { thread: thread.into(), ..self.clone() })
    }

    /// `graph`: the project as dbt's dictionary, built when first asked for.
    pub(crate) fn graph(&self) -> Value {
        self.graph.get_or_init(|| value_of(&graph_dictionary(&self.manifest))).clone()
    }

    /// Every ephemeral model compiled so far, for the manifest artifact and `target/compiled`.
    pub fn compiled_ephemerals(&self) -> Vec<CompiledNode> {
        ephemeral::finished(self)
    }
}

/// Compiles one node: renders it and puts its ephemeral ancestors in front. Seeds compile to nothing.
pub fn compile(node: &Arc<Node>, context: &Arc<CompileContext>) -> Outcome<CompiledNode> {
    compile_with(node, context, Extras::new())
}

/// [`compile`] for one batch of a microbatch model: what it reads is narrowed to the batch's stretch of time.
pub fn compile_batch(node: &Arc<Node>, context: &Arc<CompileContext>, batch: Batch) -> Outcome<CompiledNode> {
    let scope = CompileScope::of_node(node, context, Extras::new()).for_batch(batch);
    compile_in(node, context, Arc::new(scope))
}

/// [`compile`] with further names in the render's context, such as `results` in `on-run-end`.
pub fn compile_with(node: &Arc<Node>, context: &Arc<CompileContext>, extras: Extras) -> Outcome<CompiledNode> {
    if node.resource_type == ResourceType::Seed {
        let relation = node.relation();
        let (sql, extra_ctes, source_map) = (String::new(), Vec::new(), SourceMap::default());
        let macros = Vec::new();
        return Ok(CompiledNode { unique_id: node.unique_id.clone(), sql, extra_ctes, relation, macros, source_map });
    }
    compile_in(node, context, Arc::new(CompileScope::of_node(node, context, extras)))
}

fn compile_in(node: &Arc<Node>, context: &Arc<CompileContext>, scope: Arc<CompileScope>) -> Outcome<CompiledNode> {
    let (traced, parents) = render_node(node, scope.clone())?;
    let ctes = ephemeral::collect(&parents, context)?;
    let assembled = CompiledNode::assembled(&node.unique_id, &traced, &ctes, node.relation());
    Ok(CompiledNode { macros: scope.called_macros(), ..assembled })
}

/// Renders text that stands in a node's config, such as a hook, with the node's own scope.
pub fn render_in_node(
    name: &str,
    text: &str,
    node: &Arc<Node>,
    context: &Arc<CompileContext>,
    extras: Extras,
) -> Outcome<String> {
    let scope = Arc::new(CompileScope::of_node(node, context, extras));
    let template = TemplateText { name: name.to_string(), source: text.into(), location: node.location.clone() };
    context.jinja.render(&template, scope).map_err(|error| place(error, node))
}

/// The text of one node and the ephemeral models its `ref`s named, in order of the first call.
fn render_node(node: &Arc<Node>, scope: Arc<CompileScope>) -> Outcome<(Traced, Vec<UniqueId>)> {
    if node.language == "python" {
        return Diagnostic::error("python-model", format!("model `{}` is written in Python; only SQL models can run", node.name))
            .at(node.location.clone())
            .help("rewrite it in SQL, or disable it with `enabled: false`")
            .fail();
    }
    let text = match node.test.as_deref().filter(|test| !test.name.is_empty()) {
        Some(test) => generic_test::render(node, test, &scope),
        None => {
            let template = TemplateText {
                name: node.unique_id.to_string(),
                source: node.raw_code.as_str().into(),
                location: node.location.clone(),
            };
            scope.context().jinja.render_traced(&template, scope.clone())
        }
    };
    let text = text.map_err(|error| place(error, node))?;
    Ok((Traced::new(text, &node.unique_id), scope.ephemeral_parents()))
}

/// A diagnostic without a place gets the node's own.
fn place(mut error: Box<Diagnostic>, node: &Node) -> Box<Diagnostic> {
    if error.location.is_none() {
        error.location = Some(node.location.clone());
    }
    error
}
