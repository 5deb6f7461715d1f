//! Checks over the whole manifest: names used twice, unknown groups, config paths that reach nothing; and inferred keys.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value as Json;

use crate::diagnostic::Diagnostic;
use crate::manifest::{JsonMap, Node};
use crate::name::{ResourceType, UniqueId};

use super::lookup::plural;
use super::{Resolver, config, contract, names};

impl Resolver<'_> {
    pub(super) fn check(&mut self) {
        self.infer_primary_keys();
        self.check_groups();
        self.check_public_ephemeral();
        self.check_snapshots();
        self.check_microbatch();
        self.check_functions();
        self.check_legacy();
        self.diagnostics.extend(self.manifest.nodes.values().filter_map(contract::unsupported));
        self.check_names();
        self.check_versioned_names();
        self.check_spaces();
        self.check_config_paths();
        self.check_config_keys();
    }

    /// Config keys of one's own are allowed; one that is nearly a known key is a slip of the finger.
    fn check_config_keys(&mut self) {
        let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut found = Vec::new();
        for node in self.manifest.nodes.values() {
            for key in node.unrendered_config.keys() {
                let Some(meant) = config::misspelt(node.resource_type, key) else { continue };
                if told.insert((key, node.resource_type.as_str())) {
                    let message = format!("`{key}` is no config that headwater or dbt knows; `{}` sets it", node.name);
                    let warning = Diagnostic::warning("unknown-config", message).at(node.location.clone());
                    found.push(warning.help(format!("did you mean `{meant}`?")));
                }
            }
        }
        self.diagnostics.extend(found);
    }

    fn check_groups(&mut self) {
        let groups: BTreeSet<&str> = self.manifest.groups.values().map(|group| group.name.as_str()).collect();
        let mut found = Vec::new();
        for node in self.manifest.nodes.values() {
            let Some(group) = node.group.as_deref().filter(|group| !groups.contains(group)) else { continue };
            let message = format!("`{}` belongs to the group `{group}`, which does not exist", node.name);
            let help = format!("the groups are {}", groups.iter().copied().collect::<Vec<_>>().join(", "));
            let diagnostic = Diagnostic::error("group-not-found", message).at(node.location.clone());
            found.push(if groups.is_empty() { diagnostic } else { diagnostic.help(help) }.suggest(group, groups.iter().copied()));
        }
        self.diagnostics.extend(found);
    }

    fn check_public_ephemeral(&mut self) {
        let is_wrong = |node: &&Node| node.is_ephemeral() && node.model.as_ref().is_some_and(|model| model.access == "public");
        let wrong = self.manifest.nodes.values().filter(is_wrong).map(|node| {
            Diagnostic::error("access-invalid", format!("`{}` is ephemeral, so it cannot be public", node.name))
                .at(node.location.clone())
                .help("make it a view or a table, or set its access to `protected`")
        });
        let wrong: Vec<Diagnostic> = wrong.collect();
        self.diagnostics.extend(wrong);
    }

    fn check_snapshots(&mut self) {
        let snapshots = self.manifest.nodes.values().filter(|node| node.resource_type == ResourceType::Snapshot);
        let wrong: Vec<Diagnostic> = snapshots.filter_map(snapshot_mistake).collect();
        self.diagnostics.extend(wrong);
    }

    /// Two nodes of one name in a package, or of one name in the database.
    fn check_names(&mut self) {
        let mut by_relation: HashMap<String, &Node> = HashMap::new();
        let mut by_name: HashMap<(&str, &str), &Node> = HashMap::new();
        let mut found = Vec::new();
        for node in self.manifest.nodes.values() {
            let stores = node.resource_type == ResourceType::Test && node.config_bool("store_failures").unwrap_or(false);
            if !node.resource_type.is_refable() && !stores {
                continue;
            }
            let is_versioned = node.model.as_ref().is_some_and(|model| model.version.is_some());
            if !is_versioned && let Some(other) = by_name.insert((&node.package_name, &node.name), node) {
                let message = format!("`{}` and `{}` have the same name", other.unique_id, node.unique_id);
                let place = node.location.clone();
                found.push(
                    Diagnostic::warning("duplicate-name", message).at(place).help("a reference to it cannot tell them apart"),
                );
            }
            let relation = names::render(&node.relation(), &JsonMap::new());
            if let Some(other) = by_relation.insert(relation.clone(), node) {
                let message = format!("`{}` and `{}` are both {relation} in the database", other.unique_id, node.unique_id);
                let help = format!("give one of them another alias or schema; the other is at {}", other.location);
                found.push(Diagnostic::error("duplicate-relation", message).at(node.location.clone()).help(help));
            }
        }
        self.diagnostics.extend(found);
    }

    /// Spaces in names: a mistake, or a warning where the project's flag says so.
    fn check_spaces(&mut self) {
        let flag = |name: &str, usual: bool| self.project.flags.get(name).and_then(Json::as_bool).unwrap_or(usual);
        let diagnostic = |name: &str, refused: bool, place: &crate::source::Location| {
            let message = format!("`{name}` has a space in its name");
            let made = if refused { Diagnostic::error } else { Diagnostic::warning };
            made("name-with-spaces", message).at(place.clone()).help("rename it, with underscores say")
        };
        let refused = flag("require_resource_names_without_spaces", true);
        let nodes = self.manifest.nodes.values().filter(|node| node.name.contains(' '));
        let mut found: Vec<Diagnostic> = nodes.map(|node| diagnostic(&node.name, refused, &node.location)).collect();
        let refused = flag("require_source_and_semantic_model_names_without_spaces", false);
        let mut told = BTreeSet::new();
        for source in self.manifest.sources.values().filter(|source| source.source_name.contains(' ')) {
            if told.insert(&source.source_name) {
                found.push(diagnostic(&source.source_name, refused, &source.location));
            }
        }
        let models = self.manifest.semantic_models.values().filter(|model| model.name.contains(' '));
        found.extend(models.map(|model| diagnostic(&model.name, refused, &model.location)));
        self.diagnostics.extend(found);
    }

    /// A node that has the name of a model with versions: `ref` of it could mean either.
    fn check_versioned_names(&mut self) {
        let is_versioned = |node: &Node| node.model.as_ref().is_some_and(|model| model.version.is_some());
        let nodes = || self.manifest.nodes.values().filter(|node| node.resource_type.is_refable());
        let versioned: HashMap<(&str, &str), &Node> =
            nodes().filter(|node| is_versioned(node)).map(|node| ((&*node.package_name, &*node.name), node)).collect();
        let found = nodes().filter(|node| !is_versioned(node)).filter_map(|node| {
            let other = versioned.get(&(&*node.package_name, &*node.name))?;
            let message = format!("`{}` has the name of a model with versions, `{}`", node.unique_id, other.unique_id);
            let diagnostic = Diagnostic::error("versioned-name", message).at(node.location.clone());
            Some(diagnostic.help(format!("give it another name, or make it a version in {}", other.location.path)))
        });
        let found: Vec<Diagnostic> = found.collect();
        self.diagnostics.extend(found);
    }

    /// Paths in `dbt_project.yml`'s config trees that reach no resource.
    fn check_config_paths(&mut self) {
        let fqns = self.prefixes();
        let Some(root) = self.project.packages.first() else { return };
        let mut unused = Vec::new();
        const KINDS: [ResourceType; 10] = [
            ResourceType::Model,
            ResourceType::Seed,
            ResourceType::Snapshot,
            ResourceType::Source,
            ResourceType::Test,
            ResourceType::UnitTest,
            ResourceType::Metric,
            ResourceType::SemanticModel,
            ResourceType::SavedQuery,
            ResourceType::Exposure,
        ];
        for kind in KINDS {
            let Some(tree) = config::tree(root, kind) else { continue };
            let mut paths = Vec::new();
            collect_paths(tree, &mut Vec::new(), &mut paths);
            let known = fqns.get(&kind);
            let any = fqns.get(&ResourceType::SqlOperation);
            for path in paths {
                let mut reached = [known, any].into_iter().flatten();
                let used = if path.is_empty() { reached.next().is_some() } else { reached.any(|known| known.contains(&path)) };
                if !used {
                    let steps = std::iter::once(plural(kind)).chain(path.iter().map(String::as_str));
                    unused.push(steps.collect::<Vec<_>>().join("."));
                }
            }
        }
        for path in unused {
            let message = format!("the configuration `{path}` in dbt_project.yml applies to no resource");
            let place = crate::source::Location::file("dbt_project.yml");
            self.diagnostics.push(Diagnostic::warning("unused-config-path", message).at(place));
        }
    }

    /// Every prefix of every resource's fqn by kind; those of disabled ones, which count for every kind, under `SqlOperation`.
    fn prefixes(&self) -> HashMap<ResourceType, HashSet<Vec<String>>> {
        let manifest = &self.manifest;
        let mut prefixes: HashMap<ResourceType, HashSet<Vec<String>>> = HashMap::new();
        // Kinds for which nothing is configured by folder are not looked at: mostly the tests, of which there are the most.
        let root = self.project.packages.first();
        let is_wanted = |kind| kind == ResourceType::SqlOperation || root.is_some_and(|root| config::tree(root, kind).is_some());
        let mut add = |kind: ResourceType, fqn: &[String]| {
            if !is_wanted(kind) {
                return;
            }
            let set = prefixes.entry(kind).or_default();
            for length in 1..=fqn.len() {
                if !set.contains(&fqn[..length]) {
                    set.insert(fqn[..length].to_vec());
                }
            }
        };
        manifest.nodes.values().for_each(|node| add(node.resource_type, &node.fqn));
        manifest.sources.values().for_each(|source| add(ResourceType::Source, &source.fqn));
        manifest.exposures.values().for_each(|exposure| add(ResourceType::Exposure, &exposure.fqn));
        let others = [&manifest.unit_tests, &manifest.metrics, &manifest.semantic_models, &manifest.saved_queries];
        others.into_iter().flat_map(|others| others.values()).for_each(|other| add(other.resource_type, &other.fqn));
        manifest.disabled_nodes.values().flatten().for_each(|node| add(ResourceType::SqlOperation, &node.fqn));
        manifest.disabled_sources.values().flatten().for_each(|source| add(ResourceType::SqlOperation, &source.fqn));
        manifest.disabled_exposures.values().flatten().for_each(|exposure| add(ResourceType::SqlOperation, &exposure.fqn));
        prefixes
    }

    /// A model's key columns, from constraints or from its `unique` and `not_null` tests, as dbt infers them.
    fn infer_primary_keys(&mut self) {
        let mut tests: HashMap<UniqueId, TestedColumns> = HashMap::new();
        let disabled = self.manifest.disabled_nodes.values().flatten().map(|node| (node, false));
        let enabled = self.manifest.nodes.values().map(|node| (node, node.config_bool("enabled").unwrap_or(true)));
        for (node, is_enabled) in enabled.chain(disabled) {
            if let Some(test) = &node.test
                && let Some(attached) = &test.attached_node
            {
                tests.entry(attached.clone()).or_default().take(&test.name, &test.kwargs, is_enabled);
            }
        }
        for node in self.manifest.nodes.values_mut().filter(|node| node.resource_type == ResourceType::Model) {
            let keys = primary_key(node, tests.get(&node.unique_id));
            if let Some(model) = &mut node.model {
                model.primary_key = keys;
            }
        }
    }
}

