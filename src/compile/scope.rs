//! What a template may ask while it compiles, answered from the manifest and the database.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indexmap::{IndexMap, IndexSet};
use minijinja::Value;
use serde_json::{Value as Json, json};

use super::batch::{Batch, Window};
use super::dictionary::{node_dictionary, without_nulls};
use super::ephemeral::cte_name;
use super::lookup::Found;
use super::{CompileContext, Extras, value_of};
use crate::adapter::seed_rows;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::event::Event;
use crate::jinja::{self, Introspect, NodeScope, RefAnswer};
use crate::manifest::{Column, JsonMap, Node, RefArgs};
use crate::name::{Relation, RelationType, ResourceType, UniqueId, quote_identifier};
use crate::rows::Rows;

/// One render's scope: a node's, or an operation's that belongs to no node.
pub struct CompileScope {
    context: Arc<CompileContext>,
    node: Option<Arc<Node>>,
    package: String,
    extras: Extras,
    /// Whether a `ref` must have been captured when the project was parsed.
    checked: bool,
    ephemeral: Mutex<IndexSet<UniqueId>>,
    /// Macros that the text itself called.
    macros: Mutex<IndexSet<UniqueId>>,
    model: OnceLock<Value>,
    /// The batch of a microbatch model that is compiled.
    batch: Option<Batch>,
}

impl CompileScope {
    pub fn of_node(node: &Arc<Node>, context: &Arc<CompileContext>, extras: Extras) -> Self {
        let checked = node.resource_type != ResourceType::SqlOperation;
        Self::new(Some(node.clone()), &node.package_name, context, (extras, checked))
    }

    /// `run-operation`: may `ref` anything that is built.
    pub fn of_operation(package: &str, context: &Arc<CompileContext>, extras: Extras) -> Self {
        Self::new(None, package, context, (extras, false))
    }

    fn new(node: Option<Arc<Node>>, package: &str, context: &Arc<CompileContext>, (extras, checked): (Extras, bool)) -> Self {
        Self {
            context: context.clone(),
            node,
            package: package.to_string(),
            extras,
            checked,
            ephemeral: Mutex::default(),
            macros: Mutex::default(),
            model: OnceLock::new(),
            batch: None,
        }
    }

    /// The same scope for one batch.
    pub fn for_batch(self, batch: Batch) -> Self {
        Self { batch: Some(batch), ..self }
    }

    pub fn context(&self) -> &Arc<CompileContext> {
        &self.context
    }

    /// The same node with other extras: a test's arguments.
    pub(super) fn with_extras(&self, extras: Extras) -> Self {
        Self::new(self.node.clone(), &self.package, &self.context, (extras, self.checked))
    }

