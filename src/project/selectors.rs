//! `selectors.yml`: named selections, in the normal form that `manifest.json` holds and that selecting works on.
//!
//! A definition is a criterion as on the command line (`tag:nightly+`), a mapping with `method` and `value`, one of a single
//! method and its value, or `union` and `intersection` of such. All become mappings here; `exclude` stays where it stands.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value as Json, json};

use super::jinja_text::BaseContext;
use super::load::read_yaml;
use super::yaml::Yaml;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::world::World;

const FILE: &str = "selectors.yml";

/// `@`, `2+`, `method.argument:`, value, `+1`.
static CRITERION: LazyLock<Regex> = LazyLock::new(|| {
    let parts = r"\A(?P<at>@)?(?P<parents>(?P<up>\d*)\+)?((?P<method>[\w.]+):)?(?P<value>.*?)(?P<children>\+(?P<down>\d*))?\z";
    Regex::new(parts).expect("the criterion's pattern is a valid regular expression")
});

/// The project's selectors by name; none where it has no `selectors.yml`.
pub(super) fn read(world: &dyn World, root: &std::path::Path, context: &BaseContext<'_>) -> Outcome<JsonMap> {
    let mut selectors = JsonMap::new();
    let Some((yaml, _)) = read_yaml(world, &root.join(FILE), FILE)? else { return Ok(selectors) };
    let Some(entries) = yaml.get("selectors").and_then(Yaml::as_sequence) else {
        return wrong(&yaml, "selectors.yml holds a list under `selectors`");
    };
    let mut default: Option<String> = None;
    for entry in entries {
        let Json::Object(mut selector) = context.render_yaml(entry, &|_| false)? else {
            return wrong(entry, "a selector is a mapping with `name` and `definition`");
        };
        let Some(name) = selector.get("name").and_then(Json::as_str).map(str::to_string) else {
            return wrong(entry, "a selector needs a `name`");
        };
        let Some(definition) = selector.get("definition") else {
            return wrong(entry, &format!("the selector `{name}` needs a `definition`"));
        };
        if let Json::Object(map) = definition
            && (map.contains_key("union") || map.contains_key("intersection"))
            && map.len() > 1
        {
            let keys = map.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("the definition of the selector `{name}` has one `union` or one `intersection`, not {keys}");
            return wrong(entry.get("definition").unwrap_or(entry), &message);
        }
        let definition = normal(definition, entry)?;
        selector.insert("definition".to_string(), definition);
        if selector.get("default") == Some(&Json::Bool(true))
            && let Some(other) = default.replace(name.clone())
        {
            return wrong(entry, &format!("both `{other}` and `{name}` have `default: true`"));
        }
        selectors.insert(name, Json::Object(selector));
    }
    Ok(selectors)
}

fn wrong<T>(yaml: &Yaml, message: &str) -> Outcome<T> {
    Diagnostic::error("selectors-value", message)
        .at(yaml.location.clone())
        .help("a definition is text, or a mapping with `union`, `intersection`, or `method` and `value`")
        .fail()
}

fn normal(definition: &Json, entry: &Yaml) -> Outcome<Json> {
    let map = match definition {
        Json::String(text) => return criterion(text, entry),
        Json::Object(map) => map,
        _ => return wrong(entry, "a selector's definition is neither text nor a mapping"),
    };
    for kind in ["union", "intersection"] {
        if let Some(parts) = map.get(kind) {
            return Ok(json!({kind: list(kind, parts, entry)?}));
        }
    }
    if let Some(excluded) = map.get("exclude")
        && map.len() == 1
    {
        return Ok(json!({"exclude": list("exclude", excluded, entry)?}));
    }
    if map.contains_key("method") && map.contains_key("value") {
        // dbt checks an `exclude` beside a method, but leaves it in the form it has.
        if let Some(excluded) = map.get("exclude") {
            list("exclude", excluded, entry)?;
        }
        return Ok(Json::Object(map.clone()));
    }
    match map.iter().next() {
        Some((method, value)) if map.len() == 1 => Ok(json!({"method": method, "value": value})),
        _ => wrong(entry, "a selector's criterion has `method` and `value`, or one method as its only key"),
    }
}

fn list(kind: &str, parts: &Json, entry: &Yaml) -> Outcome<Json> {
    let Some(parts) = parts.as_array() else { return wrong(entry, &format!("`{kind}` of a selector is a list")) };
    let excludes = parts.iter().filter(|part| part.get("exclude").is_some() && part.get("method").is_none()).count();
    if excludes > 1 {
        return wrong(entry, &format!("`{kind}` of a selector has more than one `exclude`"));
    }
    parts.iter().map(|part| normal(part, entry)).collect::<Outcome<Vec<Json>>>().map(Json::Array)
}

/// A criterion of the command line as a mapping, with the operators it has.
fn criterion(text: &str, entry: &Yaml) -> Outcome<Json> {
    let Some(parts) = CRITERION.captures(text) else { return wrong(entry, &format!("`{text}` is no criterion")) };
    let value = &parts["value"];
    let lower = value.to_lowercase();
    let method = match parts.name("method") {
        Some(method) => method.as_str(),
        None if value.contains('/') => "path",
        None if [".sql", ".py", ".csv"].iter().any(|ending| lower.ends_with(ending)) => "file",
        None => "fqn",
    };
    let mut map = JsonMap::new();
    if parts.name("at").is_some() {
        map.insert("childrens_parents".to_string(), Json::Bool(true));
    }
    for (operator, depth, key) in [("parents", "up", "parents_depth"), ("children", "down", "children_depth")] {
        if parts.name(operator).is_none() {
            continue;
        }
        map.insert(operator.to_string(), Json::Bool(true));
        if !parts[depth].is_empty() {
            map.insert(key.to_string(), Json::from(&parts[depth]));
        }
    }
    map.insert("method".to_string(), Json::from(method));
    map.insert("value".to_string(), Json::from(value));
    Ok(Json::Object(map))
}