#[derive(Default)]
struct TestedColumns {
    unique: BTreeSet<String>,
    unique_disabled: BTreeSet<String>,
    not_null: BTreeSet<String>,
}

impl TestedColumns {
    fn take(&mut self, name: &str, kwargs: &JsonMap, is_enabled: bool) {
        let columns: Vec<String> = match (kwargs.get("column_name"), kwargs.get("combination_of_columns")) {
            (Some(Json::String(column)), _) => vec![column.clone()],
            (_, Some(Json::Array(columns))) => columns.iter().filter_map(|column| column.as_str().map(String::from)).collect(),
            _ => return,
        };
        match name {
            "unique" | "unique_combination_of_columns" if is_enabled => self.unique.extend(columns),
            "unique" | "unique_combination_of_columns" => self.unique_disabled.extend(columns),
            "not_null" => self.not_null.extend(columns),
            _ => {}
        }
    }
}

fn primary_key(node: &Node, tests: Option<&TestedColumns>) -> Vec<String> {
    let is_key = |constraint: &&Json| constraint["type"] == "primary_key";
    if let Some(key) = node.model.as_ref().and_then(|model| model.constraints.iter().find(is_key)) {
        let mut columns = super::columns::texts(key.get("columns"));
        columns.sort();
        return columns;
    }
    if let Some(column) = node.columns.values().find(|column| column.constraints.iter().any(|constraint| is_key(&constraint))) {
        return vec![column.name.clone()];
    }
    let Some(tests) = tests else { return Vec::new() };
    let is_unique = |column: &&String| tests.unique.contains(*column) || tests.unique_disabled.contains(*column);
    let both: Vec<String> = tests.not_null.iter().filter(is_unique).cloned().collect();
    [both, tests.unique.iter().cloned().collect(), tests.unique_disabled.iter().cloned().collect()]
        .into_iter()
        .find(|columns| !columns.is_empty())
        .unwrap_or_default()
}

