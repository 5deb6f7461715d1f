//! How several `config()` calls of one file make one, as in dbt 1.12: tags, hooks and packages add up, `meta`, `docs`,
//! `column_types`, `quoting` and `contract` merge key by key, anything else is replaced.

use serde_json::Value as Json;

use crate::manifest::JsonMap;

/// Joins a further `config()` call of the same file to the earlier ones.
pub(crate) fn merge_calls(calls: &mut JsonMap, values: JsonMap) {
    if calls.is_empty() {
        calls.extend(values.into_iter().map(|(key, value)| (canonical(&key).to_string(), value)));
        return;
    }
    for (key, value) in values {
        let key = canonical(&key).to_string();
        let merged = match (key.as_str(), calls.get_mut(&key)) {
            ("pre-hook" | "post-hook" | "tags" | "packages", Some(before)) => {
                Json::Array([listed(before.take()), listed(value)].concat())
            }
            ("pre-hook" | "post-hook" | "tags" | "packages", None) => Json::Array(listed(value)),
            ("quoting" | "column_types" | "meta" | "docs" | "contract", Some(before)) => updated(before.take(), value),
            ("grants", Some(Json::Object(before))) => Json::Object(granted_calls(std::mem::take(before), value)),
            _ => value,
        };
        calls.insert(key, merged);
    }
}

/// Between calls of one file a `+key` stays as it is: it extends what the levels above granted.
fn granted_calls(before: JsonMap, value: Json) -> JsonMap {
    let mut grants: JsonMap = before.into_iter().map(|(key, value)| (key, Json::Array(listed(value)))).collect();
    let Json::Object(value) = value else { return grants };
    for (key, value) in value {
        match grants.get_mut(&key) {
            Some(Json::Array(items)) if key.starts_with('+') => items.extend(listed(value)),
            _ => {
                grants.insert(key, Json::Array(listed(value)));
            }
        }
    }
    grants
}

/// A config's name as it is kept: both spellings of a hook's key are one.
pub(crate) fn canonical(key: &str) -> &str {
    match key {
        "pre_hook" => "pre-hook",
        "post_hook" => "post-hook",
        other => other,
    }
}

/// A value as a list: itself if it is one, nothing for null, a list of one otherwise.
pub(crate) fn listed(value: Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items,
        Json::Null => Vec::new(),
        other => vec![other],
    }
}

/// Two mappings joined key by key, the later value counting; null changes nothing.
pub(crate) fn updated(before: Json, value: Json) -> Json {
    match (before, value) {
        (Json::Object(mut before), Json::Object(value)) => {
            before.extend(value);
            Json::Object(before)
        }
        (before, Json::Null) => before,
        (_, value) => value,
    }
}