    pub(super) fn is_unit_test(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.resource_type == ResourceType::UnitTest)
    }

    /// Ephemeral models this scope's `ref`s named, in order of the first call.
    pub fn ephemeral_parents(&self) -> Vec<UniqueId> {
        self.ephemeral.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Macros that this scope's text called, in order of the first call.
    pub fn called_macros(&self) -> Vec<UniqueId> {
        self.macros.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Takes over the ephemeral parents and the macros that another scope of the same node saw.
    pub(super) fn adopt(&self, other: &Self) {
        self.macros.lock().unwrap_or_else(PoisonError::into_inner).extend(other.called_macros());
        let parents = other.ephemeral_parents();
        self.ephemeral.lock().unwrap_or_else(PoisonError::into_inner).extend(parents);
    }

    fn answer(&self, node: &Node) -> Outcome<RefAnswer> {
        let relation = self.context.flags.deferred.get(&node.unique_id).cloned().unwrap_or_else(|| node.relation());
        if !node.is_ephemeral() {
            let rendered = self.narrowed(&relation, &node.config, &node.columns);
            return Ok(RefAnswer { relation, relation_type: built_as(node), rendered });
        }
        if self.node.is_none() {
            return Diagnostic::error(
                "operation-refs-ephemeral",
                format!("Operations can not ref() ephemeral nodes, but {} is ephemeral", node.name),
            )
            .help("operations run SQL as it is; an ephemeral model exists only inside other models")
            .fail();
        }
        self.ephemeral.lock().unwrap_or_else(PoisonError::into_inner).insert(node.unique_id.clone());
        let name = cte_name(&node.alias);
        let cte = Relation::new(None, None, &name);
        let narrowed = self.narrowed(&cte, &node.config, &node.columns);
        let rendered = Some(narrowed.map_or_else(|| name.clone(), |text| text.replace(&cte.render(), &name)));
        Ok(RefAnswer { relation, relation_type: Some(RelationType::Ephemeral), rendered })
    }

    /// What is read in place of a relation: no rows under `--empty`, the rows of a stretch of time for a batch and under
    /// `--sample`.
    fn narrowed(&self, relation: &Relation, config: &JsonMap, columns: &IndexMap<String, Column>) -> Option<String> {
        let empty = self.context.flags.empty.then(|| empty_subquery(relation));
        let filtered = |window: Window| {
            let name = config.get("event_time").and_then(Json::as_str).filter(|name| !name.is_empty())?;
            let quoted = columns.get(name).and_then(|column| column.quote).unwrap_or(false);
            let condition = window.condition(&if quoted { quote_identifier(name) } else { name.to_string() });
            let rows = empty.clone().unwrap_or_else(|| relation.render());
            Some(format!("(select * from {rows} where {condition}) _dbt_et_filter_subq_{}", relation.identifier))
        };
        self.window().and_then(filtered).or_else(|| empty.clone())
    }

    /// The stretch of time to which models and snapshots read.
    fn window(&self) -> Option<Window> {
        let node = self.node.as_ref()?;
        if !matches!(node.resource_type, ResourceType::Model | ResourceType::Snapshot) {
            return None;
        }
        match (self.batch, self.context.flags.sample) {
            (Some(batch), Some(sample)) => Some(batch.window.within(sample)),
            (Some(batch), None) => Some(batch.window),
            (None, sample) => sample,
        }
    }

    pub(super) fn not_found(
        &self,
        kind: &str,
        name: &str,
        (version, package): (Option<&Json>, Option<&str>),
        disabled: bool,
    ) -> Diagnostic {
        let subject = match &self.node {
            Some(node) => format!("{} '{}' ({})", title(node.resource_type), node.unique_id, node.original_file_path),
            None => format!("Operation in package '{}'", self.package),
        };
        let version = version.map_or(String::new(), |v| format!("with version '{}' ", v.to_string().trim_matches('"')));
        let package = package.map_or(String::new(), |p| format!("in package or project '{p}' "));
        let reason = if disabled { "is disabled" } else { "was not found" };
        let code = match kind {
            "source" => "source-not-found",
            "function" => "function-not-found",
            _ => "ref-not-found",
        };
        Diagnostic::error(code, format!("{subject} depends on a {kind} named '{name}' {version}{package}which {reason}"))
    }

    fn not_captured(&self, node: &Node, args: &RefArgs) -> Diagnostic {
        let quoted = args.package.iter().chain([&args.name]).map(|part| format!("'{part}'")).collect::<Vec<_>>().join(", ");
        let version = args.version.as_ref().map_or(String::new(), |v| format!(",v='{}'", v.to_string().trim_matches('"')));
        Diagnostic::error(
            "ref-not-captured",
            format!(
                "dbt was unable to infer all dependencies for the model \"{name}\".\nThis typically happens when ref() is placed \
                 within a conditional block.\n\nTo fix this, add the following hint to the top of the model \"{name}\":\n\n-- \
                 depends_on: {{{{ ref({quoted}{version}) }}}}",
                name = node.name
            ),
        )
    }

    /// `pre_hooks`, `post_hooks`: what only a node's own scope has.
    fn node_extra(&self, node: &Node, name: &str) -> Option<Value> {
        match name {
            "pre_hooks" => Some(hooks(node, "pre-hook")),
            "post_hooks" => Some(hooks(node, "post-hook")),
            _ => None,
        }
    }
}

impl NodeScope for CompileScope {
    fn resolve_ref(&self, args: RefArgs) -> Outcome<RefAnswer> {
        let found = self.context.lookup.node(&args, &self.package);
        let target = match found {
            Found::Id(id) => self.context.manifest.nodes.get(id),
            Found::Disabled | Found::Missing => None,
        };
        let Some(target) = target else {
            let (version, package) = (args.version.as_ref(), args.package.as_deref());
            return self
                .not_found("node", &args.name, (version, package), found == Found::Disabled)
                .suggest(&args.name, self.context.lookup.ref_names())
                .fail();
        };
        match &self.node {
            Some(node) if self.checked && !node.depends_on.nodes.contains(&target.unique_id) => {
                self.not_captured(node, &args).fail()
            }
            _ => self.answer(target),
        }
    }

    fn resolve_source(&self, source: &str, table: &str) -> Outcome<RefAnswer> {
        let found = self.context.lookup.source(source, table, &self.package);
        let target = match found {
            Found::Id(id) => self.context.manifest.sources.get(id),
            Found::Disabled | Found::Missing => None,
        };
        let name = format!("{source}.{table}");
        let Some(target) = target else {
            let known = self.context.lookup.source_names();
            return self
                .not_found("source", &name, (None, None), found == Found::Disabled)
                .suggest(&name, known.iter().map(String::as_str))
                .fail();
        };
        let relation = target.relation();
        let rendered = self.narrowed(&relation, &target.config, &target.columns);
        let relation_type = target.external.is_some().then_some(RelationType::External);
        Ok(RefAnswer { relation, relation_type, rendered })
    }

    fn resolve_function(&self, name: &str, package: Option<&str>) -> Outcome<RefAnswer> {
        let found = self.context.lookup.function(name, package, &self.package);
        let target = match found {
            Found::Id(id) => self.context.manifest.nodes.get(id),
            Found::Disabled | Found::Missing => None,
        };
        let Some(target) = target else {
            let known = self.context.lookup.function_names();
            return self.not_found("function", name, (None, package), found == Found::Disabled).suggest(name, known).fail();
        };
        let relation = self.context.flags.deferred.get(&target.unique_id).cloned().unwrap_or_else(|| target.relation());
        Ok(RefAnswer { relation, relation_type: None, rendered: None })
    }

    /// The config is final by now; the call only had a meaning while parsing.
    fn set_config(&self, _values: JsonMap) -> Outcome<()> {
        Ok(())
    }

    fn config_value(&self, key: &str) -> Option<Json> {
        self.node.as_ref()?.config.get(key).cloned()
    }

    /// `--vars`, then the root project's vars for the package, the root's, the package's own.
    fn variable(&self, name: &str) -> Option<Json> {
        let project = &self.context.project;
        if let Some(value) = project.cli_vars.get(name) {
            return Some(value.clone());
        }
        let of_package = |vars: &JsonMap| {
            let scoped = vars.get(&self.package).and_then(Json::as_object).and_then(|vars| vars.get(name));
            scoped.or_else(|| vars.get(name)).cloned()
        };
        let own = project.packages.iter().find(|package| package.name == self.package);
        project.packages.first().and_then(|root| of_package(&root.vars)).or_else(|| own.and_then(|own| of_package(&own.vars)))
    }

    fn this_relation(&self) -> Option<RefAnswer> {
        let node = self.node.as_ref()?;
        let has_relation = !matches!(node.resource_type, ResourceType::Operation | ResourceType::SqlOperation);
        has_relation.then(|| RefAnswer { relation: node.relation(), relation_type: built_as(node), rendered: None })
    }

    fn model(&self) -> Value {
        let build = || match &self.node {
            Some(node) => {
                let model = value_of(&without_nulls(node_dictionary(node)));
                self.batch.map_or_else(|| model.clone(), |batch| with_batch(&model, batch))
            }
            None => value_of(&json!({})),
        };
        self.model.get_or_init(build).clone()
    }

    fn executes(&self) -> bool {
        true
    }

    fn package(&self) -> &str {
        &self.package
    }

    fn macro_called(&self, macro_id: &UniqueId) {
        let mut macros = self.macros.lock().unwrap_or_else(PoisonError::into_inner);
        if !macros.contains(macro_id) {
            macros.insert(macro_id.clone());
        }
    }

    fn database(&self) -> Option<Arc<dyn Introspect>> {
        self.context.database.clone()
    }

    fn seed_rows(&self) -> Outcome<Rows> {
        let Some(node) = self.node.as_ref().filter(|node| node.resource_type == ResourceType::Seed) else {
            return Diagnostic::error("no-seed", "`load_agate_table` reads a seed's file, and this is none").fail();
        };
        let file = Path::new(node.root_path.as_deref().unwrap_or_default()).join(&node.original_file_path);
        let delimiter = node.config_str("delimiter").and_then(|text| text.chars().next()).unwrap_or(',');
        let types = node.config.get("column_types").and_then(Json::as_object);
        let given: Vec<String> = types.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let read = seed_rows(&file, delimiter, &given).map(|rows| match self.context.flags.empty {
            true => Rows { rows: Vec::new(), ..rows },
            false => rows,
        });
        read.map_err(|error| {
            let diagnostic = Diagnostic::error(error.code, error.message);
            Box::new(match error.help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            })
        })
    }

    fn extra(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.extras.get(name) {
            return Some(value.clone());
        }
        match name {
            "graph" => Some(self.context.graph()),
            "thread_id" => Some(Value::from(&*self.context.thread)),
            "selected_resources" => {
                let selected = self.context.flags.selected.iter().map(|id| id.as_str());
                Some(value_of(&Json::from_iter(selected)))
            }
            _ => self.node_extra(self.node.as_ref()?, name),
        }
    }

    fn message(&self, text: &str, info: bool) {
        self.context.events.emit(Event::Message { text: text.to_string(), info });
    }

    fn print(&self, text: &str) {
        self.context.events.emit(Event::Print { text: text.to_string() });
    }

    fn warns_are_errors(&self) -> bool {
        self.context.flags.warn_error
    }

    fn warn(&self, text: &str) {
        let mut warning = Diagnostic::warning("jinja-warning", text);
        warning.location = self.node.as_ref().map(|node| node.location.clone());
        self.context.events.emit(Event::Diagnostic(warning));
    }
}