fn snapshot_mistake(node: &Node) -> Option<Diagnostic> {
    let is_set = |key: &str| node.config.get(key).is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
    let wrong = |message: String, help: &str| {
        Some(Diagnostic::error("snapshot-config", message).at(node.location.clone()).help(help.to_string()))
    };
    let name = &node.name;
    if !is_set("strategy") || !is_set("unique_key") {
        return wrong(format!("the snapshot `{name}` lacks a `strategy` or a `unique_key`"), "set both");
    }
    match node.config_str("strategy") {
        Some("check") if !is_set("check_cols") => wrong(
            format!("the snapshot `{name}` checks columns, but has no `check_cols`"),
            "set it to `all` or to a list of columns",
        ),
        Some("check") if node.config_str("check_cols").is_some_and(|columns| columns != "all") => {
            wrong(format!("`check_cols` of the snapshot `{name}` is text"), "set it to `all` or to a list of columns")
        }
        Some("timestamp") if is_set("updated_at") && is_set("check_cols") => wrong(
            format!("the snapshot `{name}` goes by time (strategy timestamp), and has `check_cols` all the same"),
            "leave out `check_cols`, or set the strategy to `check`",
        ),
        Some("timestamp") if !is_set("updated_at") => wrong(
            format!("the snapshot `{name}` goes by time, but has no `updated_at`"),
            "set it to the column of the last change",
        ),
        _ => None,
    }
}

fn collect_paths(level: &JsonMap, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let mut has_own = false;
    for (key, value) in level {
        match value {
            Json::Object(below) if !key.starts_with('+') => {
                path.push(key.clone());
                collect_paths(below, path, paths);
                path.pop();
            }
            _ => has_own = true,
        }
    }
    if has_own {
        paths.push(path.clone());
    }
}
