//! A parsed node becomes a manifest node: its config is put together and what depends on it is set.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::TemplateText;
use crate::manifest::{Checksum, DependsOn, DocsConfig, HookDetail, JsonMap, ModelDetail, Node, SharedMap};
use crate::name::{ResourceType, UniqueId};
use crate::parse::python_text::str_of;
use crate::parse::{Capture, ParseScope, ParsedNode, capture_text};
use crate::source::Location;

use super::config::{self, ConfigSources};
use super::{Resolver, color, names};

/// What a property file adds to a node's config.
pub(crate) struct ConfigPatch<'a> {
    /// Rendered.
    pub config: &'a JsonMap,
    /// As written, for `unrendered_config`.
    pub written: &'a JsonMap,
}

/// What a node's own text said, kept for when a property file changes its config.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    pub config: JsonMap,
    pub unrendered: JsonMap,
}

/// A node with nothing known but its place in the project.
pub(crate) fn blank(unique_id: UniqueId, resource_type: ResourceType, location: Location) -> Node {
    Node {
        unique_id,
        resource_type,
        name: String::new(),
        package_name: String::new(),
        path: String::new(),
        original_file_path: String::new(),
        fqn: Vec::new(),
        alias: String::new(),
        database: None,
        schema: None,
        relation_name: None,
        checksum: Checksum { name: "none".to_string(), checksum: String::new() },
        config: SharedMap::default(),
        unrendered_config: SharedMap::default(),
        tags: Vec::new(),
        meta: SharedMap::default(),
        group: None,
        description: String::new(),
        doc_blocks: Vec::new(),
        columns: indexmap::IndexMap::new(),
        docs: DocsConfig::default(),
        patch_path: None,
        language: "sql".to_string(),
        raw_code: String::new(),
        refs: Vec::new(),
        sources: Vec::new(),
        metrics: Vec::new(),
        functions: Vec::new(),
        depends_on: DependsOn::default(),
        created_at: 0.0,
        compiled: None,
        lineage: None,
        test: None,
        model: None,
        function: None,
        hook: None,
        root_path: None,
        location,
    }
}

