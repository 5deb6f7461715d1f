//! Finding nodes, sources and docs by the names that templates and property files use.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::manifest::{Manifest, Node};
use crate::name::{ResourceType, UniqueId};
use crate::parse::python_text::str_of;

/// What a name leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    One(UniqueId),
    /// More than one package has it, and none was named.
    Ambiguous(Vec<UniqueId>),
    /// It is there, but disabled.
    Disabled(UniqueId),
    Nothing,
}

/// Models, seeds and snapshots by name (`orders`, `orders.v2`) and package.
#[derive(Debug, Default)]
pub(crate) struct RefLookup {
    enabled: HashMap<String, IndexMap<String, UniqueId>>,
    disabled: HashMap<String, IndexMap<String, UniqueId>>,
}

impl RefLookup {
    pub fn new(manifest: &Manifest) -> Self {
        let mut lookup = Self::default();
        for node in manifest.nodes.values() {
            lookup.add(node);
        }
        for node in manifest.disabled_nodes.values().flatten() {
            add_to(&mut lookup.disabled, node);
        }
        lookup
    }

    pub fn add(&mut self, node: &Node) {
        add_to(&mut self.enabled, node);
    }

    /// The enabled node of this name; in any package if none is named.
    pub fn get(&self, name: &str, package: Option<&str>, version: Option<&Json>) -> Vec<UniqueId> {
        of_package(&self.enabled, &key_of(name, version), package)
    }

    /// Disabled nodes of this name.
    pub fn get_disabled(&self, name: &str, package: Option<&str>, version: Option<&Json>) -> Vec<UniqueId> {
        of_package(&self.disabled, &key_of(name, version), package)
    }

    /// dbt's search for a `ref`: the named package; else the asking node's package, the root project, any.
    pub fn resolve(&self, name: &str, version: Option<&Json>, searched: &[Option<&str>]) -> Found {
        let mut disabled = None;
        for package in searched {
            match self.get(name, *package, version).as_slice() {
                [one] => return Found::One(one.clone()),
                [] => {}
                many => return Found::Ambiguous(many.to_vec()),
            }
            disabled = disabled.or_else(|| self.get_disabled(name, *package, version).into_iter().next());
        }
        disabled.map_or(Found::Nothing, Found::Disabled)
    }

    /// Every name a `ref` may use, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.enabled.iter().filter(|(_, ids)| !ids.is_empty()).map(|(name, _)| name.as_str())
    }
}

fn key_of(name: &str, version: Option<&Json>) -> String {
    match version {
        // dbt takes an empty version for none.
        Some(Json::Null) | None => name.to_string(),
        Some(version) => format!("{name}.v{}", str_of(version)),
    }
}

fn add_to(storage: &mut HashMap<String, IndexMap<String, UniqueId>>, node: &Node) {
    if !node.resource_type.is_refable() {
        return;
    }
    let mut put = |key: String| {
        storage.entry(key).or_default().insert(node.package_name.clone(), node.unique_id.clone());
    };
    let versions = node.model.as_ref().and_then(|model| model.version.as_ref().map(|version| (version, &model.latest_version)));
    match versions {
        None => put(node.name.clone()),
        Some((version, latest)) => {
            put(key_of(&node.name, Some(version)));
            if latest.as_ref() == Some(version) {
                put(node.name.clone());
            }
        }
    }
}

fn of_package(storage: &HashMap<String, IndexMap<String, UniqueId>>, key: &str, package: Option<&str>) -> Vec<UniqueId> {
    let Some(ids) = storage.get(key) else { return Vec::new() };
    match package {
        None => ids.values().cloned().collect(),
        Some(package) => ids.get(package).cloned().into_iter().collect(),
    }
}

/// The packages dbt searches, in order.
pub(crate) fn packages_to_search<'a>(root: &'a str, asking: &'a str, named: Option<&'a str>) -> Vec<Option<&'a str>> {
    match named {
        Some(package) => vec![Some(package)],
        None if root == asking => vec![Some(root), None],
        None => vec![Some(root), Some(asking), None],
    }
}

/// Sources by `source.table` and package.
#[derive(Debug, Default)]
pub(crate) struct SourceLookup {
    enabled: HashMap<String, IndexMap<String, UniqueId>>,
    disabled: HashMap<String, IndexMap<String, UniqueId>>,
}

impl SourceLookup {
    pub fn new(manifest: &Manifest) -> Self {
        let mut lookup = Self::default();
        for (storage, sources) in [
            (&mut lookup.enabled, manifest.sources.values().collect::<Vec<_>>()),
            (&mut lookup.disabled, manifest.disabled_sources.values().flatten().collect()),
        ] {
            for source in sources {
                let key = format!("{}.{}", source.source_name, source.name);
                storage.entry(key).or_default().insert(source.package_name.clone(), source.unique_id.clone());
            }
        }
        lookup
    }

    pub fn resolve(&self, source: &str, table: &str, searched: &[Option<&str>]) -> Found {
        let key = format!("{source}.{table}");
        let mut disabled = None;
        for package in searched {
            if let Some(one) = of_package(&self.enabled, &key, *package).into_iter().next() {
                return Found::One(one);
            }
            disabled = disabled.or_else(|| of_package(&self.disabled, &key, *package).into_iter().next());
        }
        disabled.map_or(Found::Nothing, Found::Disabled)
    }

    /// Every `source.table`, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.enabled.keys().map(String::as_str)
    }
}

/// The id of a docs block, searched like a `ref`.
pub(crate) fn find_doc(manifest: &Manifest, name: &str, searched: &[Option<&str>]) -> Option<UniqueId> {
    searched.iter().find_map(|package| match package {
        Some(package) => {
            let id = UniqueId::from(format!("doc.{package}.{name}"));
            manifest.docs.contains_key(&id).then_some(id)
        }
        None => manifest.docs.values().find(|doc| doc.name == name).map(|doc| doc.unique_id.clone()),
    })
}

/// Models' section of `dbt_project.yml` and property files, and the like for other kinds.
pub(crate) fn plural(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::Model => "models",
        ResourceType::Seed => "seeds",
        ResourceType::Snapshot => "snapshots",
        ResourceType::Analysis => "analyses",
        ResourceType::Test => "data_tests",
        ResourceType::Source => "sources",
        ResourceType::Exposure => "exposures",
        ResourceType::Metric => "metrics",
        ResourceType::SemanticModel => "semantic_models",
        ResourceType::SavedQuery => "saved_queries",
        ResourceType::UnitTest => "unit_tests",
        ResourceType::Function => "functions",
        _ => "other",
    }
}
