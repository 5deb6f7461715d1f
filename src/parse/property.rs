//! Entries of property files, with their Jinja rendered where dbt renders it: not in descriptions, tests and hooks.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Checksum, JsonMap};
use crate::project::yaml::{Yaml, YamlValue};
use crate::project::{BaseContext, Project, ProjectFile};
use crate::project::{PropertyEntry, Section, read_properties};
use crate::source::Location;
use crate::world::World;

use super::Loaded;

/// Keys of entries of which `unrendered_config` and its like tell how they were written.
const KEPT_AS_WRITTEN: [&str; 4] = ["config", "versions", "database", "schema"];

/// One entry of a section, such as one model's properties.
#[derive(Clone, Debug)]
pub struct ParsedProperty {
    pub section: Section,
    pub name: String,
    /// Rendered, but for descriptions, tests and hooks.
    pub properties: JsonMap,
    /// What of it is asked for as written: the keys in [`KEPT_AS_WRITTEN`].
    pub written: JsonMap,
    pub yaml: Yaml,
    pub file: Arc<ProjectFile>,
    /// Of the whole file.
    pub checksum: Checksum,
    pub location: Location,
}

impl ParsedProperty {
    /// `package://models/_models.yml`, dbt's `patch_path`.
    pub fn file_id(&self) -> String {
        format!("{}://{}", self.file.package.name, self.file.original)
    }
}

pub(super) fn parse_properties(
    loaded: &Loaded,
    project: &Project,
    world: &dyn World,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<ParsedProperty> {
    let mut properties = Vec::new();
    for package in &project.packages {
        let context = super::property_context(world, project, package);
        for file in loaded.properties.iter().filter(|file| file.file.package.name == package.name) {
            let Some((read, found)) = super::keep(read_properties(&file.text, &file.file), diagnostics) else { continue };
            diagnostics.extend(found);
            for entry in read.entries {
                let checksum = file.checksum.clone();
                let parsed = parse_entry(entry, &context, file.file.clone(), checksum);
                properties.extend(super::keep(parsed, diagnostics));
            }
        }
    }
    properties
}

fn parse_entry(
    entry: PropertyEntry,
    context: &BaseContext<'_>,
    file: Arc<ProjectFile>,
    checksum: Checksum,
) -> Outcome<ParsedProperty> {
    let section = entry.section;
    let location = entry.yaml.location.clone();
    let written = |key: &&str| Some(((*key).to_string(), entry.yaml.get(key)?.to_json()));
    let written = KEPT_AS_WRITTEN.iter().filter_map(written).collect();
    let mut rendered = context.render_yaml(&entry.yaml, &|path| is_left_as_written(section, path))?;
    drop_last_newlines(&mut rendered, &mut Vec::new(), section);
    let properties = object(rendered);
    let Some(name) = properties.get("name").and_then(Json::as_str).map(String::from) else {
        let message = format!("an entry of `{}` has no name", section.as_str());
        return Diagnostic::error("property-without-name", message).at(location).help("add `name:`").fail();
    };
    Ok(ParsedProperty { section, name, properties, written, yaml: entry.yaml, file, checksum, location })
}

/// dbt renders every text, also without Jinja, and Jinja drops one newline at the end.
fn drop_last_newlines<'json>(value: &'json mut Json, path: &mut Vec<std::borrow::Cow<'json, str>>, section: Section) {
    match value {
        Json::String(text) if text.ends_with('\n') => {
            let keys: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
            if !is_left_as_written(section, &keys) {
                text.pop();
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string().into());
                drop_last_newlines(item, path, section);
                path.pop();
            }
        }
        Json::Object(map) => {
            for (key, item) in map.iter_mut() {
                path.push(key.as_str().into());
                drop_last_newlines(item, path, section);
                path.pop();
            }
        }
        _ => {}
    }
}

fn object(json: Json) -> JsonMap {
    match json {
        Json::Object(map) => map,
        _ => JsonMap::new(),
    }
}

/// The value without its places.
pub fn yaml_to_json(yaml: &Yaml) -> Json {
    yaml.to_json()
}

/// The place of the value at `path` (keys and list positions), or of the nearest value above it.
pub fn location_at(yaml: &Yaml, path: &[&str]) -> Location {
    let mut here = yaml;
    for step in path {
        let next = match &here.value {
            YamlValue::Mapping(map) => map.get(*step).map(|(_, value)| value),
            YamlValue::Sequence(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        here = next;
    }
    here.location.clone()
}

/// Whether dbt leaves the text at `path` unrendered when it reads the file: it renders it later, or never.
fn is_left_as_written(section: Section, path: &[&str]) -> bool {
    let Some(first) = path.first() else { return false };
    let last = path[path.len() - 1];
    let is_filter = last == "filter" || (path.len() > 1 && path[path.len() - 2] == "filter");
    match section {
        Section::Sources => {
            matches!(*first, "description" | "loaded_at_query")
                || (*first == "config" && path.get(1) == Some(&"loaded_at_query"))
                || (*first == "tables" && path.len() > 2 && is_late_key(&path[2..]))
        }
        Section::Macros if *first == "arguments" => is_late_key(&path[1..]),
        Section::Metrics => is_filter || is_late_key(path),
        Section::SavedQueries => (*first == "query_params" && path.get(1) == Some(&"where")) || is_late_key(path),
        _ => (*first == "metrics" && is_filter) || is_late_key(path),
    }
}

fn is_late_key(path: &[&str]) -> bool {
    const LATE: [&str; 3] = ["tests", "data_tests", "description"];
    let late = |at: usize| path.get(at).is_some_and(|key| LATE.contains(key));
    let Some(first) = path.first() else { return false };
    if late(0) || *first == "loaded_at_query" || (path.len() == 2 && (late(1) || path[1] == "loaded_at_query")) {
        return true;
    }
    if *first == "config" && matches!(path.get(1), Some(&"pre_hook" | &"post_hook" | &"loaded_at_query")) {
        return true;
    }
    if path.len() == 5 && path[4] == "description" {
        return true;
    }
    match *first {
        "versions" => late(2) || (path.get(2) == Some(&"columns") && late(4)),
        "columns" | "dimensions" | "measures" | "entities" | "metrics" => late(2),
        "derived_semantics" => matches!(path.get(1), Some(&"dimensions" | &"entities")) && late(3),
        _ => false,
    }
}
