//! Metrics, semantic models and saved queries, with what they stand on.

use std::collections::{HashMap, HashSet};

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
use super::semantic_form as form;

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
            let outcome = self.metric(entry, &measures, &names);
            if let Some(metric) = crate::parse::keep(outcome, &mut self.diagnostics) {
                self.insert_metric(metric);
            }
        }
        for entry in of(Section::SemanticModels) {
            self.add_metrics_of_measures(entry);
        }
        self.add_input_measures();
        for entry in of(Section::SavedQueries) {
            let wanted = texts(entry.properties.get("query_params").and_then(|query| query.get("metrics")));
            let nodes = wanted.iter().filter_map(|name| names.get(name).cloned()).collect();
            let query = self.saved_query(entry, nodes);
            self.manifest.saved_queries.insert(query.unique_id.clone(), query);
        }
    }

    fn insert_metric(&mut self, metric: OtherResource) {
        if metric.config.get("enabled").and_then(Json::as_bool).unwrap_or(true) {
            self.manifest.metrics.insert(metric.unique_id.clone(), metric);
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
        let parts = self.configured(entry, ResourceType::SemanticModel);
        let given = &entry.properties;
        let meta = object(parts.config.get("meta"));
        let own = json!({
            "model": model,
            "node_relation": relation,
            "description": text(given.get("description")),
            "label": text(given.get("label")),
            "defaults": given.get("defaults"),
            "entities": form::entities(given.get("entities"), &meta),
            "measures": form::measures(given.get("measures"), &meta),
            "dimensions": form::dimensions(given.get("dimensions"), &meta),
            "metadata": null,
            "depends_on": DependsOn { macros: Vec::new(), nodes: vec![id.clone()] },
            "refs": [RefArgs { ..args }],
            "created_at": self.now,
            "config": parts.config,
            "unrendered_config": parts.unrendered_config,
            "primary_entity": given.get("primary_entity"),
            "group": parts.config.get("group"),
        });
        Ok(resource(entry, ResourceType::SemanticModel, vec![id], parts, &own))
    }

    fn metric(
        &self,
        entry: &ParsedProperty,
        measures: &HashMap<String, UniqueId>,
        names: &HashMap<String, UniqueId>,
    ) -> Outcome<OtherResource> {
        let given = &entry.properties;
        let kind = text(given.get("type")).unwrap_or_default().to_lowercase();
        if !METRIC_TYPES.contains(&kind.as_str()) {
            return Diagnostic::error("metric-type", format!("the metric `{}` has an unknown type `{kind}`", entry.name))
                .at(location_at(&entry.yaml, &["type"]))
                .help(format!("expected one of {}", METRIC_TYPES.join(", ")))
                .suggest(&kind, METRIC_TYPES)
                .fail();
        }
        let params = form::type_params(&kind, &object(given.get("type_params")));
        let nodes = metric_inputs(entry, &params, measures, names)?;
        let parts = self.configured(entry, ResourceType::Metric);
        let label = text(given.get("label")).unwrap_or_else(|| entry.name.clone());
        let mut own = metric_json(&kind, &label, &params, &parts, self.now);
        own["description"] = Json::from(text(given.get("description")).unwrap_or_default());
        own["filter"] = form::filter(given.get("filter"));
        own["time_granularity"] = given.get("time_granularity").cloned().unwrap_or_default();
        own["depends_on"] = json!(DependsOn { macros: Vec::new(), nodes: nodes.clone() });
        Ok(resource(entry, ResourceType::Metric, nodes, parts, &own))
    }

    /// A measure with `create_metric: true` is a simple metric too, unless one of its name is there.
    fn add_metrics_of_measures(&mut self, entry: &ParsedProperty) {
        let model = id_of(entry, ResourceType::SemanticModel);
        if !self.manifest.semantic_models.contains_key(&model) {
            return;
        }
        for measure in objects(entry.properties.get("measures")) {
            let name = text(measure.get("name")).unwrap_or_default();
            let id = UniqueId::from(format!("metric.{}.{name}", entry.file.package.name));
            if measure.get("create_metric").and_then(Json::as_bool) != Some(true) || self.manifest.metrics.contains_key(&id) {
                continue;
            }
            let mut parts = self.configured(entry, ResourceType::Metric);
            if let Some(last) = parts.fqn.last_mut() {
                last.clone_from(&name);
            }
            let given = json!({"measure": name, "expr": text(measure.get("expr")).unwrap_or_else(|| name.clone())});
            let params = form::type_params("simple", &object(Some(&given)));
            let label = text(measure.get("label")).unwrap_or_else(|| name.clone());
            let mut own = metric_json("simple", &label, &params, &parts, self.now);
            let described = text(measure.get("description")).unwrap_or_else(|| format!("Metric created from measure {name}"));
            own["description"] = Json::from(described);
            own["depends_on"] = json!(DependsOn { macros: Vec::new(), nodes: vec![model.clone()] });
            own["unrendered_config"] = json!({"enabled": true, "meta": {}});
            let mut metric = resource(entry, ResourceType::Metric, vec![model.clone()], parts, &own);
            metric.json.insert("name".to_string(), Json::from(name.clone()));
            metric.json.insert("unique_id".to_string(), json!(id));
            metric.name = name;
            metric.unique_id = id;
            self.insert_metric(metric);
        }
    }

    /// `input_measures` of every metric: its own, or those of the metrics it is made of, each once.
    fn add_input_measures(&mut self) {
        let ids: Vec<UniqueId> = self.manifest.metrics.keys().cloned().collect();
        for id in ids {
            let mut inputs = Vec::new();
            self.collect_measures(&id, &mut inputs, &mut HashSet::new());
            if let Some(metric) = self.manifest.metrics.get_mut(&id) {
                metric.json["type_params"]["input_measures"] = Json::from(inputs);
            }
        }
    }

    fn collect_measures(&self, id: &UniqueId, inputs: &mut Vec<Json>, seen: &mut HashSet<UniqueId>) {
        let Some(metric) = self.manifest.metrics.get(id).filter(|_| seen.insert(id.clone())) else { return };
        let params = &metric.json["type_params"];
        let conversion = &params["conversion_type_params"];
        for measure in [&params["measure"], &conversion["base_measure"], &conversion["conversion_measure"]] {
            if !measure.is_null() && !inputs.contains(measure) {
                inputs.push(measure.clone());
            }
        }
        for parent in metric.depends_on.nodes.iter().filter(|id| id.kind() == "metric") {
            self.collect_measures(parent, inputs, seen);
        }
    }

    fn saved_query(&self, entry: &ParsedProperty, nodes: Vec<UniqueId>) -> OtherResource {
        let given = &entry.properties;
        let mut parts = self.configured(entry, ResourceType::SavedQuery);
        parts.tags.extend(texts(given.get("tags")));
        let target = &self.project.target;
        let own = json!({
            "query_params": form::query_params(&object(given.get("query_params"))),
            "exports": form::exports(given.get("exports"), &parts.config, &target.database, &target.schema),
            "description": text(given.get("description")),
            "label": text(given.get("label")),
            "metadata": null,
            "config": parts.config,
            "unrendered_config": parts.unrendered_config,
            "group": parts.config.get("group"),
            "depends_on": DependsOn { macros: Vec::new(), nodes: nodes.clone() },
            "created_at": self.now,
            "refs": [],
            "tags": parts.tags,
        });
        resource(entry, ResourceType::SavedQuery, nodes, parts, &own)
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

    fn configured(&self, entry: &ParsedProperty, kind: ResourceType) -> Configured {
        let package = &entry.file.package.name;
        let fqn = fqn_of(entry);
        let given = object(entry.properties.get("config"));
        let no_calls = JsonMap::new();
        let sources = ConfigSources { kind, package, fqn: &fqn, patch: Some(&given), calls: &no_calls };
        let mut config = config::build(self.project, &sources);
        let mut meta = object(entry.properties.get("meta"));
        meta.extend(object(config.get("meta")));
        config.insert("meta".to_string(), Json::Object(meta));
        let tags = texts(config.get("tags"));
        // dbt reads no tree of semantic models here.
        let unrendered_config =
            if kind == ResourceType::SemanticModel { given } else { config::build_unrendered(self.project, &sources) };
        Configured { fqn, config, unrendered_config, tags }
    }
}

/// What inheritance gives a resource.
struct Configured {
    fqn: Vec<String>,
    config: JsonMap,
    unrendered_config: JsonMap,
    tags: Vec<String>,
}

const METRIC_TYPES: [&str; 5] = ["simple", "ratio", "cumulative", "derived", "conversion"];

fn metric_json(kind: &str, label: &str, params: &JsonMap, parts: &Configured, now: f64) -> Json {
    json!({
        "description": "", "label": label, "type": kind, "type_params": params, "filter": null, "metadata": null,
        "time_granularity": null, "config": parts.config, "unrendered_config": parts.unrendered_config, "sources": [],
        "depends_on": null, "refs": [], "metrics": [], "created_at": now, "group": parts.config.get("group"),
        "meta": parts.config.get("meta"), "tags": parts.tags,
    })
}

/// The entry as `manifest.json` holds it: who it is, then its own fields.
fn resource(entry: &ParsedProperty, kind: ResourceType, nodes: Vec<UniqueId>, parts: Configured, own: &Json) -> OtherResource {
    let package = &entry.file.package.name;
    let unique_id = id_of(entry, kind);
    let mut json = object(Some(&json!({
        "name": entry.name,
        "resource_type": kind,
        "package_name": package,
        "path": entry.file.relative,
        "original_file_path": entry.file.original,
        "unique_id": unique_id,
        "fqn": parts.fqn,
    })));
    json.extend(object(Some(own)));
    OtherResource {
        unique_id,
        resource_type: kind,
        name: entry.name.clone(),
        package_name: package.clone(),
        original_file_path: entry.file.original.to_string(),
        fqn: parts.fqn,
        tags: parts.tags,
        config: parts.config,
        depends_on: DependsOn { macros: Vec::new(), nodes },
        json,
        location: entry.location.clone(),
    }
}

fn id_of(entry: &ParsedProperty, kind: ResourceType) -> UniqueId {
    UniqueId::from(format!("{kind}.{}.{}", entry.file.package.name, entry.name))
}

/// What a metric stands on: the semantic models of its measures, and the metrics it is made of.
///
/// # Errors
/// A measure or metric that does not exist.
fn metric_inputs(
    entry: &ParsedProperty,
    params: &JsonMap,
    measures: &HashMap<String, UniqueId>,
    metrics: &HashMap<String, UniqueId>,
) -> Outcome<Vec<UniqueId>> {
    let conversion = params.get("conversion_type_params").filter(|given| !given.is_null());
    let part = |key: &str| conversion.and_then(|conversion| conversion.get(key));
    let read_measures = [params.get("measure"), part("base_measure"), part("conversion_measure")];
    let more = params.get("metrics").and_then(Json::as_array).into_iter().flatten();
    let read_metrics = [params.get("numerator"), params.get("denominator")].into_iter().flatten().chain(more);
    let mut inputs: Vec<UniqueId> = Vec::new();
    let wanted = read_measures.into_iter().flatten().map(|input| (input, measures, "measure"));
    for (input, known, word) in wanted.chain(read_metrics.map(|input| (input, metrics, "metric"))) {
        let Some(name) = input.get("name").and_then(Json::as_str) else { continue };
        let Some(id) = known.get(name) else {
            let message = format!("the metric `{}` reads the {word} `{name}`, which does not exist", entry.name);
            return Diagnostic::error("metric-input", message)
                .at(location_at(&entry.yaml, &["type_params"]))
                .suggest(name, known.keys().map(String::as_str))
                .fail();
        };
        if !inputs.contains(id) {
            inputs.push(id.clone());
        }
    }
    Ok(inputs)
}
