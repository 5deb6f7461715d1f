//! Whether a resource differs from what an earlier manifest holds: dbt's `same_contents` and its parts.
//!
//! The rules are those of dbt-core's `contracts/graph/nodes.py`. Where dbt compares what a target's environment made of a value,
//! the text as written is compared instead, so that another target or variable alone is no change.

use serde_json::Value as Json;

use super::Member;
use crate::diagnostic::Diagnostic;
use crate::manifest::{JsonMap, Node};
use crate::name::ResourceType;

/// Config keys whose change is none of the resource's own: names are compared by themselves, labels do not count.
const NOT_COMPARED: [&str; 5] = ["alias", "schema", "database", "tags", "group"];
/// What a metric, exposure, semantic model or saved query consists of, beside its config.
const EXPOSURE: [&str; 8] = ["fqn", "type", "owner", "maturity", "url", "description", "label", "depends_on"];
const METRIC: [&str; 3] = ["type", "description", "label"];
const SEMANTIC_MODEL: [&str; 9] =
    ["model", "description", "defaults", "entities", "dimensions", "measures", "config", "primary_entity", "group"];
const SAVED_QUERY: [&str; 7] = ["query_params", "description", "label", "config", "group", "exports", "tags"];
const UNIT_TEST: [&str; 5] = ["model", "versions", "given", "expect", "overrides"];
const FUNCTION: [&str; 2] = ["arguments", "returns"];

/// A resource now and its entry in the earlier manifest.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) now: &'a Member<'a>,
    pub(super) then: &'a JsonMap,
}

