//! What the site knows of each resource, read out of the artifacts' JSON.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value as Json;

/// A resource with a page of its own.
#[derive(Debug, Clone)]
pub struct Resource {
    pub unique_id: String,
    pub kind: String,
    pub name: String,
    pub description: String,
    pub href: String,
    pub json: Json,
    /// Its entry in the catalog.
    pub catalog: Json,
    pub parents: Vec<String>,
    pub children: Vec<String>,
}

/// A test as a column or a list shows it.
#[derive(Debug, Clone, Serialize)]
pub struct TestLink {
    pub name: String,
    /// The generic test's own name; the whole name of a singular test.
    pub label: String,
    pub href: String,
    /// `pass`, `fail`, `warn`, `error` or empty.
    pub status: String,
    #[serde(skip)]
    pub column: Option<String>,
}

/// Everything with a page, by unique id, in the order of the artifact.
#[derive(Debug, Default)]
pub struct Resources {
    pub all: BTreeMap<String, Resource>,
    /// The tests of each node.
    pub tests: HashMap<String, Vec<TestLink>>,
    pub statuses: HashMap<String, String>,
}

/// The manifest's maps whose entries get pages.
const SECTIONS: [&str; 3] = ["sources", "nodes", "exposures"];

impl Resources {
    pub fn read(manifest: &Json, catalog: &Json, run_results: &Json) -> Self {
        let mut resources = Self { statuses: statuses(run_results), ..Self::default() };
        for section in SECTIONS {
            for (id, json) in manifest[section].as_object().into_iter().flatten() {
                if json["resource_type"] != "operation" {
                    let resource = resource(id, json, manifest, catalog);
                    resources.all.insert(id.clone(), resource);
                }
            }
        }
        resources.link_tests();
        resources
    }

    fn link_tests(&mut self) {
        for resource in self.all.values().filter(|r| r.kind == "test") {
            let link = TestLink {
                name: resource.name.clone(),
                label: text(&resource.json["test_metadata"]["name"]).unwrap_or_else(|| resource.name.clone()),
                href: resource.href.clone(),
                status: self.statuses.get(&resource.unique_id).cloned().unwrap_or_default(),
                column: text(&resource.json["column_name"]),
            };
            let attached = text(&resource.json["attached_node"]);
            for node in attached.map_or_else(|| resource.parents.clone(), |node| vec![node]) {
                self.tests.entry(node).or_default().push(link.clone());
            }
        }
    }
}

fn resource(id: &str, json: &Json, manifest: &Json, catalog: &Json) -> Resource {
    let name = text(&json["name"]).unwrap_or_else(|| id.to_string());
    let kind = text(&json["resource_type"]).unwrap_or_default();
    let name = if kind == "source" { format!("{}.{name}", json["source_name"].as_str().unwrap_or_default()) } else { name };
    let entry = ["nodes", "sources"].iter().map(|section| &catalog[*section][id]).find(|entry| !entry.is_null());
    Resource {
        unique_id: id.to_string(),
        href: format!("node/{}.html", file_name(id)),
        description: text(&json["description"]).unwrap_or_default(),
        parents: strings(&manifest["parent_map"][id]),
        children: strings(&manifest["child_map"][id]),
        catalog: entry.cloned().unwrap_or(Json::Null),
        json: json.clone(),
        name,
        kind,
    }
}

fn statuses(run_results: &Json) -> HashMap<String, String> {
    let results = run_results["results"].as_array().into_iter().flatten();
    results.filter_map(|result| Some((text(&result["unique_id"])?, text(&result["status"])?))).collect()
}

/// A file name for a unique id: every character that is not plainly safe becomes `_`, with a hash where that lost something,
/// so that two ids never share a page and none leaves its folder.
fn file_name(id: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.chars().all(safe) && id.len() <= 150 {
        return id.to_string();
    }
    // FNV-1a, 64 bits (Fowler, Noll, Vo).
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let kept: String = id.chars().take(120).map(|c| if safe(c) { c } else { '_' }).collect();
    format!("{kept}-{hash:016x}")
}

/// A JSON string that is not empty.
pub fn text(json: &Json) -> Option<String> {
    json.as_str().filter(|text| !text.is_empty()).map(str::to_string)
}

pub fn strings(json: &Json) -> Vec<String> {
    json.as_array().into_iter().flatten().filter_map(text).collect()
}
