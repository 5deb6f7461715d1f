//! The resolved project: every resource with its config, dependencies and names. Data only, no behaviour.
//!
//! Field names follow dbt's `manifest.json` (schema v12), so that writing the artifact is a direct matter. Produced by
//! [`resolve`](crate::resolve); read by everything after it.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::name::{Relation, ResourceType, UniqueId};
use crate::source::Location;

mod json;
mod lineage;
mod shared;
mod stored;

pub use lineage::{ColumnLineage, ColumnRef, NodeLineage};
pub use shared::{Interner, SharedMap};

/// A JSON object in insertion order: configs, meta, kwargs.
pub type JsonMap = serde_json::Map<String, Json>;

/// A file's hash as dbt records it: `{"name": "sha256", "checksum": "<hex>"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub name: String,
    pub checksum: String,
}

/// `ref('package', 'name', version=…)` as captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefArgs {
    pub name: String,
    pub package: Option<String>,
    pub version: Option<Json>,
}

/// What a resource needs: macros it calls, nodes it reads, in order of first mention.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DependsOn {
    #[serde(default)]
    pub macros: Vec<UniqueId>,
    #[serde(default)]
    pub nodes: Vec<UniqueId>,
}

/// A documented column.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Column {
    pub name: String,
    pub description: String,
    pub meta: SharedMap,
    pub data_type: Option<String>,
    pub constraints: Vec<Json>,
    pub quote: Option<bool>,
    pub config: SharedMap,
    pub tags: Vec<String>,
    pub granularity: Option<String>,
    pub doc_blocks: Vec<String>,
    /// Further keys of the property file, which adapters and packages may read (`policy_tags`).
    #[serde(default)]
    pub extra: SharedMap,
}

/// `docs: {show, node_color}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocsConfig {
    pub show: bool,
    pub node_color: Option<String>,
}

impl Default for DocsConfig {
    fn default() -> Self {
        Self { show: true, node_color: None }
    }
}

/// What only generic tests have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestDetail {
    /// The generic test's name without package (`unique`); empty for a singular test.
    pub name: String,
    /// The arguments as dbt stores them: `column_name`, `model` (as Jinja text), the test's own.
    pub kwargs: JsonMap,
    pub namespace: Option<String>,
    pub column_name: Option<String>,
    /// `models.orders`: the section and name of the property that declares the test.
    pub file_key_name: Option<String>,
    pub attached_node: Option<UniqueId>,
}

/// What only models have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelDetail {
    /// `private`, `protected` or `public`.
    pub access: String,
    pub version: Option<Json>,
    pub latest_version: Option<Json>,
    pub constraints: Vec<Json>,
    pub deprecation_date: Option<String>,
    pub primary_key: Vec<String>,
    pub time_spine: Option<Json>,
    /// sha256 over the enforced contract's columns and constraints, as dbt computes it.
    pub contract_checksum: Option<String>,
}

/// What only functions have, each in the form of `manifest.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionDetail {
    /// `{data_type, description}`.
    pub returns: Json,
    /// `{name, data_type, description, default_value}` each.
    pub arguments: Vec<Json>,
    pub overloads: Vec<Json>,
}

/// An `on-run-start`/`on-run-end` entry's place in its list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookDetail {
    pub index: usize,
}

/// A compiled ephemeral parent that a node needs as a CTE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExtraCte {
    pub id: UniqueId,
    pub sql: String,
}

/// What compiling a node gave, kept with it in the manifest as dbt does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compiled {
    pub code: String,
    pub path: Option<String>,
    /// Where the statements lie that were sent to build it; none if it was not built.
    pub build_path: Option<String>,
    pub extra_ctes: Vec<ExtraCte>,
    /// Macros that the text called while it was compiled.
    pub macros: Vec<UniqueId>,
    pub lineage: Option<Arc<NodeLineage>>,
}

/// A model, analysis, test, snapshot, seed, function or operation. What serde skips here is kept apart (`stored`): much of it is
/// the same in many nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Node {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    pub name: String,
    pub package_name: String,
    /// Below its resource path (`staging/stg_orders.sql`).
    pub path: String,
    /// Below the project root (`models/staging/stg_orders.sql`).
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub alias: String,
    pub database: Option<String>,
    pub schema: Option<String>,
    /// The rendered relation, for nodes that have one.
    pub relation_name: Option<String>,
    pub checksum: Checksum,
    /// Every config key with its final value, in dbt's order: known keys first, then the user's own.
    #[serde(skip)]
    pub config: SharedMap,
    #[serde(skip)]
    pub unrendered_config: SharedMap,
    pub tags: Vec<String>,
    #[serde(skip)]
    pub meta: SharedMap,
    pub group: Option<String>,
    pub description: String,
    pub doc_blocks: Vec<String>,
    #[serde(skip)]
    pub columns: IndexMap<String, Column>,
    pub docs: DocsConfig,
    /// `package://models/_models.yml`.
    pub patch_path: Option<String>,
    pub language: String,
    pub raw_code: String,
    pub refs: Vec<RefArgs>,
    /// `[source name, table name]` pairs.
    pub sources: Vec<[String; 2]>,
    pub metrics: Vec<Vec<String>>,
    /// `function(…)` calls, as their arguments.
    pub functions: Vec<Vec<String>>,
    pub depends_on: DependsOn,
    /// Unix seconds.
    pub created_at: f64,
    pub compiled: Option<Compiled>,
    /// Where its columns come from, if its SQL could be planned.
    pub lineage: Option<Arc<NodeLineage>>,
    pub test: Option<Box<TestDetail>>,
    pub model: Option<Box<ModelDetail>>,
    pub function: Option<Box<FunctionDetail>>,
    pub hook: Option<HookDetail>,
    /// Seeds: the package's folder, absolute.
    pub root_path: Option<String>,
    /// Where `raw_code` begins, for messages; not written to artifacts.
    pub location: Location,
}

