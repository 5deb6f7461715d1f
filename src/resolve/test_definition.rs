//! One generic test as a property file writes it: its name, arguments and config, and the names dbt makes of them.

use md5::{Digest, Md5};
use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::parse::python_text::str_of;
use crate::source::Location;

use super::generic_tests::Target;

/// One entry of a list of tests, taken apart.
#[derive(Debug)]
pub(super) struct Definition {
    pub name: String,
    pub namespace: Option<String>,
    /// The test's own arguments, with `column_name` and `model`.
    pub args: JsonMap,
    pub config: JsonMap,
    pub given_name: Option<String>,
    pub description: String,
}

impl Definition {
    /// The name in file paths and aliases (below 64 characters), and the full one.
    pub fn names(&self, target: &Target) -> (String, String) {
        if let Some(name) = &self.given_name {
            return (name.clone(), name.clone());
        }
        let mut kind = if target.is_source() { format!("source_{}", self.name) } else { self.name.clone() };
        if let Some(namespace) = &self.namespace {
            kind = format!("{namespace}_{kind}");
        }
        synthesize(&kind, &target.name, &self.args)
    }

    /// The template dbt makes of a test.
    pub fn raw_code(&self) -> String {
        let name = match &self.namespace {
            Some(namespace) => format!("{namespace}.test_{}", self.name),
            None => format!("test_{}", self.name),
        };
        let value = |value: &Json| match value {
            Json::String(text) => format!("\"{}\"", text.replace('"', "\\\"")),
            other => str_of(other),
        };
        let config: Vec<String> = self.config.iter().map(|(key, given)| format!("{key}={}", value(given))).collect();
        let config = if config.is_empty() { String::new() } else { format!("{{{{ config({}) }}}}", config.join(",")) };
        format!("{{{{ {name}(**_dbt_generic_test_kwargs) }}}}{config}")
    }
}

/// dbt's name for a test without one: kind, target and all argument values, sorted by argument; a hash where it is too long.
fn synthesize(kind: &str, target: &str, args: &JsonMap) -> (String, String) {
    let mut keys: Vec<&String> = args.keys().filter(|key| *key != "model").collect();
    keys.sort();
    let mut parts: Vec<String> = Vec::new();
    for key in keys {
        match &args[key] {
            Json::Object(map) => parts.extend(map.values().map(str_of)),
            Json::Array(items) => parts.extend(items.iter().map(str_of)),
            other => parts.push(str_of(other)),
        }
    }
    let cleaned: Vec<String> = parts.iter().map(|part| clean(part)).collect();
    let identifier = format!("{kind}_{target}");
    let full = format!("{identifier}_{}", cleaned.join("__"));
    if full.chars().count() < 64 {
        return (full.clone(), full);
    }
    let digest = crate::parse::hex(&Md5::digest(full.as_bytes()));
    let start: String = identifier.chars().take(30).collect();
    (format!("{start}_{digest}"), full)
}

/// Every run of characters that are not letters, digits or `_` becomes one `_`.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            cleaned.push(c);
            in_run = false;
        } else if !in_run {
            cleaned.push('_');
            in_run = true;
        }
    }
    cleaned
}

/// `unique`, `{unique: {…}}` or `{test_name: unique, …}`.
pub(super) fn name_and_arguments(test: &Json, location: &Location) -> Outcome<(String, JsonMap)> {
    let wrong = |message: &str| {
        Diagnostic::error("test-invalid", message.to_string())
            .at(location.clone())
            .help("a test is a name, or a name with a mapping of its arguments")
            .fail()
    };
    let map = match test {
        Json::String(name) => return Ok((name.clone(), JsonMap::new())),
        Json::Object(map) => map,
        _ => return wrong("a test must be a name or a mapping"),
    };
    if let Some(name) = map.get("test_name") {
        let mut args = map.clone();
        args.shift_remove("test_name");
        return match name {
            Json::String(name) => Ok((name.clone(), args)),
            _ => wrong("`test_name` must be text"),
        };
    }
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((name, Json::Object(args))), None) => Ok((name.clone(), args.clone())),
        (Some((name, Json::Null)), None) => {
            wrong(&format!("the arguments of the test `{name}` are empty; write the name without a colon"))
        }
        (Some((name, _)), None) => wrong(&format!("the arguments of the test `{name}` must be a mapping")),
        _ => wrong("a test must have exactly one name; its arguments stand indented below it"),
    }
}
