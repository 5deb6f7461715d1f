//! dbt's dictionaries for templates: `model` (one node) and `graph` (the project), in the form of `manifest.json`.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::manifest::{Manifest, Node, OtherResource};
use crate::name::{ResourceType, UniqueId};

/// One node as `manifest.json` holds it.
pub fn node_dictionary(node: &Node) -> Json {
    entry(node)
}

/// `graph`: every kind of resource by unique id.
pub fn graph_dictionary(manifest: &Manifest) -> Json {
    let others = |table: &IndexMap<UniqueId, OtherResource>| entries(table, |other| Json::Object(other.json.clone()));
    let nodes = manifest.nodes.iter().filter(|(_, node)| node.resource_type != ResourceType::Function);
    json!({
        "exposures": entries(&manifest.exposures, entry),
        "functions": manifest.functions().map(|node| (node.unique_id.to_string(), entry(node))).collect::<Json>(),
        "groups": others(&manifest.groups),
        "metrics": others(&manifest.metrics),
        "nodes": nodes.map(|(id, node)| (id.to_string(), entry(node))).collect::<Json>(),
        "sources": entries(&manifest.sources, entry),
        "semantic_models": others(&manifest.semantic_models),
        "saved_queries": others(&manifest.saved_queries),
        "unit_tests": others(&manifest.unit_tests),
    })
}

/// The dictionary without keys whose value is null, but for the config: what `model` is.
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

fn entries<T>(table: &IndexMap<UniqueId, T>, entry: impl Fn(&T) -> Json) -> Json {
    table.iter().map(|(id, value)| (id.to_string(), entry(value))).collect()
}

fn entry(resource: &impl Serialize) -> Json {
    serde_json::to_value(resource).expect("resources have text keys only")
}
