//! Property files applied to what they describe: models and their versions, seeds, snapshots, analyses, macros, singular tests.

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{DocsConfig, JsonMap, Node, RefArgs};
use crate::name::{ResourceType, UniqueId};
use crate::parse::python_text::str_of;
use crate::parse::{Capture, LiteralCall, ParsedNode, ParsedProperty, literal_call, location_at};
use crate::project::Section;

use super::columns::{self, object, objects, text};
use super::lookup::{RefLookup, plural};
use super::node::{Calls, ConfigPatch, deep_merge};
use super::{Resolver, contract, deprecation, versions};

/// What one entry of a property file says of one node.
pub(super) struct Patch<'a> {
    pub entry: &'a ParsedProperty,
    pub config: JsonMap,
    pub written_config: JsonMap,
    pub columns: Vec<JsonMap>,
    pub description: String,
    pub constraints: Vec<Json>,
    pub deprecation_date: Option<String>,
    pub time_spine: Option<Json>,
    /// Version and latest version.
    pub version: Option<(Json, Json)>,
}

impl<'a> Patch<'a> {
    pub(super) fn new(entry: &'a ParsedProperty) -> Outcome<Self> {
        let properties = &entry.properties;
        let list = |key: &str| properties.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
        Ok(Self {
            entry,
            config: normalized_config(entry)?,
            written_config: object(entry.written.get("config")),
            columns: objects(properties.get("columns")).into_iter().cloned().collect(),
            description: text(properties.get("description")).unwrap_or_default(),
            constraints: list("constraints"),
            deprecation_date: deprecation::date(properties, &entry.location)?,
            time_spine: properties.get("time_spine").and_then(Json::as_object).map(|given| {
                serde_json::json!({
                    "standard_granularity_column": given.get("standard_granularity_column"),
                    "custom_granularities": objects(given.get("custom_granularities")).into_iter().map(|custom| {
                        serde_json::json!({"name": custom.get("name"), "column_name": custom.get("column_name")})
                    }).collect::<Vec<_>>(),
                })
            }),
            version: None,
        })
    }
}

/// The entry's `config:` with the older top-level `meta`, `docs`, `group`, `contract` and `access` moved into it.
fn normalized_config(entry: &ParsedProperty) -> Outcome<JsonMap> {
    let mut config = object(entry.properties.get("config"));
    for key in ["meta", "docs", "group", "contract", "access"] {
        let Some(value) = entry.properties.get(key) else { continue };
        if config.contains_key(key) {
            let message = format!("`{}` has `{key}` both at its top level and in `config`", entry.name);
            return Diagnostic::error("property-twice", message)
                .at(location_at(&entry.yaml, &[key]))
                .help("keep the one under `config`")
                .fail();
        }
        config.insert(key.to_string(), value.clone());
    }
    Ok(config)
}

