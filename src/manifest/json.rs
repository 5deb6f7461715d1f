//! The resources as `manifest.json` (schema v12) holds them: every key of dbt-core 1.12, in its order.
//!
//! The same form is Jinja's `model` and `graph`, and what `ls --output json` prints. Keys for which headwater has no value yet
//! are written as dbt writes an absent value.

use indexmap::IndexMap;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value as Json, json};

use super::{
    Column, ColumnLineage, Compiled, Exposure, FunctionDetail, HookDetail, Macro, ModelDetail, Node, NodeLineage, Source,
    TestDetail,
};
use crate::name::ResourceType;

/// An absent value.
const NULL: Option<()> = None;

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        head(self, &mut map)?;
        if self.resource_type == ResourceType::Seed {
            map.serialize_entry("root_path", &self.root_path)?;
            map.serialize_entry("depends_on", &json!({"macros": self.depends_on.macros}))?;
            return map.end();
        }
        code(self, &mut map)?;
        match self.resource_type {
            ResourceType::Model => model(self.model.as_deref(), &mut map)?,
            ResourceType::Function => function(self.function.as_deref(), &mut map)?,
            ResourceType::Operation => map.serialize_entry("index", &self.hook.as_ref().map(|HookDetail { index }| index))?,
            ResourceType::Test => {
                if let Some(test) = self.test.as_deref().filter(|test| !test.name.is_empty()) {
                    generic_test(test, &mut map)?;
                }
            }
            _ => {}
        }
        map.end()
    }
}

/// What every node has, up to its own code.
fn head<M: SerializeMap>(node: &Node, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("database", &node.database)?;
    map.serialize_entry("schema", &node.schema)?;
    map.serialize_entry("name", &node.name)?;
    map.serialize_entry("resource_type", &node.resource_type)?;
    map.serialize_entry("package_name", &node.package_name)?;
    map.serialize_entry("path", &node.path)?;
    map.serialize_entry("original_file_path", &node.original_file_path)?;
    map.serialize_entry("unique_id", &node.unique_id)?;
    map.serialize_entry("fqn", &node.fqn)?;
    map.serialize_entry("alias", &node.alias)?;
    map.serialize_entry("checksum", &node.checksum)?;
    map.serialize_entry("config", &node.config)?;
    map.serialize_entry("tags", &node.tags)?;
    map.serialize_entry("description", &node.description)?;
    match node.lineage.as_deref() {
        Some(lineage) => map.serialize_entry("columns", &ColumnsWithLineage { columns: &node.columns, lineage })?,
        None => map.serialize_entry("columns", &node.columns)?,
    }
    map.serialize_entry("meta", &node.meta)?;
    map.serialize_entry("group", &node.group)?;
    map.serialize_entry("docs", &node.docs)?;
    map.serialize_entry("patch_path", &node.patch_path)?;
    map.serialize_entry("build_path", &node.compiled.as_ref().and_then(|compiled| compiled.build_path.as_ref()))?;
    map.serialize_entry("unrendered_config", &node.unrendered_config)?;
    map.serialize_entry("created_at", &node.created_at)?;
    map.serialize_entry("relation_name", &node.relation_name)?;
    map.serialize_entry("raw_code", &node.raw_code)?;
    map.serialize_entry("doc_blocks", &node.doc_blocks)
}

/// What nodes with code have: what it reads and what it compiles to.
fn code<M: SerializeMap>(node: &Node, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("language", &node.language)?;
    map.serialize_entry("refs", &node.refs)?;
    map.serialize_entry("sources", &node.sources)?;
    map.serialize_entry("metrics", &node.metrics)?;
    map.serialize_entry("functions", &node.functions)?;
    map.serialize_entry("depends_on", &node.depends_on)?;
    map.serialize_entry("compiled_path", &node.compiled.as_ref().and_then(|compiled| compiled.path.as_ref()))?;
    if let Some(Compiled { code, extra_ctes, .. }) = &node.compiled {
        map.serialize_entry("compiled", &true)?;
        map.serialize_entry("compiled_code", code)?;
        map.serialize_entry("extra_ctes_injected", &true)?;
        map.serialize_entry("extra_ctes", extra_ctes)?;
    }
    let contract = |key: &str| node.config.get("contract").and_then(|contract| contract.get(key)).and_then(Json::as_bool);
    let enforced = contract("enforced").unwrap_or(false);
    let alias_types = contract("alias_types").unwrap_or(true);
    let checksum = node.model.as_ref().and_then(|model| model.contract_checksum.as_ref());
    map.serialize_entry("contract", &json!({"enforced": enforced, "alias_types": alias_types, "checksum": checksum}))
}