impl Pair<'_> {
    /// Nothing of it changed that `state:modified` looks at; its macros and contract apart.
    pub(super) fn same_contents(&self) -> bool {
        match self.now {
            Member::Node(node) if is_generic_test(node) => self.same_config() && self.same_fqn(),
            Member::Node(node) => {
                self.same_body()
                    && self.same_config()
                    && self.same_descriptions(node)
                    && self.same_fqn()
                    && self.same_relation()
                    && (node.resource_type != ResourceType::Model || self.same_references(node))
            }
            Member::Source(_) => self.same_source(),
            Member::Exposure(exposure) => {
                let now = serde_json::to_value(exposure).unwrap_or_default();
                self.same_config() && EXPOSURE.iter().all(|key| same(key, now.get(key), self.then.get(*key)))
            }
            Member::Other(other) => self.same_other(other.resource_type, &other.json),
        }
    }

    /// The code as written; of a seed, the file's hash.
    pub(super) fn same_body(&self) -> bool {
        let Member::Node(node) = self.now else { return true };
        if node.resource_type == ResourceType::Seed {
            let then = |key: &str| self.then.get("checksum").and_then(|checksum| checksum.get(key)).and_then(Json::as_str);
            return then("name") == Some(&node.checksum.name) && then("checksum") == Some(&node.checksum.checksum);
        }
        // Manifests before v7 (dbt 1.3) said `raw_sql`.
        let then = self.then.get("raw_code").or_else(|| self.then.get("raw_sql")).and_then(Json::as_str);
        then.is_some_and(|then| lines(then).eq(lines(&node.raw_code)))
    }

    /// The config as it is written, in files of any kind; values that only differ by target or variables are the same.
    pub(super) fn same_config(&self) -> bool {
        let empty = JsonMap::new();
        let then = self.then.get("unrendered_config").and_then(Json::as_object).unwrap_or(&empty);
        let compares_all = matches!(self.now, Member::Source(_) | Member::Exposure(_));
        let now = match self.now {
            Member::Node(node) => &node.unrendered_config,
            Member::Source(source) => &source.unrendered_config,
            Member::Exposure(exposure) => &exposure.unrendered_config,
            Member::Other(other) => other.json.get("unrendered_config").and_then(Json::as_object).unwrap_or(&empty),
        };
        let counts = |key: &&String| compares_all || !NOT_COMPARED.contains(&key.as_str());
        now.keys().chain(then.keys()).filter(counts).all(|key| self.same_setting(key, now.get(key), then.get(key)))
    }

    /// One key of the config. dbt keeps the value of an in-file `config()` where we keep its text: a value that stood there
    /// without Jinja and is in force still is the same.
    fn same_setting(&self, key: &str, now: Option<&Json>, then: Option<&Json>) -> bool {
        if now == then {
            return true;
        }
        let (Some(_), Some(then)) = (now, then) else { return false };
        let dashed = key.replace('_', "-");
        let value_then = self.then.get("config").and_then(|config| config.get(key).or_else(|| config.get(&dashed)));
        let value_now = self.now.config().get(key).or_else(|| self.now.config().get(&dashed));
        plain(then) == value_then.map_or(Json::Null, plain) && value_now.map(plain) == Some(plain(then))
    }

    /// The configured name of its relation, not what a target's macros make of it.
    pub(super) fn same_relation(&self) -> bool {
        match self.now {
            Member::Node(node) => {
                let then = self.then.get("unrendered_config");
                ["database", "schema", "alias"].into_iter().all(|key| {
                    let then = then.and_then(|then| then.get(key)).filter(|value| !value.is_null());
                    self.same_setting(key, node.unrendered_config.get(key), then)
                })
            }
            Member::Source(_) => self.same_source_relation(),
            _ => true,
        }
    }

    /// Descriptions, as far as `persist_docs` writes them into the database.
    pub(super) fn same_descriptions(&self, node: &Node) -> bool {
        let persists = |what: &str| node.config.get("persist_docs").and_then(|docs| docs.get(what)).and_then(Json::as_bool);
        if persists("relation") == Some(true) && self.then.get("description").and_then(Json::as_str) != Some(&node.description) {
            return false;
        }
        if persists("columns") != Some(true) {
            return true;
        }
        let empty = JsonMap::new();
        let then = self.then.get("columns").and_then(Json::as_object).unwrap_or(&empty);
        let description = |name: &str| then.get(name).and_then(|column| column.get("description")).and_then(Json::as_str);
        let all_same = node.columns.iter().all(|(name, column)| description(name) == Some(&column.description));
        all_same && then.len() == node.columns.len()
    }

    fn same_fqn(&self) -> bool {
        let then = self.then.get("fqn").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        then.iter().map(Json::as_str).eq(self.now.fqn().iter().map(|part| Some(part.as_str())))
    }

    /// What changes how others may refer to a model.
    fn same_references(&self, node: &Node) -> bool {
        let Some(model) = node.model.as_deref() else { return true };
        let text = |key: &str| self.then.get(key).and_then(Json::as_str);
        let latest = model.latest_version.as_ref().filter(|version| !version.is_null());
        let day = |date: &str| date.get(..10).unwrap_or(date).to_string();
        same("latest_version", latest, self.then.get("latest_version"))
            && text("access").unwrap_or("protected") == model.access
            && text("deprecation_date").map(day) == model.deprecation_date.as_deref().map(day)
    }

    fn same_source(&self) -> bool {
        let Member::Source(source) = self.now else { return true };
        let now = serde_json::to_value(source).unwrap_or_default();
        let parts = ["quoting", "freshness", "loaded_at_field", "external"];
        self.same_source_relation()
            && self.same_fqn()
            && self.same_config()
            && parts.iter().all(|key| same(key, now.get(key), self.then.get(*key)))
    }

    /// The schema and database as written where both manifests keep that; else as they came out, but for a database that
    /// only the target names.
    fn same_source_relation(&self) -> bool {
        let Member::Source(source) = self.now else { return true };
        let now = serde_json::to_value(source).unwrap_or_default();
        let written = |key: &str| self.then.get(key).filter(|value| !value.is_null());
        let part = |key: &str, value: Option<&str>| {
            let unrendered = format!("unrendered_{key}");
            match (now.get(&unrendered).filter(|value| !value.is_null()), written(&unrendered)) {
                (Some(now), Some(then)) => now == then,
                (None, None) if key == "database" && self.then.contains_key(&unrendered) => true,
                _ => self.then.get(key).and_then(Json::as_str) == value,
            }
        };
        part("database", source.database.as_deref())
            && part("schema", Some(&source.schema))
            && self.then.get("identifier").and_then(Json::as_str) == Some(&source.identifier)
    }

    fn same_other(&self, kind: ResourceType, now: &JsonMap) -> bool {
        let keys: &[&str] = match kind {
            ResourceType::Metric => &METRIC,
            ResourceType::SemanticModel => &SEMANTIC_MODEL,
            ResourceType::SavedQuery => &SAVED_QUERY,
            ResourceType::UnitTest => &UNIT_TEST,
            ResourceType::Function => &FUNCTION,
            _ => &[],
        };
        let by_parts = || keys.iter().all(|key| same(key, now.get(*key), self.then.get(*key)));
        match kind {
            // Equal checksums are enough; different ones may be two programs' ways to hash.
            ResourceType::UnitTest => {
                let checksum = now.get("checksum").filter(|checksum| !checksum.is_null());
                (checksum.is_some() && checksum == self.then.get("checksum")) || by_parts()
            }
            ResourceType::Metric => by_parts() && self.same_config(),
            ResourceType::Function => {
                let code = |entry: &JsonMap| entry.get("raw_code").and_then(Json::as_str).map(|code| code.trim().to_string());
                by_parts() && code(now) == code(self.then) && self.same_config() && self.same_fqn()
            }
            _ => by_parts(),
        }
    }

    /// Whether the contract of a model is the same; what breaks its readers is told in `breaking`.
    pub(super) fn same_contract(&self, breaking: &mut Vec<String>) -> bool {
        let Member::Node(node) = self.now else { return true };
        let enforced_then = enforced(self.then.get("config"));
        let enforced_now = node.config.get("contract").is_some_and(|contract| contract["enforced"] == true);
        match (enforced_then, enforced_now) {
            (false, now) => return !now,
            (true, false) => breaking.push("contract enforcement was removed".to_string()),
            (true, true) => {}
        }
        let empty = JsonMap::new();
        let columns = self.then.get("columns").and_then(Json::as_object).unwrap_or(&empty);
        let mut is_same = enforced_now && columns.len() == node.columns.len();
        for (name, then) in columns {
            let Some(now) = node.columns.get(name) else {
                breaking.push(format!("column `{name}` was removed"));
                is_same = false;
                continue;
            };
            let type_then = then.get("data_type").and_then(Json::as_str);
            is_same &=
                type_then == now.data_type.as_deref() && then.get("constraints").is_none_or(|c| same_list(c, &now.constraints));
            if base_type(type_then) != base_type(now.data_type.as_deref()) {
                let (was, is) = (type_then.unwrap_or("none"), now.data_type.as_deref().unwrap_or("none"));
                breaking.push(format!("column `{name}` was `{was}` and is `{is}`"));
            }
        }
        let constraints = node.model.as_ref().map(|model| model.constraints.as_slice()).unwrap_or_default();
        is_same &= self.then.get("constraints").is_none_or(|then| same_list(then, constraints));
        is_same
    }
}

