//! Metrics, semantic models and saved queries: carried as written, with dbt's ids and with what they stand on.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{DependsOn, JsonMap, OtherResource, RefArgs};
use crate::name::{ResourceType, UniqueId};
use crate::parse::{LiteralCall, ParsedProperty, literal_call, location_at};
use crate::project::Section;

use super::Resolver;
use super::columns::{object, objects, text, texts};
use super::config::{self, ConfigSources};
use super::exposures::fqn_of;
use super::lookup::{Found, packages_to_search};

impl Resolver<'_> {
    pub(super) fn add_semantics(&mut self, properties: &[ParsedProperty]) {
        let of = |section: Section| properties.iter().filter(move |entry| entry.section == section);
        for entry in of(Section::SemanticModels) {
            let outcome = self.semantic_model(entry);
            if let Some(model) = crate::parse::keep(outcome, &mut self.diagnostics) {
                self.manifest.semantic_models.insert(model.unique_id.clone(), model);
            }
        }
        let measures = self.measures();
        let names: HashMap<String, UniqueId> =
            of(Section::Metrics).map(|entry| (entry.name.clone(), id_of(entry, ResourceType::Metric))).collect();
        for entry in of(Section::Metrics) {
            let nodes = metric_inputs(&entry.properties, &measures, &names);
            let mut metric = self.resource(entry, ResourceType::Metric, nodes);
            metric.json.insert("label".to_string(), Json::from(text(entry.properties.get("label"))));
            self.manifest.metrics.insert(metric.unique_id.clone(), metric);
        }
        for entry in of(Section::SavedQueries) {
            let wanted = texts(entry.properties.get("query_params").and_then(|query| query.get("metrics")));
            let nodes = wanted.iter().filter_map(|name| names.get(name).cloned()).collect();
            let query = self.resource(entry, ResourceType::SavedQuery, nodes);
            self.manifest.saved_queries.insert(query.unique_id.clone(), query);
        }
    }

    fn semantic_model(&mut self, entry: &ParsedProperty) -> Outcome<OtherResource> {
        let model = text(entry.properties.get("model")).unwrap_or_default();
        let place = || location_at(&entry.yaml, &["model"]);
        let Some(LiteralCall::Ref(args)) = literal_call(&model) else {
            return Diagnostic::error("semantic-model", format!("`{model}` is no reference to a model"))
                .at(place())
                .help("expected `ref('model')`")
                .fail();
        };
        let package = &entry.file.package.name;
        let searched = packages_to_search(&self.project.name, package, args.package.as_deref());
        let Found::One(id) = self.refs.resolve(&args.name, args.version.as_ref(), &searched) else {
            let message = format!("the semantic model `{}` refers to `{}`, which does not exist", entry.name, args.name);
            return Diagnostic::error("ref-not-found", message).at(place()).suggest(&args.name, self.refs.names()).fail();
        };
        let relation = self.manifest.nodes.get(&id).map(|node| {
            json!({
                "alias": node.alias, "schema_name": node.schema, "database": node.database, "relation_name": node.relation_name,
            })
        });
        let mut resource = self.resource(entry, ResourceType::SemanticModel, vec![id]);
        resource.json.insert("refs".to_string(), json!([RefArgs { ..args }]));
        resource.json.insert("node_relation".to_string(), relation.unwrap_or_default());
        Ok(resource)
    }

    /// Every measure's semantic model.
    fn measures(&self) -> HashMap<String, UniqueId> {
        let models = self.manifest.semantic_models.values();
        models
            .flat_map(|model| {
                let measures = objects(model.json.get("measures"));
                measures.into_iter().filter_map(|measure| Some((text(measure.get("name"))?, model.unique_id.clone())))
            })
            .collect()
    }

    /// The entry as `manifest.json` holds it: what is written, with identity, config and dependencies.
    fn resource(&self, entry: &ParsedProperty, kind: ResourceType, nodes: Vec<UniqueId>) -> OtherResource {
        let package = &entry.file.package.name;
        let fqn = fqn_of(entry);
        let given = object(entry.properties.get("config"));
        let no_calls = JsonMap::new();
        let sources = ConfigSources { kind, package, fqn: &fqn, patch: Some(&given), calls: &no_calls };
        let mut config = config::build(self.project, &sources);
        let mut meta = object(entry.properties.get("meta"));
        meta.extend(object(config.get("meta")));
        config.insert("meta".to_string(), Json::Object(meta.clone()));
        let mut tags = texts(entry.properties.get("tags"));
        tags.extend(texts(config.get("tags")));
        let depends_on = DependsOn { macros: Vec::new(), nodes };
        let unique_id = id_of(entry, kind);
        let mut json = object(Some(&json!({
            "name": entry.name,
            "resource_type": kind,
            "package_name": package,
            "path": entry.file.relative,
            "original_file_path": entry.file.original,
            "unique_id": unique_id,
            "fqn": fqn,
        })));
        for (key, value) in &entry.properties {
            json.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let rest = json!({
            "description": text(entry.properties.get("description")),
            "config": config,
            "unrendered_config": config::build_unrendered(self.project, &sources),
            "meta": meta,
            "tags": tags,
            "group": config.get("group"),
            "depends_on": depends_on,
            "created_at": self.now,
        });
        json.extend(object(Some(&rest)));
        OtherResource {
            unique_id,
            resource_type: kind,
            name: entry.name.clone(),
            package_name: package.clone(),
            original_file_path: entry.file.original.to_string(),
            fqn,
            tags,
            config,
            depends_on,
            json,
            location: entry.location.clone(),
        }
    }
}

fn id_of(entry: &ParsedProperty, kind: ResourceType) -> UniqueId {
    UniqueId::from(format!("{kind}.{}.{}", entry.file.package.name, entry.name))
}

/// What a metric stands on: the semantic models of its measures, and the metrics it is made of.
fn metric_inputs(
    properties: &JsonMap,
    measures: &HashMap<String, UniqueId>,
    metrics: &HashMap<String, UniqueId>,
) -> Vec<UniqueId> {
    let params = object(properties.get("type_params"));
    let conversion = object(params.get("conversion_type_params"));
    let mut inputs = Vec::new();
    let mut add = |id: Option<&UniqueId>| {
        if let Some(id) = id.filter(|id| !inputs.contains(*id)) {
            inputs.push(id.clone());
        }
    };
    for measure in [params.get("measure"), conversion.get("base_measure"), conversion.get("conversion_measure")] {
        add(input_name(measure).and_then(|name| measures.get(&name)));
    }
    for metric in [params.get("numerator"), params.get("denominator")] {
        add(input_name(metric).and_then(|name| metrics.get(&name)));
    }
    for metric in params.get("metrics").and_then(Json::as_array).into_iter().flatten() {
        add(input_name(Some(metric)).and_then(|name| metrics.get(&name)));
    }
    inputs
}

/// `name`, or `{name: …}`.
fn input_name(input: Option<&Json>) -> Option<String> {
    match input? {
        Json::String(name) => Some(name.clone()),
        Json::Object(map) => text(map.get("name")),
        _ => None,
    }
}
