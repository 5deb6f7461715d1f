//! A small project in Rust, and an adapter that remembers what it was told and answers from a script.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use headwater::adapter::{Adapter, AdapterError, Capabilities, CatalogEntry, Effect, ExternalTable, Operation};
use headwater::event::{Event, EventSink};
use headwater::execute::{RunOutcome, RunRequest, RunSettings, run};
use headwater::jinja::Jinja;
use headwater::manifest::{
    Checksum, DependsOn, DocsConfig, HookDetail, JsonMap, Manifest, ModelDetail, Node, SharedMap, TestDetail,
};
use headwater::name::{Relation, RelationType, ResourceType, UniqueId};
use headwater::plan::{Plan, Step, Verb};
use headwater::project::{Package, Project, Target};
use headwater::result::{NodeResult, Status};
use headwater::rows::{Cell, ColumnType, Rows};
use headwater::source::Location;
use headwater::world::OsWorld;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

/// What the adapter does with a statement that holds a given text.
#[derive(Clone)]
pub enum Reply {
    Rows(Vec<Vec<Cell>>),
    Fail {
        message: &'static str,
        position: Option<(u32, u32)>,
    },
    Panic,
    /// Never answers.
    Hang,
}

#[derive(Default)]
pub struct FakeAdapter {
    pub log: Mutex<Vec<String>>,
    pub relations: Mutex<HashMap<String, (RelationType, Vec<ColumnType>)>>,
    pub query_columns: Mutex<Vec<ColumnType>>,
    pub replies: Vec<(&'static str, Reply)>,
    pub delay: Duration,
    pub newest: Option<DateTime<Utc>>,
    pub active: AtomicUsize,
    pub peak: AtomicUsize,
}

impl FakeAdapter {
    pub fn answering(replies: &[(&'static str, Reply)]) -> Self {
        Self { replies: replies.to_vec(), ..Self::default() }
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    async fn answer(&self, entry: String, text: &str) -> Result<Rows, AdapterError> {
        self.log.lock().unwrap().push(entry);
        let active = self.active.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(active, Ordering::SeqCst);
        tokio::time::sleep(self.delay).await;
        self.active.fetch_sub(1, Ordering::SeqCst);
        match self.replies.iter().find(|(needle, _)| text.contains(needle)).map(|(_, reply)| reply) {
            Some(Reply::Rows(rows)) => Ok(Rows { rows: rows.clone(), ..Rows::default() }),
            Some(Reply::Fail { message, position }) => {
                Err(AdapterError { code: "sql-plan", message: message.to_string(), position: *position, help: None })
            }
            Some(Reply::Panic) => panic!("the adapter broke"),
            Some(Reply::Hang) => std::future::pending().await,
            None => Ok(Rows::default()),
        }
    }
}

#[async_trait]
impl Adapter for FakeAdapter {
    fn capabilities(&self) -> Capabilities {
        Capabilities { late_bound_views: true, merge: true, add_column: true, longest_name: None }
    }

    async fn query(&self, sql: &str, _limit: Option<usize>) -> Result<Rows, AdapterError> {
        self.answer(format!("query {}", sql.replace('\n', " ")), sql).await
    }

    async fn execute(&self, sql: &str) -> Result<Rows, AdapterError> {
        self.answer(format!("execute {sql}"), sql).await
    }

    async fn apply(&self, operation: Operation) -> Result<Effect, AdapterError> {
        let (entry, text, made, message) = match &operation {
            Operation::CreateSchema { schema, .. } => (format!("schema {schema}"), schema.clone(), None, "CREATE SCHEMA"),
            Operation::CreateView { relation, sql, .. } => {
                (format!("view {}", relation.identifier), sql.clone(), Some((relation, RelationType::View)), "CREATE VIEW")
            }
            Operation::CreateTableAs { relation, sql, .. } => {
                (format!("table {}", relation.identifier), sql.clone(), Some((relation, RelationType::Table)), "SELECT 10")
            }
            Operation::Write { relation, sql, write } => {
                (format!("write {} {write:?}", relation.identifier), sql.clone(), None, "INSERT 5")
            }
            Operation::LoadSeed { relation, .. } => {
                (format!("seed {}", relation.identifier), String::new(), Some((relation, RelationType::Table)), "INSERT 2")
            }
            other => (format!("{other:?}"), String::new(), None, "OK"),
        };
        self.answer(entry, &text).await?;
        if let Some((relation, kind)) = made {
            self.relations.lock().unwrap().insert(relation.identifier.clone(), (kind, Vec::new()));
        }
        let rows_affected = message.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok(Effect { message: message.to_string(), rows_affected })
    }

    async fn relation_type(&self, relation: &Relation) -> Result<Option<RelationType>, AdapterError> {
        Ok(self.relations.lock().unwrap().get(&relation.identifier).map(|(kind, _)| *kind))
    }

    async fn columns(&self, relation: &Relation) -> Result<Vec<ColumnType>, AdapterError> {
        Ok(self.relations.lock().unwrap().get(&relation.identifier).map(|(_, columns)| columns.clone()).unwrap_or_default())
    }

    async fn query_columns(&self, _sql: &str) -> Result<Vec<ColumnType>, AdapterError> {
        Ok(self.query_columns.lock().unwrap().clone())
    }

    async fn list_relations(&self, _schema: &str) -> Result<Vec<(Relation, RelationType)>, AdapterError> {
        Ok(Vec::new())
    }

    async fn list_schemas(&self) -> Result<Vec<String>, AdapterError> {
        Ok(Vec::new())
    }

    async fn rename(&self, _from: &Relation, _to: &Relation) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn stage_external(&self, table: &ExternalTable) -> Result<String, AdapterError> {
        let name = table.relation.identifier.clone();
        self.answer(format!("stage {name}"), &format!("external {name}")).await.map(|_| name)
    }

    async fn catalog(&self, _relations: &[Relation]) -> Result<Vec<CatalogEntry>, AdapterError> {
        Ok(Vec::new())
    }

    async fn max_loaded_at(&self, sql: &str) -> Result<Option<DateTime<Utc>>, AdapterError> {
        self.answer(format!("loaded {sql}"), sql).await.map(|_| self.newest)
    }
}

pub fn columns(names: &[&str]) -> Vec<ColumnType> {
    names.iter().map(|name| ColumnType { name: name.to_string(), data_type: "integer".to_string() }).collect()
}

/// A test's counted row.
pub fn counted(failures: i64, should_warn: bool, should_error: bool) -> Reply {
    Reply::Rows(vec![vec![Cell::Integer(failures), Cell::Boolean(should_warn), Cell::Boolean(should_error)]])
}

fn node(resource_type: ResourceType, name: &str, raw_code: &str, depends_on: &[&str]) -> Node {
    let folder = match resource_type {
        ResourceType::Test => "tests",
        ResourceType::Seed => "seeds",
        ResourceType::Analysis => "analyses",
        _ => "models",
    };
    Node {
        function: None,
        functions: Vec::new(),
        unique_id: UniqueId::new(format!("{resource_type}.shop.{name}")),
        resource_type,
        name: name.to_string(),
        package_name: "shop".to_string(),
        path: format!("{name}.sql"),
        original_file_path: format!("{folder}/{name}.sql"),
        fqn: vec!["shop".to_string(), name.to_string()],
        alias: name.to_string(),
        database: Some("db".to_string()),
        schema: Some("main".to_string()),
        relation_name: Some(format!("\"db\".\"main\".\"{name}\"")),
        checksum: Checksum::default(),
        config: SharedMap::default(),
        unrendered_config: SharedMap::default(),
        tags: Vec::new(),
        meta: SharedMap::default(),
        group: None,
        description: String::new(),
        doc_blocks: Vec::new(),
        columns: IndexMap::new(),
        docs: DocsConfig::default(),
        patch_path: None,
        language: "sql".to_string(),
        raw_code: raw_code.to_string(),
        refs: Vec::new(),
        sources: Vec::new(),
        metrics: Vec::new(),
        depends_on: DependsOn { macros: Vec::new(), nodes: depends_on.iter().map(|id| UniqueId::from(*id)).collect() },
        created_at: 0.0,
        compiled: None,
        lineage: None,
        test: None,
        model: (resource_type == ResourceType::Model).then(Box::<ModelDetail>::default),
        hook: None,
        root_path: None,
        location: Location::new(format!("{folder}/{name}.sql"), 1, 1),
    }
}

fn config(value: Json) -> JsonMap {
    value.as_object().cloned().unwrap_or_default()
}

/// `parents` by name of a model.
pub fn model(name: &str, sql: &str, parents: &[&str], settings: Json) -> Node {
    let parents: Vec<String> = parents.iter().map(|parent| full_id(parent)).collect();
    let mut model = node(ResourceType::Model, name, sql, &parents.iter().map(String::as_str).collect::<Vec<_>>());
    model.config = config(settings).into();
    model
}

pub fn full_id(name: &str) -> String {
    if name.contains('.') { name.to_string() } else { format!("model.shop.{name}") }
}

pub fn seed(name: &str) -> Node {
    let mut seed = node(ResourceType::Seed, name, "", &[]);
    (seed.original_file_path, seed.path) = (format!("seeds/{name}.csv"), format!("{name}.csv"));
    seed.root_path = Some("/project".to_string());
    seed.config = config(json!({"materialized": "seed"})).into();
    seed
}

/// A singular test on one model.
pub fn singular(name: &str, sql: &str, parent: &str, settings: Json) -> Node {
    let mut test = node(ResourceType::Test, name, sql, &[&full_id(parent)]);
    test.config = config(
        json!({"materialized": "test", "severity": "ERROR", "warn_if": "!= 0", "error_if": "!= 0", "fail_calc": "count(*)"}),
    )
    .into();
    test.config.extend(config(settings));
    (test.relation_name, test.schema) = (None, Some("main_dbt_test__audit".to_string()));
    test
}

pub fn generic(name: &str, test_name: &str, kwargs: Json, parents: &[&str]) -> Node {
    let mut test = singular(name, "", parents[0], json!({}));
    test.depends_on.nodes = parents.iter().map(|parent| UniqueId::new(full_id(parent))).collect();
    (test.original_file_path, test.path) = ("models/_m.yml".to_string(), format!("{name}.sql"));
    let detail = TestDetail { name: test_name.to_string(), kwargs: config(kwargs), ..TestDetail::default() };
    test.test = Some(Box::new(detail));
    test
}

pub fn hook(kind: &str, index: usize, sql: &str) -> Node {
    let mut hook = node(ResourceType::Operation, &format!("shop-{kind}-{index}"), sql, &[]);
    (hook.original_file_path, hook.path) = ("./dbt_project.yml".to_string(), format!("hooks/shop-{kind}-{index}.sql"));
    (hook.hook, hook.relation_name) = (Some(HookDetail { index }), None);
    hook
}

pub fn project(root: PathBuf) -> Project {
    let package = |name: &str, vars: Json| Package {
        name: name.to_string(),
        root: root.clone(),
        version: None,
        model_paths: Vec::new(),
        seed_paths: Vec::new(),
        test_paths: Vec::new(),
        analysis_paths: Vec::new(),
        macro_paths: Vec::new(),
        snapshot_paths: Vec::new(),
        docs_paths: Vec::new(),
        asset_paths: Vec::new(),
        config_trees: IndexMap::new(),
        written_trees: IndexMap::new(),
        vars: config(vars),
        on_run_start: Vec::new(),
        on_run_end: Vec::new(),
        dispatch: Vec::new(),
        quoting: JsonMap::new(),
        restrict_access: false,
        raw: JsonMap::new(),
    };
    let shop = package("shop", json!({"color": "red", "size": "root", "lib": {"size": "for lib"}}));
    let lib = package("lib", json!({"size": "own", "shape": "round", "lib": {"shape": "own scoped"}}));
    Project {
        root: root.clone(),
        name: "shop".to_string(),
        packages: vec![Arc::new(shop), Arc::new(lib)],
        target: Target {
            profile_name: "shop".to_string(),
            target_name: "dev".to_string(),
            engine: "datafusion".to_string(),
            adapter_type: "datafusion".to_string(),
            database: "db".to_string(),
            schema: "main".to_string(),
            threads: 1,
            secrets: Vec::new(),
            settings: JsonMap::new(),
        },
        cli_vars: config(json!({"color": "blue"})),
        target_path: root.join("target"),
        packages_install_path: root.join("dbt_packages"),
        clean_targets: Vec::new(),
        query_comment: Json::Null,
        selectors: JsonMap::new(),
        flags: JsonMap::new(),
    }
}

/// Keeps a line of every event about a node.
#[derive(Default)]
pub struct Lines(pub Mutex<Vec<String>>);

impl EventSink for Lines {
    fn emit(&self, event: Event) {
        let line = match event {
            Event::NodeStarted { index, total, node } => {
                format!("{index} of {total} START {} {}", node.materialized, node.display_name)
            }
            Event::NodeFinished { index, total, node, result } => {
                format!("{index} of {total} {:?} {}", result.status, node.display_name)
            }
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

/// One run of a small project in a folder of its own.
pub struct Shop {
    pub manifest: Manifest,
    pub verb: Verb,
    pub settings: RunSettings,
    pub adapter: Arc<FakeAdapter>,
    pub events: Arc<Lines>,
    pub cancel: CancellationToken,
    pub folder: tempfile::TempDir,
    pub on_run_start: Vec<UniqueId>,
    pub on_run_end: Vec<UniqueId>,
}

impl Shop {
    pub fn new(nodes: Vec<Node>, adapter: FakeAdapter) -> Self {
        let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect();
        Self {
            manifest: Manifest { project_name: "shop".to_string(), nodes, ..Manifest::default() },
            verb: Verb::Build,
            settings: RunSettings { threads: 1, which: "build".to_string(), ..RunSettings::default() },
            adapter: Arc::new(adapter),
            events: Arc::default(),
            cancel: CancellationToken::new(),
            folder: tempfile::tempdir().unwrap(),
            on_run_start: Vec::new(),
            on_run_end: Vec::new(),
        }
    }

    /// The plan holds every node but hooks and ephemeral models, in the manifest's order; in `build`, models wait for the tests
    /// of their parents.
    fn plan(&self) -> Plan {
        let nodes =
            self.manifest.nodes.values().filter(|node| node.resource_type != ResourceType::Operation && !node.is_ephemeral());
        let tests = self.manifest.nodes.values().filter(|node| node.resource_type == ResourceType::Test);
        let mut tests_of: BTreeMap<UniqueId, Vec<UniqueId>> = BTreeMap::new();
        for test in tests {
            tests_of.entry(test.depends_on.nodes[0].clone()).or_default().push(test.unique_id.clone());
        }
        let step = |node: &Node| {
            let mut depends_on = node.depends_on.nodes.clone();
            if self.verb == Verb::Build && node.resource_type == ResourceType::Model {
                depends_on.extend(node.depends_on.nodes.iter().filter_map(|parent| tests_of.get(parent)).flatten().cloned());
            }
            Step { unique_id: node.unique_id.clone(), resource_type: node.resource_type, depends_on }
        };
        let steps = nodes.map(step).collect();
        Plan { verb: self.verb, steps, on_run_start: self.on_run_start.clone(), on_run_end: self.on_run_end.clone() }
    }

    pub fn request(&self) -> RunRequest {
        RunRequest {
            manifest: Arc::new(self.manifest.clone()),
            jinja: Arc::new(jinja()),
            adapter: self.adapter.clone(),
            project: Arc::new(project(self.folder.path().to_path_buf())),
            plan: self.plan(),
            settings: self.settings.clone(),
            events: self.events.clone(),
            cancel: self.cancel.clone(),
            world: Arc::new(OsWorld),
        }
    }

    pub fn run(&self) -> RunOutcome {
        block_on(run(self.request()))
    }

    /// `target/<path>` as text.
    pub fn target(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("target").join(path)).unwrap()
    }
}

pub fn jinja() -> Jinja {
    let macros = [
        (
            "test_relationships",
            "(model, column_name, to, field)",
            "select {{ column_name }} from {{ model }} left join {{ to }} where {{ field }} is null",
        ),
        ("is_incremental", "()", "{{ return(adapter.get_relation(this.database, this.schema, this.table).type == 'table') }}"),
        (
            "get_where_subquery",
            "(relation)",
            "{% set where = config.get('where') %}{% if where %}{% do return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') dbt_subquery') %}{% endif %}{{ return(relation) }}",
        ),
    ];
    let source = |(name, arguments, body): (&str, &str, &str)| headwater::jinja::MacroSource {
        unique_id: UniqueId::new(format!("macro.shop.{name}")),
        name: name.to_string(),
        package: "shop".to_string(),
        source: format!("{{% macro {name}{arguments} %}}{body}{{% endmacro %}}"),
        location: Location::new("macros/fixture.sql", 1, 1),
    };
    let mut settings = headwater::jinja::JinjaSettings::new("shop", "datafusion");
    settings.macros = macros.into_iter().map(source).collect();
    Jinja::new(settings).unwrap()
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let value = runtime.block_on(work);
    runtime.shutdown_background();
    value
}

/// `name: status` of every result, in their order.
pub fn statuses(results: &[NodeResult]) -> Vec<String> {
    let line = |result: &NodeResult| format!("{}: {}", short(&result.unique_id), status(result.status));
    results.iter().map(line).collect()
}

pub fn message<'a>(outcome: &'a RunOutcome, name: &str) -> &'a str {
    outcome.results.iter().find(|result| short(&result.unique_id) == name).and_then(|result| result.message.as_deref()).unwrap()
}

fn short(id: &UniqueId) -> String {
    id.as_str().rsplit('.').next().unwrap_or_default().to_string()
}

fn status(status: Status) -> String {
    serde_json::to_value(status).unwrap().as_str().unwrap().to_string()
}
