//! Names to nodes: the tables behind `ref` and `source`, built once a run.

use std::collections::HashMap;

use crate::manifest::{Manifest, Node, RefArgs};
use crate::name::{ResourceType, UniqueId};

/// What looking a name up gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    Id(&'a UniqueId),
    /// Only switched-off resources have that name.
    Disabled,
    Missing,
}

/// One resource under a name.
struct Entry {
    package: String,
    /// The model's version as text; none for resources without versions.
    version: Option<String>,
    latest: bool,
    id: UniqueId,
}

/// Looks up `ref` and `source` names as dbt does: in the named package, or the root project, then the node's own package, then
/// anywhere.
pub struct Lookup {
    root: String,
    refs: HashMap<String, Vec<Entry>>,
    disabled_refs: HashMap<String, Vec<Entry>>,
    sources: HashMap<(String, String), Vec<Entry>>,
    disabled_sources: HashMap<(String, String), Vec<Entry>>,
    functions: HashMap<String, Vec<Entry>>,
    disabled_functions: HashMap<String, Vec<Entry>>,
}

impl Lookup {
    /// `root` is the root project's package name.
    pub fn new(manifest: &Manifest, root: &str) -> Self {
        let mut lookup = Self {
            root: root.to_string(),
            refs: HashMap::new(),
            disabled_refs: HashMap::new(),
            sources: HashMap::new(),
            disabled_sources: HashMap::new(),
            functions: HashMap::new(),
            disabled_functions: HashMap::new(),
        };
        for node in manifest.functions() {
            insert_function(&mut lookup.functions, node);
        }
        for node in manifest.disabled_nodes.values().flatten().filter(|node| node.resource_type == ResourceType::Function) {
            insert_function(&mut lookup.disabled_functions, node);
        }
        for node in manifest.nodes.values() {
            insert_node(&mut lookup.refs, node);
        }
        for node in manifest.disabled_nodes.values().flatten() {
            insert_node(&mut lookup.disabled_refs, node);
        }
        for source in manifest.sources.values() {
            insert_source(&mut lookup.sources, source);
        }
        for source in manifest.disabled_sources.values().flatten() {
            insert_source(&mut lookup.disabled_sources, source);
        }
        lookup
    }

    /// The node that `ref(args)` means in a node of package `from`.
    pub fn node(&self, args: &RefArgs, from: &str) -> Found<'_> {
        let version = args.version.as_ref().map(version_text);
        let fits = |entry: &Entry| match &version {
            Some(wanted) => entry.version.as_ref() == Some(wanted),
            None => entry.version.is_none() || entry.latest,
        };
        let named = |table: &'_ HashMap<String, Vec<Entry>>| table.get(&args.name).map_or(0, Vec::len) > 0;
        match self.search(self.refs.get(&args.name), args.package.as_deref(), from, fits) {
            Some(id) => Found::Id(id),
            None if named(&self.disabled_refs) => {
                let disabled = self.search(self.disabled_refs.get(&args.name), args.package.as_deref(), from, fits);
                disabled.map_or(Found::Missing, |_| Found::Disabled)
            }
            None => Found::Missing,
        }
    }

    /// The source that `source(name, table)` means in a node of package `from`.
    pub fn source(&self, source: &str, table: &str, from: &str) -> Found<'_> {
        let key = (source.to_string(), table.to_string());
        match self.search(self.sources.get(&key), None, from, |_| true) {
            Some(id) => Found::Id(id),
            None if self.disabled_sources.contains_key(&key) => Found::Disabled,
            None => Found::Missing,
        }
    }

    /// The function that `function(name)` means in a node of package `from`.
    pub fn function(&self, name: &str, package: Option<&str>, from: &str) -> Found<'_> {
        match self.search(self.functions.get(name), package, from, |_| true) {
            Some(id) => Found::Id(id),
            None if self.disabled_functions.contains_key(name) => Found::Disabled,
            None => Found::Missing,
        }
    }

    /// Names `function` knows, for "did you mean".
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// Names `ref` knows, for "did you mean".
    pub fn ref_names(&self) -> impl Iterator<Item = &str> {
        self.refs.keys().map(String::as_str)
    }

    /// Names `source` knows, as `source.table`.
    pub fn source_names(&self) -> Vec<String> {
        self.sources.keys().map(|(source, table)| format!("{source}.{table}")).collect()
    }

    fn search<'a>(
        &self,
        entries: Option<&'a Vec<Entry>>,
        package: Option<&str>,
        from: &str,
        fits: impl Fn(&Entry) -> bool,
    ) -> Option<&'a UniqueId> {
        let entries = entries?;
        let inside = |package: &str| entries.iter().find(|entry| entry.package == package && fits(entry));
        let found = match package {
            Some(package) => inside(package),
            None => inside(&self.root).or_else(|| inside(from)).or_else(|| entries.iter().find(|entry| fits(entry))),
        };
        found.map(|entry| &entry.id)
    }
}

fn insert_node(table: &mut HashMap<String, Vec<Entry>>, node: &Node) {
    if !node.resource_type.is_refable() {
        return;
    }
    let model = node.model.as_deref();
    let version = model.and_then(|model| model.version.as_ref()).map(version_text);
    let latest = model.and_then(|model| model.latest_version.as_ref()).map(version_text) == version;
    let entry = Entry { package: node.package_name.clone(), version, latest, id: node.unique_id.clone() };
    table.entry(node.name.clone()).or_default().push(entry);
}

fn insert_function(table: &mut HashMap<String, Vec<Entry>>, node: &Node) {
    let entry = Entry { package: node.package_name.clone(), version: None, latest: true, id: node.unique_id.clone() };
    table.entry(node.name.clone()).or_default().push(entry);
}

fn insert_source(table: &mut HashMap<(String, String), Vec<Entry>>, source: &crate::manifest::Source) {
    let entry = Entry { package: source.package_name.clone(), version: None, latest: true, id: source.unique_id.clone() };
    table.entry((source.source_name.clone(), source.name.clone())).or_default().push(entry);
}

/// `2`, `2.0` written as text and `"2"` are the same version.
pub(super) fn version_text(version: &serde_json::Value) -> String {
    match version {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