fn model<M: SerializeMap>(model: Option<&ModelDetail>, map: &mut M) -> Result<(), M::Error> {
    let default = ModelDetail { access: "protected".to_string(), ..ModelDetail::default() };
    let model = model.unwrap_or(&default);
    map.serialize_entry("access", &model.access)?;
    map.serialize_entry("constraints", &model.constraints)?;
    map.serialize_entry("version", &model.version)?;
    map.serialize_entry("latest_version", &model.latest_version)?;
    map.serialize_entry("deprecation_date", &model.deprecation_date)?;
    map.serialize_entry("primary_key", &model.primary_key)?;
    map.serialize_entry("time_spine", &model.time_spine)
}

fn function<M: SerializeMap>(function: Option<&FunctionDetail>, map: &mut M) -> Result<(), M::Error> {
    let default = FunctionDetail::default();
    let function = function.unwrap_or(&default);
    map.serialize_entry("returns", &function.returns)?;
    map.serialize_entry("arguments", &function.arguments)?;
    map.serialize_entry("overloads", &function.overloads)
}

fn generic_test<M: SerializeMap>(test: &TestDetail, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("column_name", &test.column_name)?;
    map.serialize_entry("file_key_name", &test.file_key_name)?;
    map.serialize_entry("attached_node", &test.attached_node)?;
    map.serialize_entry("test_metadata", &json!({"name": test.name, "kwargs": test.kwargs, "namespace": test.namespace}))
}

/// Documented columns, each with where it comes from: of all of an entry, readers of dbt's artifacts take further keys here.
struct ColumnsWithLineage<'a> {
    columns: &'a IndexMap<String, Column>,
    lineage: &'a NodeLineage,
}

struct ColumnWithLineage<'a>(&'a Column, Option<&'a ColumnLineage>);

impl Serialize for ColumnsWithLineage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = |name: &str| {
            let exact = self.lineage.columns.get(name);
            exact.or_else(|| self.lineage.columns.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, it)| it))
        };
        serializer.collect_map(self.columns.iter().map(|(name, column)| (name, ColumnWithLineage(column, of(name)))))
    }
}

impl Serialize for ColumnWithLineage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        column_entries(self.0, &mut map)?;
        if let Some(lineage) = self.1 {
            map.serialize_entry("column_lineage", lineage)?;
        }
        map.end()
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        column_entries(self, &mut map)?;
        map.end()
    }
}

