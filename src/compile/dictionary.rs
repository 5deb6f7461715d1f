//! dbt's dictionaries: `model` (one node) and `graph` (the project), with the keys of `manifest.json` v12.

use serde_json::{Map, Value as Json, json};

use crate::manifest::{Exposure, Manifest, Node, OtherResource, RefArgs, Source};
use crate::name::{ResourceType, UniqueId};

/// One node as `manifest.json` holds it.
pub fn node_dictionary(node: &Node) -> Json {
    let mut entry = common(node);
    if node.resource_type == ResourceType::Seed {
        entry.insert("root_path".into(), json!(node.root_path));
        entry.insert("depends_on".into(), json!({"macros": ids(&node.depends_on.macros)}));
        return Json::Object(entry);
    }
    let compiled = node.compiled.as_ref();
    extend(
        &mut entry,
        json!({
            "language": node.language,
            "refs": node.refs.iter().map(ref_entry).collect::<Vec<_>>(),
            "sources": node.sources,
            "metrics": node.metrics,
            "functions": [],
            "depends_on": {"macros": ids(&node.depends_on.macros), "nodes": ids(&node.depends_on.nodes)},
            "compiled_path": compiled.and_then(|compiled| compiled.path.clone()),
            "compiled": compiled.is_some(),
            "compiled_code": compiled.map(|compiled| compiled.code.clone()),
            "extra_ctes_injected": compiled.is_some(),
            "extra_ctes": compiled.map(|compiled| compiled.extra_ctes.clone()).unwrap_or_default(),
            "contract": contract(node),
        }),
    );
    if let Some(model) = node.model.as_deref() {
        extend(
            &mut entry,
            json!({
                "access": model.access,
                "constraints": model.constraints,
                "version": model.version,
                "latest_version": model.latest_version,
                "deprecation_date": model.deprecation_date,
                "primary_key": model.primary_key,
                "time_spine": model.time_spine,
            }),
        );
    }
    if let Some(test) = node.test.as_deref().filter(|test| !test.name.is_empty()) {
        extend(
            &mut entry,
            json!({
                "column_name": test.column_name,
                "file_key_name": test.file_key_name,
                "attached_node": test.attached_node.as_ref().map(UniqueId::as_str),
                "test_metadata": {"name": test.name, "kwargs": test.kwargs, "namespace": test.namespace},
            }),
        );
    }
    if let Some(hook) = &node.hook {
        entry.insert("index".into(), json!(hook.index));
    }
    Json::Object(entry)
}

/// `graph`: every kind of resource by unique id.
pub fn graph_dictionary(manifest: &Manifest) -> Json {
    let others = |table: &indexmap::IndexMap<UniqueId, OtherResource>| entries(table, |entry| Json::Object(entry.json.clone()));
    json!({
        "exposures": entries(&manifest.exposures, exposure),
        "functions": {},
        "groups": others(&manifest.groups),
        "metrics": others(&manifest.metrics),
        "nodes": entries(&manifest.nodes, node_dictionary),
        "sources": entries(&manifest.sources, source),
        "semantic_models": others(&manifest.semantic_models),
        "saved_queries": others(&manifest.saved_queries),
        "unit_tests": others(&manifest.unit_tests),
    })
}

/// The same dictionary without null values at any depth but inside configs: what `model` is.
pub(super) fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| if key == "config" { (key, value) } else { (key, without_nulls(value)) })
            .collect(),
        other => other,
    }
}

fn common(node: &Node) -> Map<String, Json> {
    let entry = json!({
        "database": node.database,
        "schema": node.schema,
        "name": node.name,
        "resource_type": node.resource_type,
        "package_name": node.package_name,
        "path": node.path,
        "original_file_path": node.original_file_path,
        "unique_id": node.unique_id,
        "fqn": node.fqn,
        "alias": node.alias,
        "checksum": node.checksum,
        "config": node.config,
        "tags": node.tags,
        "description": node.description,
        "columns": columns(&node.columns),
        "meta": node.meta,
        "group": node.group,
        "docs": node.docs,
        "patch_path": node.patch_path,
        "build_path": null,
        "unrendered_config": node.unrendered_config,
        "created_at": node.created_at,
        "relation_name": node.relation_name,
        "raw_code": node.raw_code,
        "doc_blocks": node.doc_blocks,
    });
    object(entry)
}

fn source(source: &Source) -> Json {
    json!({
        "database": source.database,
        "schema": source.schema,
        "name": source.name,
        "resource_type": "source",
        "package_name": source.package_name,
        "path": source.path,
        "original_file_path": source.original_file_path,
        "unique_id": source.unique_id,
        "fqn": source.fqn,
        "source_name": source.source_name,
        "source_description": source.source_description,
        "loader": source.loader,
        "identifier": source.identifier,
        "quoting": source.quoting,
        "loaded_at_field": source.loaded_at_field,
        "loaded_at_query": source.loaded_at_query,
        "freshness": source.freshness,
        "external": source.external,
        "description": source.description,
        "columns": columns(&source.columns),
        "meta": source.meta,
        "source_meta": source.source_meta,
        "tags": source.tags,
        "config": source.config,
        "patch_path": source.patch_path,
        "unrendered_config": source.unrendered_config,
        "relation_name": source.relation_name,
        "created_at": source.created_at,
        "doc_blocks": source.doc_blocks,
    })
}

fn exposure(exposure: &Exposure) -> Json {
    json!({
        "name": exposure.name,
        "resource_type": "exposure",
        "package_name": exposure.package_name,
        "path": exposure.path,
        "original_file_path": exposure.original_file_path,
        "unique_id": exposure.unique_id,
        "fqn": exposure.fqn,
        "type": exposure.exposure_type,
        "owner": exposure.owner,
        "description": exposure.description,
        "label": exposure.label,
        "maturity": exposure.maturity,
        "meta": exposure.meta,
        "tags": exposure.tags,
        "config": exposure.config,
        "unrendered_config": exposure.unrendered_config,
        "url": exposure.url,
        "depends_on": {"macros": ids(&exposure.depends_on.macros), "nodes": ids(&exposure.depends_on.nodes)},
        "refs": exposure.refs.iter().map(ref_entry).collect::<Vec<_>>(),
        "sources": exposure.sources,
        "metrics": exposure.metrics,
        "created_at": exposure.created_at,
    })
}

fn columns(columns: &indexmap::IndexMap<String, crate::manifest::Column>) -> Json {
    columns.iter().map(|(name, column)| (name.clone(), json!(column))).collect()
}

/// `contract` beside `config.contract`: the same, with the checksum's key.
fn contract(node: &Node) -> Json {
    let config = node.config.get("contract").and_then(Json::as_object);
    let flag = |key: &str, default: bool| config.and_then(|map| map.get(key)).and_then(Json::as_bool).unwrap_or(default);
    json!({"enforced": flag("enforced", false), "alias_types": flag("alias_types", true), "checksum": null})
}

fn ref_entry(args: &RefArgs) -> Json {
    json!({"name": args.name, "package": args.package, "version": args.version})
}

fn entries<T>(table: &indexmap::IndexMap<UniqueId, T>, entry: impl Fn(&T) -> Json) -> Json {
    table.iter().map(|(id, value)| (id.to_string(), entry(value))).collect()
}

fn ids(ids: &[UniqueId]) -> Vec<&str> {
    ids.iter().map(UniqueId::as_str).collect()
}

fn extend(entry: &mut Map<String, Json>, more: Json) {
    entry.extend(object(more));
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