/// A contract that broke: an error for a versioned model, whose readers rely on it, else a warning.
pub(super) fn broken_contract(node: &Node, breaking: &[String]) -> Diagnostic {
    let message = format!("the contract of `{}` is broken since the earlier state: {}", node.name, breaking.join("; "));
    let is_versioned = node.model.as_ref().is_some_and(|model| model.version.is_some());
    let diagnostic = match is_versioned {
        true => Diagnostic::error("contract-breaking-change", message).help("give the change a new version of the model"),
        false => Diagnostic::warning("contract-breaking-change", message)
            .help("consider model versions: `versions:` in its properties"),
    };
    diagnostic.at(node.location.clone())
}

fn enforced(config: Option<&Json>) -> bool {
    config.and_then(|config| config.get("contract")).is_some_and(|contract| contract["enforced"] == true)
}

/// `varchar(10)` → `varchar`: a size is no part of what readers rely on.
fn base_type(data_type: Option<&str>) -> Option<String> {
    data_type.map(|text| text.split('(').next().unwrap_or_default().trim().to_lowercase())
}

/// Without keys that hold nothing: dbt writes every key of a constraint, others only those given.
fn dense(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key.clone(), dense(value))).filter(|(_, value)| !is_nothing(value));
            Json::Object(kept.collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(dense).collect()),
        other => other.clone(),
    }
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Values of a key in two manifests; a list of ids in any order.
fn same(key: &str, now: Option<&Json>, then: Option<&Json>) -> bool {
    let now = now.map(dense).filter(|value| !is_nothing(value));
    let then = then.map(dense).filter(|value| !is_nothing(value));
    if key == "depends_on" {
        let nodes = |value: Option<Json>| {
            let nodes = value.and_then(|value| value.get("nodes").and_then(Json::as_array).cloned()).unwrap_or_default();
            nodes.iter().filter_map(|id| id.as_str().map(str::to_string)).collect::<std::collections::BTreeSet<_>>()
        };
        return nodes(now) == nodes(then);
    }
    now == then
}

fn same_list(then: &Json, now: &[Json]) -> bool {
    let then: Vec<Json> = then.as_array().into_iter().flatten().map(dense).collect();
    then.iter().cloned().eq(now.iter().map(dense))
}

/// Text and numbers as one spells them: `True`, `"true"` and `true` are one value.
fn plain(value: &Json) -> Json {
    match value {
        Json::String(text) => match text.as_str() {
            "True" | "true" => Json::Bool(true),
            "False" | "false" => Json::Bool(false),
            "None" => Json::Null,
            _ => serde_json::from_str(&text.replace('\'', "\"")).unwrap_or_else(|_| Json::from(text.as_str())),
        },
        other => dense(other),
    }
}

/// Lines without their ends, so that another system's line ends and blanks at the end are no change.
fn lines(code: &str) -> impl Iterator<Item = &str> {
    code.trim().lines().map(str::trim_end)
}

fn is_generic_test(node: &Node) -> bool {
    node.test.as_ref().is_some_and(|test| !test.name.is_empty())
}