impl Resolver<'_> {
    /// Applies all patches and adds the snapshots that property files define.
    pub(super) fn apply_patches(&mut self, properties: &[ParsedProperty]) {
        for entry in properties {
            let outcome = match entry.section {
                Section::Models => self.patch_model(entry),
                Section::Seeds | Section::Analyses => self.patch_plain(entry),
                Section::Snapshots => self.add_yaml_snapshot(entry).and_then(|()| self.patch_plain(entry)),
                Section::Functions => self.patch_function(entry),
                Section::Macros => self.patch_macro(entry),
                Section::DataTests => self.patch_singular_test(entry),
                _ => Ok(()),
            };
            crate::parse::keep(outcome, &mut self.diagnostics);
        }
        self.settle_disabled();
    }

    fn patch_model(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let versions = versions::of(entry)?;
        if versions.is_empty() {
            return self.patch_plain(entry);
        }
        let latest = versions::latest(entry, &versions)?;
        for version in &versions {
            let mut patch = Patch::new(entry)?;
            patch.config = deep_merge(&patch.config, &version.config);
            patch.written_config = deep_merge(&patch.written_config, &version.written_config);
            patch.columns = version.columns.clone();
            if let Some(description) = version.description.clone() {
                patch.description = description;
            }
            if !version.constraints.is_empty() {
                patch.constraints = version.constraints.clone();
            }
            patch.deprecation_date = version.deprecation_date.clone();
            patch.version = Some((version.v.clone(), latest.clone()));
            self.patch_version(&patch, version)?;
        }
        Ok(())
    }

    fn patch_version(&mut self, patch: &Patch<'_>, version: &versions::Version) -> Outcome<()> {
        let (entry, package) = (patch.entry, patch.entry.file.package.name.clone());
        let file_name = version.defined_in.clone().unwrap_or_else(|| format!("{}_v{}", entry.name, str_of(&version.v)));
        let is_latest = patch.version.as_ref().is_some_and(|(v, latest)| v == latest);
        let mut found = self.refs.get(&file_name, Some(&package), None).into_iter().next();
        if found.is_none() && is_latest {
            found = self.refs.get(&entry.name, Some(&package), None).into_iter().next();
        }
        let found = found.or_else(|| self.refs.get_disabled(&file_name, Some(&package), None).into_iter().next());
        let Some((old_id, mut node)) = found.and_then(|id| self.take_node(&id).map(|node| (id, node))) else {
            self.warn_unmatched(entry, &file_name);
            return Ok(());
        };
        let formatted = format!("v{}", str_of(&version.v));
        node.unique_id = UniqueId::from(format!("model.{package}.{}.{formatted}", entry.name));
        if let Some(last) = node.fqn.last_mut() {
            last.clone_from(&entry.name);
        }
        node.fqn.push(formatted);
        let calls = self.calls.remove(&old_id).unwrap_or_default();
        self.apply(&mut node, patch, &calls)?;
        self.put_node(node, calls);
        Ok(())
    }

    /// A model without versions, a seed, a snapshot or an analysis.
    fn patch_plain(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let package = &entry.file.package.name;
        let kind = kind_of(entry.section);
        let Some(id) = self.find_patched(entry, kind, package) else {
            return Ok(());
        };
        let patch = Patch::new(entry)?;
        if let Some(patched) = self.manifest.nodes.get(&id).and_then(|node| node.patch_path.as_ref()) {
            let message = format!("`{}` is described twice", entry.name);
            return Diagnostic::error("duplicate-patch", message)
                .at(entry.location.clone())
                .help(format!("the other place is `{}`", patched.split_once("://").map_or("", |(_, path)| path)))
                .fail();
        }
        let calls = self.calls.get(&id).cloned().unwrap_or_default();
        if let Some(mut node) = self.manifest.nodes.get(&id).cloned() {
            self.apply(&mut node, &patch, &calls)?;
            self.share(&mut node);
            self.manifest.nodes.insert(id, node);
        } else if let Some(mut nodes) = self.manifest.disabled_nodes.get(&id).cloned() {
            for node in &mut nodes {
                self.apply(node, &patch, &calls)?;
            }
            self.manifest.disabled_nodes.insert(id, nodes);
        }
        Ok(())
    }

    /// The node an entry describes: in its own package, else in any; disabled ones last. Warns where there is none.
    fn find_patched(&mut self, entry: &ParsedProperty, kind: ResourceType, package: &str) -> Option<UniqueId> {
        if kind == ResourceType::Analysis {
            let id = UniqueId::from(format!("analysis.{package}.{}", entry.name));
            let known = self.manifest.nodes.contains_key(&id) || self.manifest.disabled_nodes.contains_key(&id);
            if !known {
                self.warn_unmatched(entry, &entry.name);
            }
            return known.then_some(id);
        }
        let found =
            [Some(package), None].into_iter().find_map(|package| self.refs.get(&entry.name, package, None).into_iter().next());
        if let Some(id) = found {
            if id.kind() != kind.as_str() {
                let message = format!("`{}` is a {}, but is described under `{}`", entry.name, id.kind(), plural(kind));
                let warning = Diagnostic::warning("wrong-section", message).at(entry.location.clone());
                self.diagnostics.push(warning.help(format!("move it under `{}s:`", id.kind())));
                return None;
            }
            return Some(id);
        }
        let disabled = self.refs.get_disabled(&entry.name, Some(package), None);
        let disabled = disabled.into_iter().find(|id| id.kind() == kind.as_str());
        if disabled.is_none() {
            self.warn_unmatched(entry, &entry.name);
        }
        disabled
    }

    pub(super) fn warn_unmatched(&mut self, entry: &ParsedProperty, name: &str) {
        let kind = kind_of(entry.section);
        let message = format!("`{name}` is described under `{}`, but there is no such {kind}", plural(kind));
        let names = self.manifest.nodes.values().filter(|node| node.resource_type == kind).map(|node| node.name.as_str());
        let warning = Diagnostic::warning("patch-without-node", message).at(location_at(&entry.yaml, &["name"]));
        let warning = warning.suggest(name, names);
        self.diagnostics.push(warning);
    }

    pub(super) fn apply(&self, node: &mut Node, patch: &Patch<'_>, calls: &Calls) -> Outcome<()> {
        let location = &patch.entry.location;
        node.patch_path = Some(patch.entry.file_id());
        node.description.clone_from(&patch.description);
        node.columns = columns::columns(&patch.columns, location)?;
        node.name.clone_from(&patch.entry.name);
        if let Some(model) = &mut node.model {
            if let Some((version, latest)) = &patch.version {
                model.version = Some(version.clone());
                model.latest_version = Some(latest.clone());
            }
            model.deprecation_date.clone_from(&patch.deprecation_date);
            model.time_spine.clone_from(&patch.time_spine);
            model.constraints =
                patch.constraints.iter().map(|given| columns::constraint(given, true, location)).collect::<Outcome<_>>()?;
        }
        // dbt computes the config anew only where the property file has one; versions always.
        if !patch.config.is_empty() || patch.version.is_some() {
            let config = ConfigPatch { config: &patch.config, written: &patch.written_config };
            self.configure(node, calls, Some(config))?;
        }
        contract::check(node, location)?;
        contract::set_checksum(node);
        add_foreign_keys(node);
        Ok(())
    }

    /// `relation:` in a property file defines a snapshot without a SQL file.
    fn add_yaml_snapshot(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let Some(relation) = entry.properties.get("relation").and_then(Json::as_str) else { return Ok(()) };
        let mut capture = Capture::default();
        match literal_call(relation) {
            Some(LiteralCall::Ref(args)) => capture.refs.push(args),
            Some(LiteralCall::Source(source)) => capture.sources.push(source),
            _ => {
                return Diagnostic::error("snapshot-relation", format!("`{relation}` is not a relation to snapshot"))
                    .at(location_at(&entry.yaml, &["relation"]))
                    .help("expected `ref('model')` or `source('source', 'table')`")
                    .fail();
            }
        }
        let package = entry.file.package.clone();
        let folders = entry.file.relative.rsplit_once('/').map_or("", |(folders, _)| folders);
        let fqn = std::iter::once(package.name.as_str())
            .chain(folders.split('/').filter(|folder| !folder.is_empty()))
            .chain([entry.name.as_str()]);
        let parsed = ParsedNode {
            unique_id: UniqueId::from(format!("snapshot.{}.{}", package.name, entry.name)),
            resource_type: ResourceType::Snapshot,
            name: entry.name.clone(),
            path: format!("{}.sql", entry.name),
            original_file_path: entry.file.original.to_string(),
            fqn: fqn.map(String::from).collect(),
            checksum: entry.checksum.clone(),
            raw_code: format!("select * from {{{{ {relation} }}}}"),
            language: "sql",
            tags: Vec::new(),
            hook_index: None,
            capture,
            location: entry.location.clone(),
            package,
        };
        self.add_nodes(vec![parsed]);
        let id = UniqueId::from(format!("snapshot.{}.{}", entry.file.package.name, entry.name));
        if let Some(node) = self.manifest.nodes.get(&id) {
            self.refs.add(node);
        }
        Ok(())
    }

    fn patch_macro(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let id = UniqueId::from(format!("macro.{}.{}", entry.file.package.name, entry.name));
        let Some(found) = self.manifest.macros.get_mut(&id) else {
            let names = self.manifest.macros.values().map(|found| found.name.as_str());
            let message = format!("`{}` is described under `macros`, but there is no such macro", entry.name);
            let warning = Diagnostic::warning("patch-without-macro", message).at(location_at(&entry.yaml, &["name"]));
            let warning = warning.suggest(&entry.name, names);
            self.diagnostics.push(warning);
            return Ok(());
        };
        let properties = &entry.properties;
        let config = object(properties.get("config"));
        found.patch_path = Some(entry.file_id());
        found.description = text(properties.get("description")).unwrap_or_default();
        found.meta = object(properties.get("meta"));
        found.meta.extend(object(config.get("meta")));
        let docs = config.get("docs").or_else(|| properties.get("docs")).and_then(Json::as_object);
        if let Some(docs) = docs {
            found.docs = DocsConfig {
                show: docs.get("show").and_then(Json::as_bool).unwrap_or(true),
                node_color: text(docs.get("node_color")),
            };
        }
        let arguments: Vec<Json> = objects(properties.get("arguments")).into_iter().map(macro_argument).collect();
        if !arguments.is_empty() {
            found.arguments = arguments;
        }
        Ok(())
    }

    fn patch_singular_test(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let id = UniqueId::from(format!("test.{}.{}", entry.file.package.name, entry.name));
        let Some(mut node) = self.manifest.nodes.get(&id).cloned() else {
            self.warn_unmatched(entry, &entry.name);
            return Ok(());
        };
        let config = object(entry.properties.get("config"));
        if !config.is_empty() {
            let calls = self.calls.get(&id).cloned().unwrap_or_default();
            let written = object(entry.written.get("config"));
            self.configure(&mut node, &calls, Some(ConfigPatch { config: &config, written: &written }))?;
        }
        node.patch_path = Some(entry.file_id());
        node.description = text(entry.properties.get("description")).unwrap_or_default();
        self.manifest.nodes.insert(id, node);
        Ok(())
    }

    fn take_node(&mut self, id: &UniqueId) -> Option<Node> {
        if let Some(node) = self.manifest.nodes.shift_remove(id) {
            return Some(node);
        }
        self.manifest.disabled_nodes.shift_remove(id)?.into_iter().next()
    }

    fn put_node(&mut self, mut node: Node, calls: Calls) {
        self.share(&mut node);
        self.keep_calls(&node.unique_id.clone(), calls);
        if node.config_bool("enabled").unwrap_or(true) {
            self.manifest.nodes.insert(node.unique_id.clone(), node);
        } else {
            self.manifest.disabled_nodes.entry(node.unique_id.clone()).or_default().push(node);
        }
    }

    /// Property files may switch nodes off and on: moves them to where they belong.
    fn settle_disabled(&mut self) {
        let enabled = |node: &Node| node.config_bool("enabled").unwrap_or(true);
        let off: Vec<UniqueId> =
            self.manifest.nodes.values().filter(|node| !enabled(node)).map(|node| node.unique_id.clone()).collect();
        for id in off {
            if let Some(node) = self.manifest.nodes.shift_remove(&id) {
                self.manifest.disabled_nodes.entry(id).or_default().push(node);
            }
        }
        let on: Vec<UniqueId> = self
            .manifest
            .disabled_nodes
            .iter()
            .filter(|(id, nodes)| !self.manifest.nodes.contains_key(*id) && nodes.iter().any(enabled))
            .map(|(id, _)| id.clone())
            .collect();
        for id in on {
            let nodes = self.manifest.disabled_nodes.shift_remove(&id).unwrap_or_default();
            for node in nodes.into_iter().filter(enabled) {
                self.manifest.nodes.insert(id.clone(), node);
            }
        }
        self.refs = RefLookup::new(&self.manifest);
    }
}

