//! Exposures and groups.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{DependsOn, Exposure, JsonMap, OtherResource};
use crate::name::{ResourceType, UniqueId};
use crate::parse::{LiteralCall, ParsedProperty, literal_call, location_at};
use crate::project::Section;

use super::Resolver;
use super::columns::{object, text, texts};
use super::config::{self, ConfigSources};

const TYPES: [&str; 5] = ["dashboard", "notebook", "analysis", "ml", "application"];

impl Resolver<'_> {
    pub(super) fn add_exposures(&mut self, properties: &[ParsedProperty]) {
        for entry in properties.iter().filter(|entry| entry.section == Section::Exposures) {
            let outcome = self.exposure_of(entry);
            let Some(exposure) = crate::parse::keep(outcome, &mut self.diagnostics) else { continue };
            let id = exposure.unique_id.clone();
            if !entry.name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                let message = format!("`{}` is no name for an exposure: letters, digits and underscores make one", entry.name);
                let warning = Diagnostic::warning("exposure-name", message).at(location_at(&entry.yaml, &["name"]));
                self.diagnostics.push(warning.help("dbt deprecates this: write it as the `label`, and choose another `name`"));
            }
            if !exposure.config.get("enabled").and_then(Json::as_bool).unwrap_or(true) {
                self.manifest.disabled_exposures.entry(id).or_default().push(exposure);
            } else if let Some(other) = self.manifest.exposures.get(&id) {
                let message = format!("two exposures are named `{}`", entry.name);
                let help = format!("the other one is at {}", other.location);
                self.diagnostics.push(Diagnostic::error("duplicate-resource", message).at(exposure.location).help(help));
            } else {
                self.manifest.exposures.insert(id, exposure);
            }
        }
    }

    fn exposure_of(&self, entry: &ParsedProperty) -> Outcome<Exposure> {
        let (properties, package) = (&entry.properties, &entry.file.package.name);
        let exposure_type = text(properties.get("type")).unwrap_or_default();
        if !TYPES.contains(&exposure_type.as_str()) {
            return Diagnostic::error("exposure-type", format!("`{}` has an unknown type `{exposure_type}`", entry.name))
                .at(location_at(&entry.yaml, &["type"]))
                .help(format!("expected one of {}", TYPES.join(", ")))
                .suggest(&exposure_type, TYPES)
                .fail();
        }
        let fqn = fqn_of(entry);
        let given = object(properties.get("config"));
        let no_calls = JsonMap::new();
        let sources = ConfigSources { kind: ResourceType::Exposure, package, fqn: &fqn, patch: Some(&given), calls: &no_calls };
        let mut config = config::build(self.project, &sources);
        let unrendered_config = config::build_unrendered(self.project, &sources);
        let mut tags = texts(properties.get("tags"));
        tags.extend(texts(config.get("tags")));
        tags.sort();
        tags.dedup();
        let mut meta = object(properties.get("meta"));
        meta.extend(object(config.get("meta")));
        config.insert("tags".to_string(), Json::from(tags.clone()));
        config.insert("meta".to_string(), Json::Object(meta.clone()));
        let mut owner = JsonMap::from_iter([("email".to_string(), Json::Null), ("name".to_string(), Json::Null)]);
        owner.extend(object(properties.get("owner")));
        let mut exposure = Exposure {
            unique_id: UniqueId::from(format!("exposure.{package}.{}", entry.name)),
            name: entry.name.clone(),
            package_name: package.clone(),
            path: entry.file.relative.to_string(),
            original_file_path: entry.file.original.to_string(),
            fqn,
            exposure_type,
            owner,
            description: text(properties.get("description")).unwrap_or_default(),
            doc_blocks: Vec::new(),
            label: text(properties.get("label")),
            maturity: text(properties.get("maturity")),
            url: text(properties.get("url")),
            meta,
            tags,
            config,
            unrendered_config,
            depends_on: DependsOn::default(),
            refs: Vec::new(),
            sources: Vec::new(),
            metrics: Vec::new(),
            created_at: self.now,
            location: entry.location.clone(),
        };
        for (index, dependency) in texts(properties.get("depends_on")).iter().enumerate() {
            match literal_call(dependency) {
                Some(LiteralCall::Ref(args)) => exposure.refs.push(args),
                Some(LiteralCall::Source(source)) => exposure.sources.push(source),
                Some(LiteralCall::Metric(metric)) => exposure.metrics.push(metric),
                None => {
                    return Diagnostic::error("exposure-depends-on", format!("`{dependency}` is not a reference"))
                        .at(location_at(&entry.yaml, &["depends_on", &index.to_string()]))
                        .help("expected `ref('model')`, `source('source', 'table')` or `metric('metric')`")
                        .fail();
                }
            }
        }
        Ok(exposure)
    }

    pub(super) fn add_groups(&mut self, properties: &[ParsedProperty]) {
        for entry in properties.iter().filter(|entry| entry.section == Section::Groups) {
            let group = self.group_resource(entry);
            let other = self.manifest.groups.get(&group.unique_id);
            if let Some(mistake) = group_mistake(entry, other) {
                self.diagnostics.push(mistake);
            }
            self.manifest.groups.insert(group.unique_id.clone(), group);
        }
    }

    fn group_resource(&self, entry: &ParsedProperty) -> OtherResource {
        let package = &entry.file.package.name;
        let unique_id = UniqueId::from(format!("group.{package}.{}", entry.name));
        let fqn = fqn_of(entry);
        let given = object(entry.properties.get("config"));
        let no_calls = JsonMap::new();
        let sources = ConfigSources { kind: ResourceType::Group, package, fqn: &fqn, patch: Some(&given), calls: &no_calls };
        let config = config::build(self.project, &sources);
        let mut owner = JsonMap::from_iter([("email".to_string(), Json::Null), ("name".to_string(), Json::Null)]);
        owner.extend(object(entry.properties.get("owner")));
        let json = object(Some(&json!({
            "name": entry.name,
            "resource_type": "group",
            "package_name": package,
            "path": entry.file.relative,
            "original_file_path": entry.file.original,
            "unique_id": unique_id,
            "owner": owner,
            "description": text(entry.properties.get("description")),
            "config": config,
        })));
        OtherResource {
            unique_id,
            resource_type: ResourceType::Group,
            name: entry.name.clone(),
            package_name: package.clone(),
            original_file_path: entry.file.original.to_string(),
            fqn,
            tags: Vec::new(),
            config,
            depends_on: DependsOn::default(),
            json,
            location: entry.location.clone(),
        }
    }
}

