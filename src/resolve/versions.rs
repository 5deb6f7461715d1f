//! `versions:` of a model's properties.

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::parse::python_text::str_of;
use crate::parse::{ParsedProperty, location_at};
use crate::source::Location;

use super::columns::{object, objects, text, texts};
use super::deprecation;

/// One version, with the columns it has after `include` and `exclude`.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub v: Json,
    pub defined_in: Option<String>,
    pub description: Option<String>,
    pub config: JsonMap,
    pub written_config: JsonMap,
    pub constraints: Vec<Json>,
    pub deprecation_date: Option<String>,
    pub columns: Vec<JsonMap>,
    /// Its own tests, where it has any; else the model's count.
    pub tests: Option<Vec<Json>>,
}

/// The versions in file order; empty if the model has none.
pub(super) fn of(entry: &ParsedProperty) -> Outcome<Vec<Version>> {
    let written = objects(entry.written.get("versions"));
    let base = objects(entry.properties.get("columns"));
    let mut versions: Vec<Version> = Vec::new();
    for (index, given) in objects(entry.properties.get("versions")).into_iter().enumerate() {
        let place = || location_at(&entry.yaml, &["versions", &index.to_string()]);
        let Some(v) = given.get("v").filter(|v| !v.is_null()).cloned() else {
            return Diagnostic::error("version-without-v", format!("a version of `{}` has no `v`", entry.name))
                .at(place())
                .fail();
        };
        if versions.iter().any(|other| str_of(&other.v) == str_of(&v)) {
            let message = format!("`{}` has version {} twice", entry.name, str_of(&v));
            return Diagnostic::error("duplicate-version", message).at(place()).fail();
        }
        check_column_rule(&entry.name, given, place())?;
        let mut config = object(given.get("config"));
        // The model's own access, where it has one, wins over a version's: so dbt has it.
        let has_access = [Some(&entry.properties), entry.properties.get("config").and_then(Json::as_object)]
            .into_iter()
            .flatten()
            .any(|level| level.contains_key("access"));
        if let Some(access) = given.get("access").filter(|_| !has_access) {
            config.entry("access").or_insert_with(|| access.clone());
        }
        versions.push(Version {
            v,
            defined_in: text(given.get("defined_in")),
            description: text(given.get("description")).filter(|description| !description.is_empty()),
            config,
            written_config: written.get(index).map(|given| object(given.get("config"))).unwrap_or_default(),
            constraints: given.get("constraints").and_then(Json::as_array).cloned().unwrap_or_default(),
            deprecation_date: deprecation::date(given, &place())?,
            columns: columns(&base, given),
            tests: ["data_tests", "tests"].iter().find_map(|key| given.get(*key).and_then(Json::as_array)).cloned(),
        });
    }
    Ok(versions)
}

/// A version's columns hold at most one `include`; `exclude` takes from `include: all`.
fn check_column_rule(model: &str, given: &JsonMap, place: Location) -> Outcome<()> {
    let own = objects(given.get("columns"));
    let mut rules = own.iter().filter(|column| column.contains_key("include") || column.contains_key("exclude"));
    let Some(rule) = rules.next() else { return Ok(()) };
    let excludes = rule.get("exclude").and_then(Json::as_array).is_some_and(|names| !names.is_empty());
    let reason = match rule.get("include") {
        _ if rules.next().is_some() => "more than one `include`",
        None | Some(Json::Null) => "an `exclude` without an `include`",
        Some(include) if excludes && !takes_all(include) => "an `exclude` beside a list of what to `include`",
        _ => return Ok(()),
    };
    Diagnostic::error("version-columns", format!("the columns of a version of `{model}` have {reason}"))
        .at(place)
        .help("either `include: all` with the columns to `exclude`, or `include: [the, columns]`")
        .fail()
}

/// `all` or `*`.
fn takes_all(include: &Json) -> bool {
    matches!(include, Json::String(text) if text == "all" || text == "*")
}

fn columns(base: &[&JsonMap], given: &JsonMap) -> Vec<JsonMap> {
    let own = objects(given.get("columns"));
    let rule = own.iter().find(|column| column.contains_key("include") || column.contains_key("exclude"));
    let includes = |name: &str| {
        let Some(rule) = rule else { return true };
        (rule.get("include").is_some_and(takes_all) || texts(rule.get("include")).iter().any(|included| included == name))
            && !texts(rule.get("exclude")).iter().any(|excluded| excluded == name)
    };
    let kept = base.iter().filter(|column| includes(&text(column.get("name")).unwrap_or_default()));
    kept.chain(own.iter().filter(|column| column.contains_key("name"))).map(|column| (*column).clone()).collect()
}

/// `latest_version`, or the highest version: by number where all are numbers, else by text.
pub(super) fn latest(entry: &ParsedProperty, versions: &[Version]) -> Outcome<Json> {
    if let Some(latest) = entry.properties.get("latest_version").filter(|latest| !latest.is_null()) {
        if versions.iter().any(|version| &version.v == latest) {
            return Ok(latest.clone());
        }
        let known: Vec<String> = versions.iter().map(|version| str_of(&version.v)).collect();
        let message = format!("latest_version {} is not a version of `{}`", str_of(latest), entry.name);
        return Diagnostic::error("latest-version-unknown", message)
            .at(location_at(&entry.yaml, &["latest_version"]))
            .help(format!("its versions are {}", known.join(", ")))
            .fail();
    }
    let number = |version: &Version| str_of(&version.v).parse::<f64>();
    let highest = versions.iter().reduce(|a, b| {
        let less = match (number(a), number(b)) {
            (Ok(left), Ok(right)) => left < right,
            _ => str_of(&a.v) < str_of(&b.v),
        };
        if less { b } else { a }
    });
    Ok(highest.map(|version| version.v.clone()).unwrap_or_default())
}
