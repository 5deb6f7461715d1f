//! Config inheritance: defaults, `dbt_project.yml` trees, property files, `config()` calls, and how their values merge.
//!
//! Precedence as in dbt 1.12: the package's own tree (outer levels first), the property file, the calls in the file, and for
//! an installed package the root project's tree over all. Tags and hooks add up, `meta`, `docs`, `column_types`, `quoting`
//! and `contract` merge key by key, `grants` replaces a key or with `+key` extends it, everything else is replaced.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use crate::manifest::JsonMap;
use crate::name::ResourceType;
use crate::parse::config_calls::{canonical, listed, updated};
use crate::parse::python_text::str_of;
use crate::project::{Package, Project};

/// How a later value of a key joins the earlier one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    Append,
    Update,
    Grants,
    Replace,
}

fn merge_kind(kind: ResourceType, key: &str) -> Merge {
    match (kind, key) {
        (ResourceType::Exposure | ResourceType::SavedQuery, _) => Merge::Replace,
        (ResourceType::Source, "tags") => Merge::Replace,
        (ResourceType::Group | ResourceType::Metric | ResourceType::SemanticModel, "tags") => Merge::Replace,
        (_, "tags") => Merge::Append,
        (_, "meta") => Merge::Update,
        (ResourceType::Source | ResourceType::UnitTest | ResourceType::Group, _) => Merge::Replace,
        (ResourceType::Metric | ResourceType::SemanticModel, _) => Merge::Replace,
        (ResourceType::Test, _) => Merge::Replace,
        (_, "pre-hook" | "post-hook" | "packages") => Merge::Append,
        (_, "quoting" | "column_types" | "docs" | "contract") => Merge::Update,
        (ResourceType::Model, "latest_version_pointer") => Merge::Update,
        (_, "grants") => Merge::Grants,
        _ => Merge::Replace,
    }
}

/// Where a node's config comes from.
pub(crate) struct ConfigSources<'a> {
    pub kind: ResourceType,
    pub package: &'a str,
    pub fqn: &'a [String],
    /// The property file's `config:`.
    pub patch: Option<&'a JsonMap>,
    /// What the file's `config()` calls gave.
    pub calls: &'a JsonMap,
}

/// The config with every key's final value: dbt's known keys in its order, then others in order of appearance.
pub(crate) fn build(project: &Project, sources: &ConfigSources<'_>) -> JsonMap {
    let mut config = defaults(sources.kind);
    layers(project, sources, tree, |partial| apply(&mut config, partial, sources.kind));
    if sources.kind == ResourceType::Group {
        // A group's config is not typed; hooks, which it inherits from the models' tree, mean nothing for it.
        config.retain(|key, _| !matches!(key.as_str(), "pre-hook" | "post-hook"));
    } else {
        finish(&mut config, sources.kind);
    }
    config
}

/// The values as written at each level, later ones over earlier ones, without merging.
pub(crate) fn build_unrendered(project: &Project, sources: &ConfigSources<'_>) -> JsonMap {
    let mut config = JsonMap::new();
    layers(project, sources, written_tree, |partial| config.extend(partial));
    config
}

/// One of a package's config trees.
type Tree = fn(&Package, ResourceType) -> Option<&JsonMap>;

fn layers(project: &Project, sources: &ConfigSources<'_>, tree: Tree, mut apply: impl FnMut(JsonMap)) {
    let find = |name: &str| project.packages.iter().find(|package| package.name == name);
    let own = find(sources.package).or_else(|| find(&project.name));
    if let Some(own) = own {
        tree_levels(tree(own, sources.kind), sources.fqn, &mut apply);
    }
    if let Some(patch) = sources.patch {
        apply(patch.clone());
    }
    if !sources.calls.is_empty() {
        apply(sources.calls.clone());
    }
    if sources.package != project.name
        && let Some(root) = find(&project.name)
    {
        tree_levels(tree(root, sources.kind), sources.fqn, &mut apply);
    }
}