/// A group has an owner with a name or an e-mail address, and its name once.
fn group_mistake(entry: &ParsedProperty, other: Option<&OtherResource>) -> Option<Diagnostic> {
    if let Some(other) = other {
        let twice = Diagnostic::error("duplicate-group", format!("there are two groups `{}`", entry.name));
        return Some(twice.at(entry.location.clone()).help(format!("the other is at {}", other.location)));
    }
    let owner = entry.properties.get("owner").and_then(Json::as_object);
    let is_named = |owner: &JsonMap| ["name", "email"].iter().any(|key| owner.get(*key).is_some_and(|value| !value.is_null()));
    if owner.is_some_and(is_named) {
        return None;
    }
    let message = match owner {
        Some(_) => format!("the owner of the group `{}` has neither a name nor an email", entry.name),
        None => format!("the group `{}` has no owner", entry.name),
    };
    let place = location_at(&entry.yaml, &["owner"]);
    Some(
        Diagnostic::error("group-owner", message).at(place).help("a form like `owner: {name: Finance, email: fin@shop.example}`"),
    )
}

/// Package, folders of the property file, name.
pub(super) fn fqn_of(entry: &ParsedProperty) -> Vec<String> {
    let folders = entry.file.relative.rsplit_once('/').map_or("", |(folders, _)| folders);
    std::iter::once(entry.file.package.name.as_str())
        .chain(folders.split('/').filter(|folder| !folder.is_empty()))
        .chain([entry.name.as_str()])
        .map(String::from)
        .collect()
}
