//! `semantic_manifest.json`: semantic models, metrics and saved queries as MetricFlow reads them, with the time spines.
//!
//! The same entries stand in `manifest.json`; this form has only the keys that MetricFlow knows, in its order.

use std::io;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::manifest::{JsonMap, Manifest, Node};

/// The release of MetricFlow's interfaces whose form this is.
const INTERFACES: (&str, &str, &str) = ("0", "213", "0");

/// The model that is a time spine by its name alone, and its column.
const OLD_TIME_SPINE: (&str, &str) = ("metricflow_time_spine", "date_day");

const SEMANTIC_MODEL: [&str; 11] = [
    "name",
    "defaults",
    "description",
    "node_relation",
    "primary_entity",
    "entities",
    "measures",
    "dimensions",
    "label",
    "metadata",
    "config",
];
const ENTITY: [&str; 8] = ["name", "description", "type", "role", "expr", "metadata", "label", "config"];
const MEASURE: [&str; 11] = [
    "name",
    "agg",
    "description",
    "create_metric",
    "expr",
    "agg_params",
    "metadata",
    "non_additive_dimension",
    "agg_time_dimension",
    "label",
    "config",
];
const DIMENSION: [&str; 10] =
    ["name", "description", "type", "datatype", "is_partition", "type_params", "expr", "metadata", "label", "config"];
const METRIC: [&str; 10] =
    ["name", "description", "type", "datatype", "type_params", "filter", "metadata", "label", "config", "time_granularity"];
const TYPE_PARAMS: [&str; 14] = [
    "measure",
    "numerator",
    "denominator",
    "expr",
    "window",
    "grain_to_date",
    "metrics",
    "conversion_type_params",
    "cumulative_type_params",
    "input_measures",
    "metric_aggregation_params",
    "join_to_timespine",
    "fill_nulls_with",
    "is_private",
];
const SAVED_QUERY: [&str; 7] = ["name", "query_params", "description", "metadata", "label", "exports", "tags"];
const QUERY_PARAMS: [&str; 5] = ["metrics", "group_by", "order_by", "limit", "where"];
const EXPORT_CONFIG: [&str; 3] = ["export_as", "schema_name", "alias"];

/// The file's content.
pub fn semantic_manifest_json(manifest: &Manifest) -> Json {
    json!({
        "semantic_models": manifest.semantic_models.values().map(|model| semantic_model(&model.json)).collect::<Vec<_>>(),
        "metrics": manifest.metrics.values().map(|metric| self::metric(&metric.json)).collect::<Vec<_>>(),
        "project_configuration": project_configuration(manifest),
        "saved_queries": manifest.saved_queries.values().map(|query| saved_query(&query.json)).collect::<Vec<_>>(),
    })
}

/// Writes `semantic_manifest.json` to `path`, all or nothing.
pub fn write_semantic_manifest(path: &Path, manifest: &Manifest) -> io::Result<()> {
    super::write_json(path, &semantic_manifest_json(manifest))
}

/// These keys of an entry, null where it has none.
fn keys(entry: &JsonMap, keys: &[&str]) -> JsonMap {
    keys.iter().map(|key| ((*key).to_string(), entry.get(*key).cloned().unwrap_or_default())).collect()
}

/// Of each entry of a list these keys.
fn each(list: Option<&Json>, wanted: &[&str]) -> Json {
    let entries = list.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object);
    entries.map(|entry| Json::Object(keys(entry, wanted))).collect()
}

fn meta_only(config: Option<&Json>) -> Json {
    json!({"meta": config.and_then(|config| config.get("meta")).cloned().unwrap_or_else(|| json!({}))})
}

fn semantic_model(entry: &JsonMap) -> Json {
    let mut model = keys(entry, &SEMANTIC_MODEL);
    for (key, wanted) in [("entities", ENTITY.as_slice()), ("measures", MEASURE.as_slice()), ("dimensions", DIMENSION.as_slice())]
    {
        model.insert(key.to_string(), each(entry.get(key), wanted));
    }
    model.insert("config".to_string(), meta_only(entry.get("config")));
    Json::Object(model)
}

fn metric(entry: &JsonMap) -> Json {
    let mut metric = keys(entry, &METRIC);
    if let Some(Json::Object(params)) = entry.get("type_params") {
        metric.insert("type_params".to_string(), Json::Object(keys(params, &TYPE_PARAMS)));
    }
    metric.insert("config".to_string(), meta_only(entry.get("config")));
    Json::Object(metric)
}

fn saved_query(entry: &JsonMap) -> Json {
    let mut query = keys(entry, &SAVED_QUERY);
    if let Some(Json::Object(params)) = entry.get("query_params") {
        query.insert("query_params".to_string(), Json::Object(keys(params, &QUERY_PARAMS)));
    }
    let exports = entry.get("exports").and_then(Json::as_array).into_iter().flatten();
    let export = |export: &Json| {
        let config = export.get("config").and_then(Json::as_object).cloned().unwrap_or_default();
        json!({"name": export.get("name"), "config": keys(&config, &EXPORT_CONFIG)})
    };
    query.insert("exports".to_string(), exports.map(export).collect());
    Json::Object(query)
}

fn project_configuration(manifest: &Manifest) -> Json {
    let spines: Vec<Json> = manifest.nodes.values().filter_map(time_spine).collect();
    let (major, minor, patch) = INTERFACES;
    json!({
        "time_spine_table_configurations": old_time_spine(manifest).into_iter().collect::<Vec<_>>(),
        "metadata": null,
        "dsi_package_version": {"major_version": major, "minor_version": minor, "patch_version": patch},
        "time_spines": spines,
    })
}

/// A model with `time_spine:`.
fn time_spine(node: &Node) -> Option<Json> {
    let spine = node.model.as_ref()?.time_spine.as_ref()?;
    let name = spine.get("standard_granularity_column")?.as_str()?;
    let granularity = node.columns.get(name)?.granularity.as_ref();
    let custom = spine.get("custom_granularities").and_then(Json::as_array).into_iter().flatten();
    let custom: Vec<Json> =
        custom.map(|custom| json!({"name": custom.get("name"), "column_name": custom.get("column_name")})).collect();
    Some(json!({
        "node_relation": {
            "alias": node.alias, "schema_name": node.schema, "database": node.database, "relation_name": node.relation_name,
        },
        "primary_column": {"name": name, "time_granularity": granularity},
        "custom_granularities": custom,
    }))
}

/// The model that is a time spine by name and says nothing of it.
fn old_time_spine(manifest: &Manifest) -> Option<Json> {
    let (name, column) = OLD_TIME_SPINE;
    let is_spine = |node: &&Node| node.name == name && node.model.as_ref().is_some_and(|model| model.time_spine.is_none());
    let node = manifest.nodes.values().find(is_spine).filter(|_| !manifest.semantic_models.is_empty())?;
    Some(json!({"location": node.relation_name, "column_name": column, "grain": "day"}))
}