/// The names of a kind's tree in `dbt_project.yml`; the first that is there counts.
pub(crate) fn tree_names(kind: ResourceType) -> &'static [&'static str] {
    match kind {
        ResourceType::Seed => &["seeds"],
        ResourceType::Snapshot => &["snapshots"],
        ResourceType::Source => &["sources"],
        ResourceType::Test => &["data_tests", "tests"],
        ResourceType::Metric => &["metrics"],
        ResourceType::SemanticModel => &["semantic-models", "semantic_models"],
        ResourceType::SavedQuery => &["saved-queries", "saved_queries"],
        ResourceType::Exposure => &["exposures"],
        ResourceType::UnitTest => &["unit_tests"],
        ResourceType::Function => &["functions"],
        // dbt looks analyses, hooks and groups up among the models.
        _ => &["models"],
    }
}

/// A kind's tree, if the package has one.
pub(crate) fn tree(package: &Package, kind: ResourceType) -> Option<&JsonMap> {
    tree_names(kind).iter().find_map(|name| package.config_trees.get(*name))
}

/// A kind's tree as written.
fn written_tree(package: &Package, kind: ResourceType) -> Option<&JsonMap> {
    // dbt looks functions up among the models here, and here only.
    let names = if kind == ResourceType::Function { &["models"] } else { tree_names(kind) };
    names.iter().find_map(|name| package.written_trees.get(*name))
}

fn tree_levels(tree: Option<&JsonMap>, fqn: &[String], apply: &mut impl FnMut(JsonMap)) {
    let Some(mut level) = tree else { return };
    let mut steps = fqn.iter();
    loop {
        let own = level_values(level);
        if !own.is_empty() {
            apply(own);
        }
        let next = steps.next().and_then(|step| level.get(step)).and_then(Json::as_object);
        let Some(next) = next else { return };
        level = next;
    }
}

/// The configs set at one level of a tree: keys with `+`, and any whose value cannot be a folder.
fn level_values(level: &JsonMap) -> JsonMap {
    let mut values = JsonMap::new();
    for (key, value) in level {
        if let Some(name) = key.strip_prefix('+') {
            values.insert(name.trim().to_string(), value.clone());
        } else if !value.is_object() {
            values.insert(key.clone(), value.clone());
        }
    }
    values
}

fn apply(config: &mut JsonMap, partial: JsonMap, kind: ResourceType) {
    for (key, value) in partial {
        let key = canonical(&key).to_string();
        let merged = match (merge_kind(kind, &key), config.get_mut(&key)) {
            (Merge::Append, Some(before)) => Json::Array([listed(before.take()), listed(value)].concat()),
            (Merge::Append, None) => Json::Array(listed(value)),
            (Merge::Update, Some(before)) => updated(before.take(), value),
            (Merge::Grants, Some(before)) => granted(before.take(), value),
            _ => value,
        };
        config.insert(key, merged);
    }
}

fn granted(before: Json, value: Json) -> Json {
    let (Json::Object(before), Json::Object(value)) = (before, value) else { return Json::Object(JsonMap::new()) };
    let mut grants: JsonMap = before.into_iter().map(|(key, value)| (key, Json::Array(listed(value)))).collect();
    for (key, value) in value {
        let extends = key.starts_with('+');
        let name = key.trim_start_matches('+').to_string();
        match grants.get_mut(&name) {
            Some(Json::Array(items)) if extends => items.extend(listed(value)),
            _ => {
                grants.insert(name, Json::Array(listed(value)));
            }
        }
    }
    Json::Object(grants)
}