impl Resolver<'_> {
    /// Turns every parsed node into a manifest node, enabled or disabled.
    pub(super) fn add_nodes(&mut self, parsed: Vec<ParsedNode>) {
        for node in parsed {
            let outcome = self.node_of(node);
            if let Some((node, calls)) = crate::parse::keep(outcome, &mut self.diagnostics) {
                self.add_node(node, calls);
            }
        }
    }

    fn node_of(&self, parsed: ParsedNode) -> Outcome<(Node, Calls)> {
        let ParsedNode { capture, package, .. } = parsed;
        let is_model = parsed.resource_type == ResourceType::Model;
        let is_function = parsed.resource_type == ResourceType::Function;
        let target = &self.project.target;
        let mut node = Node {
            path: parsed.path,
            original_file_path: parsed.original_file_path,
            fqn: parsed.fqn,
            alias: parsed.name.clone(),
            name: parsed.name,
            package_name: package.name.clone(),
            database: Some(target.database.clone()),
            schema: Some(target.schema.clone()),
            checksum: parsed.checksum,
            raw_code: parsed.raw_code,
            language: parsed.language.to_string(),
            tags: parsed.tags,
            created_at: self.now,
            functions: capture.functions.clone(),
            function: is_function.then(Box::default),
            model: is_model.then(|| Box::new(ModelDetail { access: "protected".to_string(), ..ModelDetail::default() })),
            hook: parsed.hook_index.map(|index| HookDetail { index }),
            root_path: (parsed.resource_type == ResourceType::Seed).then(|| package.root.to_string_lossy().into_owned()),
            ..blank(parsed.unique_id, parsed.resource_type, parsed.location)
        };
        self.set_config_of_file(&mut node, capture).map(|calls| (node, calls))
    }

    /// Sets config and captures. A statically read model's hooks come before its own references, a rendered one's after.
    fn set_config_of_file(&self, node: &mut Node, capture: Capture) -> Outcome<Calls> {
        let calls = Calls { config: capture.config, unrendered: capture.unrendered_config };
        if capture.is_static {
            self.configure(node, &calls, None)?;
            node.unrendered_config.extend(calls.config.clone());
            add_references(node, capture.refs, capture.sources, capture.macros);
        } else {
            add_references(node, capture.refs, capture.sources, capture.macros);
            self.configure(node, &calls, None)?;
        }
        Ok(calls)
    }

    pub(super) fn add_node(&mut self, mut node: Node, calls: Calls) {
        let id = node.unique_id.clone();
        self.share(&mut node);
        if !is_enabled(&node) {
            self.keep_calls(&id, calls);
            self.manifest.disabled_nodes.entry(id).or_default().push(node);
            return;
        }
        if let Some(other) = self.manifest.nodes.get(&id) {
            self.diagnostics.push(duplicate(&node, other));
            return;
        }
        self.keep_calls(&id, calls);
        self.manifest.nodes.insert(id, node);
    }

    /// Remembers what a node's text said, if it said anything.
    pub(super) fn keep_calls(&mut self, id: &UniqueId, calls: Calls) {
        if !calls.config.is_empty() || !calls.unrendered.is_empty() {
            self.calls.insert(id.clone(), calls);
        }
    }

    /// Lets a node have what it has in common with others only once.
    pub(super) fn share(&mut self, node: &mut Node) {
        let columns = node.columns.values_mut().flat_map(|column| [&mut column.meta, &mut column.config, &mut column.extra]);
        for map in [&mut node.config, &mut node.unrendered_config, &mut node.meta].into_iter().chain(columns) {
            self.shared_maps.share(map);
        }
    }

    /// Puts the node's config together and sets what follows from it: tags, meta, group, access, docs, names, hooks.
    pub(super) fn configure(&self, node: &mut Node, calls: &Calls, patch: Option<ConfigPatch<'_>>) -> Outcome<()> {
        let python_default = python_default(node, patch.as_ref());
        let rendered_patch = python_default.as_ref().or(patch.as_ref().map(|patch| patch.config));
        let package = node.package_name.clone();
        let fqn = node.fqn.clone();
        let mut sources =
            ConfigSources { kind: node.resource_type, package: &package, fqn: &fqn, patch: rendered_patch, calls: &calls.config };
        let earlier = std::mem::take(&mut node.config).into_map();
        node.config = over_earlier(earlier, config::build(self.project, &sources)).into();
        let merged_patch = patch.as_ref().map(|patch| deep_merge(rendered_patch.unwrap_or(patch.config), patch.written));
        sources.patch = merged_patch.as_ref().or(rendered_patch);
        if !calls.unrendered.is_empty() {
            sources.calls = &calls.unrendered;
        }
        node.unrendered_config = config::build_unrendered(self.project, &sources).into();
        set_from_config(node)?;
        self.naming().name(node)?;
        self.capture_hooks(node)
    }

    pub(super) fn naming(&self) -> names::Naming<'_> {
        names::Naming { project: &self.shared, jinja: self.jinja, deciding: &self.deciding }
    }

    /// Hooks are templates too: their references and macros count as the node's.
    fn capture_hooks(&self, node: &mut Node) -> Outcome<()> {
        for key in ["pre-hook", "post-hook"] {
            let hooks: Vec<String> = match node.config.get(key) {
                Some(Json::Array(hooks)) => hooks.iter().filter_map(|hook| hook["sql"].as_str().map(String::from)).collect(),
                _ => continue,
            };
            for sql in hooks.iter().filter(|sql| needs_render(sql)) {
                let scope = ParseScope::new(self.shared.clone(), names::identity(node));
                let text = TemplateText {
                    name: format!("{key} of {}", node.unique_id),
                    source: sql.clone(),
                    location: node.location.clone(),
                };
                let capture = capture_text(&text, self.jinja, scope)?;
                if node.resource_type == ResourceType::Seed && !(capture.refs.is_empty() && capture.sources.is_empty()) {
                    let message = format!(
                        "Seeds cannot depend on other nodes: {key} of `{}` calls `ref` or `source`, itself or through a macro",
                        node.name
                    );
                    return Diagnostic::error("seed-hook", message).at(node.location.clone()).fail();
                }
                add_references(node, capture.refs, capture.sources, capture.macros);
            }
        }
        Ok(())
    }
}

pub(crate) fn is_enabled(node: &Node) -> bool {
    node.config_bool("enabled").unwrap_or(true)
}

/// `{{ this }}` alone refers to nothing.
fn needs_render(sql: &str) -> bool {
    let without_this = sql.replace("{{ this }}", "").replace("{{this}}", "");
    without_this.contains("{{") || without_this.contains("{%")
}

/// A Python model is a table unless its property file says otherwise.
fn python_default(node: &Node, patch: Option<&ConfigPatch<'_>>) -> Option<JsonMap> {
    if node.language != "python" || node.resource_type != ResourceType::Model {
        return None;
    }
    let mut config = patch.map(|patch| patch.config.clone()).unwrap_or_default();
    config.entry("materialized").or_insert_with(|| Json::from("table"));
    Some(config)
}

