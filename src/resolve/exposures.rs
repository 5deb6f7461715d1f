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

/// Package, folders of the property file, name.
pub(super) fn fqn_of(entry: &ParsedProperty) -> Vec<String> {
    let folders = entry.file.relative.rsplit_once('/').map_or("", |(folders, _)| folders);
    std::iter::once(entry.file.package.name.as_str())
        .chain(folders.split('/').filter(|folder| !folder.is_empty()))
        .chain([entry.name.as_str()])
        .map(String::from)
        .collect()
}