fn column_entries<M: SerializeMap>(column: &Column, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("name", &column.name)?;
    map.serialize_entry("description", &column.description)?;
    map.serialize_entry("meta", &column.meta)?;
    map.serialize_entry("data_type", &column.data_type)?;
    map.serialize_entry("constraints", &column.constraints)?;
    map.serialize_entry("quote", &column.quote)?;
    map.serialize_entry("config", &column.config)?;
    map.serialize_entry("tags", &column.tags)?;
    map.serialize_entry("granularity", &column.granularity)?;
    map.serialize_entry("dimension", &NULL)?;
    map.serialize_entry("entity", &NULL)?;
    map.serialize_entry("doc_blocks", &column.doc_blocks)?;
    for (key, value) in column.extra.iter() {
        map.serialize_entry(key, value)?;
    }
    Ok(())
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("database", &self.database)?;
        map.serialize_entry("schema", &self.schema)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("resource_type", &ResourceType::Source)?;
        map.serialize_entry("package_name", &self.package_name)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("original_file_path", &self.original_file_path)?;
        map.serialize_entry("unique_id", &self.unique_id)?;
        map.serialize_entry("fqn", &self.fqn)?;
        map.serialize_entry("source_name", &self.source_name)?;
        map.serialize_entry("source_description", &self.source_description)?;
        map.serialize_entry("loader", &self.loader)?;
        map.serialize_entry("identifier", &self.identifier)?;
        map.serialize_entry("quoting", &self.quoting)?;
        map.serialize_entry("loaded_at_field", &self.loaded_at_field)?;
        map.serialize_entry("loaded_at_query", &self.loaded_at_query)?;
        map.serialize_entry("freshness", &self.freshness)?;
        map.serialize_entry("external", &self.external)?;
        if let Some(ingest) = &self.ingest {
            map.serialize_entry("ingest", ingest)?;
        }
        map.serialize_entry("description", &self.description)?;
        map.serialize_entry("columns", &self.columns)?;
        map.serialize_entry("meta", &self.meta)?;
        map.serialize_entry("source_meta", &self.source_meta)?;
        map.serialize_entry("tags", &self.tags)?;
        map.serialize_entry("config", &self.config)?;
        map.serialize_entry("patch_path", &self.patch_path)?;
        map.serialize_entry("unrendered_config", &self.unrendered_config)?;
        map.serialize_entry("relation_name", &self.relation_name)?;
        map.serialize_entry("created_at", &self.created_at)?;
        map.serialize_entry("unrendered_database", &self.unrendered_database)?;
        map.serialize_entry("unrendered_schema", &self.unrendered_schema)?;
        map.serialize_entry("doc_blocks", &self.doc_blocks)?;
        map.end()
    }
}

impl Serialize for Exposure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("resource_type", &ResourceType::Exposure)?;
        map.serialize_entry("package_name", &self.package_name)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("original_file_path", &self.original_file_path)?;
        map.serialize_entry("unique_id", &self.unique_id)?;
        map.serialize_entry("fqn", &self.fqn)?;
        map.serialize_entry("type", &self.exposure_type)?;
        map.serialize_entry("owner", &self.owner)?;
        map.serialize_entry("description", &self.description)?;
        map.serialize_entry("label", &self.label)?;
        map.serialize_entry("maturity", &self.maturity)?;
        map.serialize_entry("meta", &self.meta)?;
        map.serialize_entry("tags", &self.tags)?;
        map.serialize_entry("config", &self.config)?;
        map.serialize_entry("unrendered_config", &self.unrendered_config)?;
        map.serialize_entry("url", &self.url)?;
        map.serialize_entry("depends_on", &self.depends_on)?;
        map.serialize_entry("refs", &self.refs)?;
        map.serialize_entry("sources", &self.sources)?;
        map.serialize_entry("metrics", &self.metrics)?;
        map.serialize_entry("created_at", &self.created_at)?;
        map.end()
    }
}

impl Serialize for Macro {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("resource_type", &ResourceType::Macro)?;
        map.serialize_entry("package_name", &self.package_name)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("original_file_path", &self.original_file_path)?;
        map.serialize_entry("unique_id", &self.unique_id)?;
        map.serialize_entry("macro_sql", &self.macro_sql)?;
        map.serialize_entry("depends_on", &json!({"macros": self.depends_on.macros}))?;
        map.serialize_entry("description", &self.description)?;
        map.serialize_entry("meta", &self.meta)?;
        map.serialize_entry("docs", &self.docs)?;
        map.serialize_entry("config", &json!({"meta": self.meta, "docs": self.docs}))?;
        map.serialize_entry("patch_path", &self.patch_path)?;
        map.serialize_entry("arguments", &self.arguments)?;
        map.serialize_entry("created_at", &self.created_at)?;
        map.serialize_entry("supported_languages", &self.supported_languages)?;
        map.end()
    }
}