/// dbt's merge of nested values: mappings join key by key, a later list comes before the earlier one.
pub(crate) fn deep_merge(base: &JsonMap, over: &JsonMap) -> JsonMap {
    let mut merged = base.clone();
    for (key, value) in over {
        let value = match (merged.get(key), value) {
            (Some(Json::Object(before)), Json::Object(value)) => Json::Object(deep_merge(before, value)),
            (Some(Json::Array(before)), Json::Array(value)) => Json::Array([value.as_slice(), before.as_slice()].concat()),
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}

pub(crate) fn add_references(
    node: &mut Node,
    refs: Vec<crate::manifest::RefArgs>,
    sources: Vec<[String; 2]>,
    macros: Vec<UniqueId>,
) {
    node.refs.extend(refs);
    node.sources.extend(sources);
    for id in macros {
        if !node.depends_on.macros.contains(&id) {
            node.depends_on.macros.push(id);
        }
    }
}

fn set_from_config(node: &mut Node) -> Outcome<()> {
    if let Some(Json::Array(tags)) = node.config.get("tags") {
        for tag in tags.iter().filter_map(Json::as_str) {
            if !node.tags.iter().any(|known| known == tag) {
                node.tags.push(tag.to_string());
            }
        }
    }
    if let Some(Json::Object(meta)) = node.config.get("meta")
        && !meta.is_empty()
    {
        node.meta = meta.clone().into();
    }
    if let Some(group) = node.config_str("group") {
        node.group = Some(group.to_string());
    }
    if let Some(docs) = node.config.get("docs").and_then(Json::as_object) {
        node.docs = DocsConfig {
            show: docs.get("show").and_then(Json::as_bool).unwrap_or(node.docs.show),
            node_color: docs.get("node_color").and_then(Json::as_str).map(String::from),
        };
    }
    if node.resource_type == ResourceType::Model {
        set_access(node)?;
    }
    check_config(node)
}

fn set_access(node: &mut Node) -> Outcome<()> {
    const LEVELS: [&str; 3] = ["private", "protected", "public"];
    let Some(access) = node.config_str("access").map(String::from) else { return Ok(()) };
    if !LEVELS.contains(&access.as_str()) {
        let message = format!("`{}` has an unknown access `{access}`", node.name);
        return Diagnostic::error("access-invalid", message)
            .at(node.location.clone())
            .help("expected `private`, `protected` or `public`")
            .suggest(&access, LEVELS)
            .fail();
    }
    if let Some(model) = &mut node.model {
        model.access = access;
    }
    Ok(())
}

/// Values that dbt refuses.
fn check_config(node: &Node) -> Outcome<()> {
    let refuse = |key: &str, value: &str, expected: &str| {
        let message = format!("`{}` has an invalid `{key}`: `{value}`", node.name);
        Diagnostic::error("config-invalid", message).at(node.location.clone()).help(format!("expected {expected}")).fail()
    };
    if let Some(value) = node.config.get("enabled")
        && !value.is_boolean()
    {
        return refuse("enabled", &str_of(value), "`true` or `false`");
    }
    if let Some(value) = node.config.get("materialized").filter(|value| !value.is_string() && !value.is_null()) {
        return refuse("materialized", &str_of(value), "one name, as text: `table`");
    }
    if let Some(color) = node.docs.node_color.as_deref().filter(|color| !color.is_empty() && !color::is_color(color)) {
        return refuse("docs.node_color", color, "a colour's name in HTML, or `#` and three or six hexadecimal digits");
    }
    let materialized = node.materialized();
    match node.resource_type {
        ResourceType::Test => {
            let severity = node.config_str("severity").unwrap_or_default().to_lowercase();
            if !matches!(severity.as_str(), "warn" | "error") {
                return refuse("severity", &severity, "`warn` or `error`");
            }
            if materialized != "test" {
                return refuse("materialized", materialized, "`test`");
            }
        }
        ResourceType::Function if !matches!(node.config_str("type"), Some("scalar" | "aggregate")) => {
            return refuse("type", node.config.get("type").map(str_of).unwrap_or_default().as_str(), "`scalar` or `aggregate`");
        }
        ResourceType::Seed if materialized != "seed" => return refuse("materialized", materialized, "`seed`"),
        _ => {}
    }
    let contract = node.config.get("contract").and_then(|contract| contract.get("enforced")).and_then(Json::as_bool);
    let on_change = node.config_str("on_schema_change").unwrap_or("ignore");
    if contract == Some(true) && materialized == "incremental" && !matches!(on_change, "append_new_columns" | "fail") {
        return refuse("on_schema_change", on_change, "`append_new_columns` or `fail`, because the contract is enforced");
    }
    Ok(())
}

fn duplicate(node: &Node, other: &Node) -> Diagnostic {
    let message = format!("two {}s are named `{}`", node.resource_type, node.name);
    Diagnostic::error("duplicate-resource", message)
        .at(node.location.clone())
        .help(format!("the other one is `{}`; rename one of them", other.original_file_path))
}

/// A config put together again keeps the keys of the earlier one in their order; a null does not replace a value.
fn over_earlier(mut earlier: JsonMap, config: JsonMap) -> JsonMap {
    if earlier.is_empty() {
        return config;
    }
    for (key, value) in config {
        if !value.is_null() || !earlier.contains_key(&key) {
            earlier.insert(key, value);
        }
    }
    earlier
}

/// What each node's own text said of its config.
pub(crate) type CallsById = HashMap<UniqueId, Calls>;

pub(crate) fn shared_project(project: &crate::project::Project) -> Arc<crate::project::Project> {
    Arc::new(project.clone())
}