fn kind_of(section: Section) -> ResourceType {
    match section {
        Section::Seeds => ResourceType::Seed,
        Section::Snapshots => ResourceType::Snapshot,
        Section::Analyses => ResourceType::Analysis,
        Section::DataTests => ResourceType::Test,
        Section::Functions => ResourceType::Function,
        _ => ResourceType::Model,
    }
}

fn macro_argument(given: &JsonMap) -> Json {
    serde_json::json!({
        "name": given.get("name"),
        "type": given.get("type"),
        "description": text(given.get("description")).unwrap_or_default(),
    })
}

/// `to: ref('x')` of foreign keys counts as a reference.
fn add_foreign_keys(node: &mut Node) {
    let Some(model) = &node.model else { return };
    let of_columns = node.columns.values().flat_map(|column| &column.constraints);
    let targets: Vec<LiteralCall> = of_columns
        .chain(&model.constraints)
        .filter(|constraint| constraint["type"] == "foreign_key")
        .filter_map(|constraint| constraint["to"].as_str().and_then(literal_call))
        .collect();
    for target in targets {
        match target {
            LiteralCall::Ref(args) => node.refs.push(RefArgs { ..args }),
            LiteralCall::Source(source) => node.sources.push(source),
            LiteralCall::Metric(_) => {}
        }
    }
}