/// Brings values into the shape dbt's typed configs give them.
fn finish(config: &mut JsonMap, kind: ResourceType) {
    for key in ["pre-hook", "post-hook"] {
        if let Some(hooks) = config.get_mut(key) {
            *hooks = Json::Array(listed(hooks.take()).into_iter().map(hook).collect());
        }
    }
    if let Some(tags) = config.get_mut("tags") {
        *tags = Json::Array(listed(tags.take()));
    }
    if let Some(Json::Bool(on)) = config.get("static_analysis") {
        let text = if *on { "on" } else { "off" };
        config.insert("static_analysis".to_string(), Json::from(text));
    }
    complete(config, "docs", json!({"show": true, "node_color": null}));
    complete(config, "contract", json!({"enforced": false, "alias_types": true}));
    if kind == ResourceType::Model {
        if let Some(Json::Bool(enabled)) = config.get("latest_version_pointer") {
            let pointer = json!({"enabled": enabled});
            config.insert("latest_version_pointer".to_string(), pointer);
        }
        complete(config, "latest_version_pointer", json!({"enabled": null, "alias": null}));
        let has_build_after = config.get("freshness").is_some_and(|freshness| freshness.get("build_after").is_some());
        if !has_build_after {
            config.insert("freshness".to_string(), Json::Null);
        }
    }
    if kind == ResourceType::Snapshot {
        let columns = ["dbt_valid_to", "dbt_valid_from", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted"];
        let empty: JsonMap = columns.iter().map(|name| ((*name).to_string(), Json::Null)).collect();
        complete(config, "snapshot_meta_column_names", Json::Object(empty));
    }
    if kind == ResourceType::Test {
        finish_test(config);
    }
    if let Some(Json::Object(grants)) = config.get_mut("grants") {
        for value in grants.values_mut() {
            *value = Json::Array(listed(value.take()));
        }
    }
}

/// An object of known fields: missing ones get their default, and the known ones come first.
fn complete(config: &mut JsonMap, key: &str, defaults: Json) {
    let Some(Json::Object(value)) = config.get_mut(key) else { return };
    let Json::Object(mut complete) = defaults else { return };
    complete.extend(std::mem::take(value));
    *value = complete;
}

/// `store_failures_as` decides `store_failures`, and stands for it where only that is given.
fn finish_test(config: &mut JsonMap) {
    let stored_as = config.get("store_failures_as").and_then(Json::as_str).map(String::from);
    match stored_as {
        Some(kind) => {
            config.insert("store_failures".to_string(), Json::Bool(kind != "ephemeral"));
        }
        None => {
            let stored_as = match config.get("store_failures") {
                Some(Json::Bool(true)) => Json::from("table"),
                Some(Json::Bool(false)) => Json::from("ephemeral"),
                _ => Json::Null,
            };
            config.insert("store_failures_as".to_string(), stored_as);
        }
    }
}

/// A hook as dbt keeps it: text, or an object (also as JSON text) with `sql` and `transaction`.
fn hook(value: Json) -> Json {
    let mut hook = json!({"sql": null, "transaction": true, "index": null});
    let given = match value {
        Json::String(text) => match serde_json::from_str::<Json>(&text) {
            Ok(Json::Object(object)) => object,
            _ => JsonMap::from_iter([("sql".to_string(), Json::String(text))]),
        },
        Json::Object(object) => object,
        other => JsonMap::from_iter([("sql".to_string(), Json::String(str_of(&other)))]),
    };
    if let Json::Object(hook) = &mut hook {
        hook.extend(given);
    }
    hook
}

/// How alike (Jaro–Winkler) a key and a known one are for the key to be a slip: adapters' own keys are less alike.
const SLIP: f64 = 0.93;

/// The known key that `key` nearly is, where it is none itself.
pub(crate) fn misspelt(kind: ResourceType, key: &str) -> Option<&'static str> {
    let known = known_keys(kind)?;
    let key = canonical(key);
    if known.contains_key(key) || kind == ResourceType::Test {
        return None;
    }
    let likeness = |name: &str| strsim::jaro_winkler(&key.to_lowercase(), name);
    let near = known.keys().map(|name| (likeness(name), name.as_str())).filter(|(score, _)| *score >= SLIP);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// A kind's known keys with their defaults, in dbt 1.12's order.
fn defaults(kind: ResourceType) -> JsonMap {
    known_keys(kind).cloned().unwrap_or_else(|| make_defaults(kind))
}

fn known_keys(kind: ResourceType) -> Option<&'static JsonMap> {
    static KNOWN: LazyLock<HashMap<ResourceType, JsonMap>> = LazyLock::new(|| {
        use ResourceType::*;
        let kinds = [
            Model,
            Analysis,
            Test,
            Snapshot,
            Operation,
            Seed,
            Source,
            Exposure,
            Metric,
            Group,
            SavedQuery,
            SemanticModel,
            UnitTest,
        ];
        kinds.into_iter().map(|kind| (kind, make_defaults(kind))).collect()
    });
    KNOWN.get(&kind)
}