impl Node {
    pub fn relation(&self) -> Relation {
        Relation::new(self.database.as_deref(), self.schema.as_deref(), &self.alias)
    }

    /// `config.<key>` as text, if it is text.
    pub fn config_str(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Json::as_str)
    }

    /// `config.<key>` as a boolean, if it is one.
    pub fn config_bool(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Json::as_bool)
    }

    pub fn materialized(&self) -> &str {
        self.config_str("materialized").unwrap_or("view")
    }

    pub fn is_ephemeral(&self) -> bool {
        self.resource_type == ResourceType::Model && self.materialized() == "ephemeral"
    }
}

/// A table declared under `sources:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Source {
    pub unique_id: UniqueId,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub source_name: String,
    pub name: String,
    pub identifier: String,
    pub database: Option<String>,
    pub schema: String,
    pub relation_name: String,
    pub description: String,
    pub source_description: String,
    pub doc_blocks: Vec<String>,
    pub loader: String,
    pub loaded_at_field: Option<String>,
    pub loaded_at_query: Option<String>,
    pub freshness: Option<Json>,
    /// The `external:` block as written (rendered), for the lake.
    pub external: Option<JsonMap>,
    /// The `ingest:` block (rendered), or what `meta` has under that name: where the rows come from.
    pub ingest: Option<JsonMap>,
    pub quoting: SharedMap,
    pub columns: IndexMap<String, Column>,
    pub meta: SharedMap,
    pub source_meta: SharedMap,
    pub tags: Vec<String>,
    pub config: SharedMap,
    pub unrendered_config: SharedMap,
    pub patch_path: Option<String>,
    /// The database and schema as written, before rendering.
    pub unrendered_database: Option<String>,
    pub unrendered_schema: Option<String>,
    pub created_at: f64,
    pub location: Location,
}

impl Source {
    pub fn relation(&self) -> Relation {
        Relation::new(self.database.as_deref(), Some(&self.schema), &self.identifier)
    }
}

/// A downstream use of the project: dashboard, notebook, analysis, ml, application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Exposure {
    pub unique_id: UniqueId,
    pub name: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub exposure_type: String,
    /// `{email, name}`.
    pub owner: JsonMap,
    pub description: String,
    pub doc_blocks: Vec<String>,
    pub label: Option<String>,
    pub maturity: Option<String>,
    pub url: Option<String>,
    pub meta: JsonMap,
    pub tags: Vec<String>,
    pub config: JsonMap,
    pub unrendered_config: JsonMap,
    pub depends_on: DependsOn,
    pub refs: Vec<RefArgs>,
    pub sources: Vec<[String; 2]>,
    pub metrics: Vec<Vec<String>>,
    pub created_at: f64,
    pub location: Location,
}

/// A macro, the project's or built in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Macro {
    pub unique_id: UniqueId,
    pub name: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    /// The whole block, `{% macro … %}` to `{% endmacro %}`.
    pub macro_sql: String,
    pub depends_on: DependsOn,
    pub description: String,
    pub meta: JsonMap,
    pub docs: DocsConfig,
    pub patch_path: Option<String>,
    pub arguments: Vec<Json>,
    pub supported_languages: Option<Vec<String>>,
    pub created_at: f64,
    pub location: Location,
}

/// A `{% docs %}` block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doc {
    pub name: String,
    pub resource_type: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    pub unique_id: UniqueId,
    pub block_contents: String,
}

/// A resource whose v12 form is carried as JSON, with what the graph needs of it: unit tests, groups, metrics, semantic
/// models, saved queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherResource {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    pub name: String,
    pub package_name: String,
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub tags: Vec<String>,
    pub config: JsonMap,
    pub depends_on: DependsOn,
    /// The whole entry as `manifest.json` holds it.
    pub json: JsonMap,
    pub location: Location,
}

impl Manifest {
    /// The nodes that `manifest.json` keeps apart from the others.
    pub fn functions(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.resource_type == ResourceType::Function)
    }
}

/// The resolved project. Written with serde, it holds every field as it is: the form in which it is kept between commands, not
/// that of `manifest.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    pub project_name: String,
    /// md5 of the project name, as dbt's metadata has it.
    pub project_id: String,
    pub adapter_type: String,
    #[serde(with = "stored::nodes")]
    pub nodes: IndexMap<UniqueId, Node>,
    #[serde(with = "stored::map")]
    pub sources: IndexMap<UniqueId, Source>,
    #[serde(with = "stored::map")]
    pub exposures: IndexMap<UniqueId, Exposure>,
    #[serde(with = "stored::map")]
    pub macros: IndexMap<UniqueId, Macro>,
    pub docs: IndexMap<UniqueId, Doc>,
    pub unit_tests: IndexMap<UniqueId, OtherResource>,
    pub groups: IndexMap<UniqueId, OtherResource>,
    pub metrics: IndexMap<UniqueId, OtherResource>,
    pub semantic_models: IndexMap<UniqueId, OtherResource>,
    pub saved_queries: IndexMap<UniqueId, OtherResource>,
    /// The selections of `selectors.yml` by name, each with its definition in normal form.
    pub selectors: JsonMap,
    /// Nodes and sources switched off by `enabled: false`.
    #[serde(with = "stored::node_lists")]
    pub disabled_nodes: IndexMap<UniqueId, Vec<Node>>,
    #[serde(with = "stored::lists")]
    pub disabled_sources: IndexMap<UniqueId, Vec<Source>>,
    #[serde(with = "stored::lists")]
    pub disabled_exposures: IndexMap<UniqueId, Vec<Exposure>>,
}