/// `model` with `model.batch`: the batch's id, and its two ends as moments.
pub fn with_batch(model: &Value, batch: Batch) -> Value {
    let Window { start, end } = batch.window;
    let batch = Value::from_pairs([
        ("id", Value::from(batch.id())),
        ("event_time_start", jinja::utc(start)),
        ("event_time_end", jinja::utc(end)),
    ]);
    let keys = model.try_iter().into_iter().flatten();
    let entries = keys.map(|key| (key.clone(), model.get_item(&key).unwrap_or_default()));
    Value::from_pairs(entries.chain([(Value::from("batch"), batch)]))
}

/// A node's hooks as dbt's dictionaries: `sql`, `transaction`, `index`.
fn hooks(node: &Node, key: &str) -> Value {
    let written = match node.config.get(key).or_else(|| node.config.get(&key.replace('-', "_"))) {
        Some(Json::Array(hooks)) => hooks.clone(),
        Some(Json::Null) | None => Vec::new(),
        Some(one) => vec![one.clone()],
    };
    let hook = |hook: &Json| {
        // `before_begin(…)` and its like give JSON text.
        let read = hook.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok()).filter(Json::is_object);
        let hook = read.as_ref().unwrap_or(hook);
        let sql = hook.get("sql").unwrap_or(hook);
        let transaction = hook.get("transaction").and_then(Json::as_bool).unwrap_or(true);
        let index = hook.get("index").cloned().unwrap_or_default();
        value_of(&serde_json::json!({"sql": sql, "transaction": transaction, "index": index}))
    };
    Value::from(written.iter().map(hook).collect::<Vec<_>>())
}

/// What `--empty` reads instead of a relation.
fn empty_subquery(relation: &Relation) -> String {
    format!("(select * from {} where false limit 0) _dbt_limit_subq_{}", relation.render(), relation.identifier)
}

fn built_as(node: &Node) -> Option<RelationType> {
    match (node.resource_type, node.materialized()) {
        (ResourceType::Model, "view") => Some(RelationType::View),
        (ResourceType::Model, "table" | "incremental") | (ResourceType::Seed | ResourceType::Snapshot, _) => {
            Some(RelationType::Table)
        }
        _ => None,
    }
}

/// `model` → `Model`, `sql_operation` → `Sql_Operation`.
fn title(resource_type: ResourceType) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    resource_type.as_str().split('_').map(capital).collect::<Vec<_>>().join("_")
}