fn make_defaults(kind: ResourceType) -> JsonMap {
    let mut config = match kind {
        ResourceType::Source => json!({
            "enabled": true, "event_time": null,
            "freshness": {
                "warn_after": {"count": null, "period": null}, "error_after": {"count": null, "period": null}, "filter": null,
            },
            "loaded_at_field": null, "loaded_at_query": null, "meta": {}, "tags": [], "static_analysis": null,
        }),
        ResourceType::Exposure => json!({"enabled": true, "tags": [], "meta": {}}),
        ResourceType::UnitTest => json!({"tags": [], "meta": {}, "enabled": true, "static_analysis": null}),
        ResourceType::Group => json!({"meta": {}}),
        ResourceType::Metric => json!({"enabled": true, "group": null, "meta": {}}),
        ResourceType::SemanticModel => json!({"enabled": true, "group": null, "meta": {}}),
        ResourceType::SavedQuery => json!({
            "enabled": true, "group": null, "meta": {}, "export_as": null, "schema": null, "cache": {"enabled": false},
        }),
        _ => node_defaults(kind),
    };
    config.as_object_mut().map(std::mem::take).unwrap_or_default()
}

fn node_defaults(kind: ResourceType) -> Json {
    let mut config = json!({
        "enabled": true, "alias": null, "schema": null, "database": null, "tags": [], "meta": {}, "group": null,
        "static_analysis": null,
    });
    let rest = match kind {
        ResourceType::Test => json!({
            "schema": "dbt_test__audit", "materialized": "test", "severity": "ERROR", "store_failures": null,
            "store_failures_as": null, "sql_header": null, "where": null, "limit": null, "fail_calc": "count(*)",
            "warn_if": "!= 0", "error_if": "!= 0",
        }),
        _ => json!({
            "materialized": "view", "incremental_strategy": null, "batch_size": null, "lookback": 1, "begin": null,
            "persist_docs": {}, "post-hook": [], "pre-hook": [], "quoting": {}, "column_types": {}, "full_refresh": null,
            "unique_key": null, "on_schema_change": "ignore", "on_configuration_change": "apply", "grants": {},
            "packages": [], "docs": {"show": true, "node_color": null},
            "contract": {"enforced": false, "alias_types": true}, "event_time": null, "concurrent_batches": null,
        }),
    };
    let own = match kind {
        ResourceType::Model => json!({
            "access": "protected", "freshness": null, "on_error": null,
            "latest_version_pointer": {"enabled": null, "alias": null},
        }),
        ResourceType::Seed => json!({"materialized": "seed", "delimiter": ",", "quote_columns": null}),
        ResourceType::Snapshot => json!({
            "materialized": "snapshot", "strategy": null, "unique_key": null, "target_schema": null, "target_database": null,
            "updated_at": null, "check_cols": null, "snapshot_meta_column_names": {}, "dbt_valid_to_current": null,
        }),
        ResourceType::Function => json!({
            "materialized": "function", "type": "scalar", "volatility": null, "runtime_version": null, "entry_point": null,
            "snowflake": {"quote_args": true},
        }),
        _ => json!({}),
    };
    for part in [rest, own] {
        if let (Json::Object(config), Json::Object(part)) = (&mut config, part) {
            config.extend(part);
        }
    }
    config
}
