//! Semantic models, metrics and saved queries in the form that `manifest.json` gives them: every field there, the shorter ways of
//! writing spelt out.

use serde_json::{Value as Json, json};

use super::columns::{object, objects, text, texts};
use crate::manifest::JsonMap;

/// Fields of known names with their defaults, filled from what is given.
fn filled(given: &JsonMap, defaults: Json) -> JsonMap {
    let mut form = object(Some(&defaults));
    for (key, value) in &mut form {
        if let Some(given) = given.get(key).filter(|given| !given.is_null()) {
            *value = given.clone();
        }
    }
    form
}

/// A filter: one template or several; none where there is none.
pub(super) fn filter(given: Option<&Json>) -> Json {
    let templates = texts(given);
    if templates.is_empty() {
        return Json::Null;
    }
    let filters: Vec<Json> = templates.into_iter().map(|template| json!({"where_sql_template": template})).collect();
    json!({"where_filters": filters})
}

/// `7 days` as `{count: 7, granularity: day}`; anything else stays as it is.
fn window(given: Option<&Json>) -> Json {
    let Some(given) = given.filter(|given| !given.is_null()) else { return Json::Null };
    let lower = given.as_str().unwrap_or_default().to_lowercase();
    match lower.split_whitespace().collect::<Vec<_>>().as_slice() {
        [count, grain] if count.parse::<u64>().is_ok() => {
            let standard = ["nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month"];
            let singular =
                grain.strip_suffix('s').filter(|grain| standard.contains(grain) || ["quarter", "year"].contains(grain));
            json!({"count": count.parse::<u64>().unwrap_or_default(), "granularity": singular.unwrap_or(grain)})
        }
        _ => given.clone(),
    }
}

fn named(given: &Json) -> JsonMap {
    match given {
        Json::Object(map) => map.clone(),
        name => JsonMap::from_iter([("name".to_string(), name.clone())]),
    }
}

/// A measure as a metric reads it.
fn input_measure(given: Option<&Json>) -> Json {
    let Some(given) = given.filter(|given| !given.is_null()) else { return Json::Null };
    let given = named(given);
    let defaults = json!({"name": null, "filter": null, "alias": null, "join_to_timespine": false, "fill_nulls_with": null});
    let mut form = filled(&given, defaults);
    form.insert("filter".to_string(), filter(given.get("filter")));
    Json::Object(form)
}

/// A metric as another metric reads it.
fn input_metric(given: Option<&Json>) -> Json {
    let Some(given) = given.filter(|given| !given.is_null()) else { return Json::Null };
    let given = named(given);
    let defaults = json!({"name": null, "filter": null, "alias": null, "offset_window": null, "offset_to_grain": null});
    let mut form = filled(&given, defaults);
    form.insert("filter".to_string(), filter(given.get("filter")));
    form.insert("offset_window".to_string(), window(given.get("offset_window")));
    Json::Object(form)
}

/// `type_params` of a metric. `input_measures` is empty: it follows when all metrics are known.
pub(super) fn type_params(kind: &str, given: &JsonMap) -> JsonMap {
    let metrics: Vec<Json> =
        given.get("metrics").and_then(Json::as_array).into_iter().flatten().map(|one| input_metric(Some(one))).collect();
    let conversion = given.get("conversion_type_params").and_then(Json::as_object).map(|given| {
        let mut form = filled(
            given,
            json!({
                "entity": null, "base_measure": null, "conversion_measure": null, "base_metric": null, "conversion_metric": null,
                "calculation": "conversion_rate", "window": null, "constant_properties": null,
            }),
        );
        for key in ["base_measure", "conversion_measure"] {
            form.insert(key.to_string(), input_measure(given.get(key)));
        }
        form.insert("window".to_string(), window(given.get("window")));
        Json::Object(form)
    });
    let cumulative = (kind == "cumulative").then(|| {
        let own = object(given.get("cumulative_type_params"));
        let either = |key: &str| own.get(key).or_else(|| given.get(key)).cloned().unwrap_or_default();
        json!({
            "window": window(Some(&either("window"))), "grain_to_date": either("grain_to_date"),
            "period_agg": text(own.get("period_agg")).unwrap_or_else(|| "first".to_string()), "metric": null,
        })
    });
    let form = json!({
        "measure": input_measure(given.get("measure")), "input_measures": [],
        "numerator": input_metric(given.get("numerator")), "denominator": input_metric(given.get("denominator")),
        "expr": text(given.get("expr")), "window": window(given.get("window")), "grain_to_date": given.get("grain_to_date"),
        "metrics": metrics, "conversion_type_params": conversion, "cumulative_type_params": cumulative,
        "metric_aggregation_params": null, "fill_nulls_with": null, "join_to_timespine": false, "is_private": null,
    });
    object(Some(&form))
}

/// Entities, measures or dimensions: `defaults` lists their fields; the semantic model's meta is theirs too.
fn elements(given: Option<&Json>, defaults: &Json, model_meta: &JsonMap) -> Vec<JsonMap> {
    let element = |given: &JsonMap| {
        let mut form = filled(given, defaults.clone());
        let mut meta = model_meta.clone();
        meta.extend(object(given.get("config").and_then(|config| config.get("meta"))));
        if form.contains_key("expr") {
            form.insert("expr".to_string(), Json::from(text(given.get("expr"))));
        }
        form.insert("config".to_string(), json!({"meta": meta}));
        form
    };
    objects(given).into_iter().map(element).collect()
}

pub(super) fn entities(given: Option<&Json>, meta: &JsonMap) -> Json {
    let defaults =
        json!({"name": null, "type": null, "description": null, "label": null, "role": null, "expr": null, "config": null});
    Json::from(elements(given, &defaults, meta).into_iter().map(Json::Object).collect::<Vec<_>>())
}

pub(super) fn measures(given: Option<&Json>, meta: &JsonMap) -> Json {
    let defaults = json!({
        "name": null, "agg": null, "description": null, "label": null, "create_metric": false, "expr": null, "agg_params": null,
        "non_additive_dimension": null, "agg_time_dimension": null, "config": null,
    });
    let complete = |mut measure: JsonMap| {
        // dbt turns the wish into a metric and takes it back.
        measure.insert("create_metric".to_string(), Json::Bool(false));
        let agg = text(measure.get("agg")).unwrap_or_default().to_lowercase();
        measure.insert("agg".to_string(), Json::from(agg));
        if let Some(Json::Object(given)) = measure.get("agg_params") {
            let defaults = json!({"percentile": null, "use_discrete_percentile": false, "use_approximate_percentile": false});
            measure.insert("agg_params".to_string(), Json::Object(filled(given, defaults)));
        }
        if let Some(Json::Object(given)) = measure.get("non_additive_dimension") {
            let form = filled(given, json!({"name": null, "window_choice": "min", "window_groupings": []}));
            measure.insert("non_additive_dimension".to_string(), Json::Object(form));
        }
        Json::Object(measure)
    };
    Json::from(elements(given, &defaults, meta).into_iter().map(complete).collect::<Vec<_>>())
}

pub(super) fn dimensions(given: Option<&Json>, meta: &JsonMap) -> Json {
    let defaults = json!({
        "name": null, "type": null, "description": null, "label": null, "is_partition": false, "type_params": null, "expr": null,
        "metadata": null, "config": null, "datatype": null,
    });
    let complete = |mut dimension: JsonMap| {
        if let Some(Json::Object(given)) = dimension.get("type_params") {
            let mut form = filled(given, json!({"time_granularity": null, "validity_params": null}));
            if let Some(Json::Object(validity)) = form.get("validity_params") {
                let validity = filled(validity, json!({"is_start": false, "is_end": false}));
                form.insert("validity_params".to_string(), Json::Object(validity));
            }
            dimension.insert("type_params".to_string(), Json::Object(form));
        }
        Json::Object(dimension)
    };
    Json::from(elements(given, &defaults, meta).into_iter().map(complete).collect::<Vec<_>>())
}

/// `query_params` of a saved query.
pub(super) fn query_params(given: &JsonMap) -> Json {
    let mut form = filled(given, json!({"metrics": [], "group_by": [], "where": null, "order_by": [], "limit": null}));
    form.insert("where".to_string(), filter(given.get("where")));
    Json::Object(form)
}

/// Exports of a saved query; `config` is the query's own, `database` and `schema` are the target's.
pub(super) fn exports(given: Option<&Json>, config: &JsonMap, database: &str, schema: &str) -> Json {
    let export = |export: &JsonMap| {
        let own = object(export.get("config"));
        let either = |key: &str| [own.get(key), config.get(key)].into_iter().flatten().find(|value| !value.is_null()).cloned();
        let name = text(export.get("name")).unwrap_or_default();
        json!({
            "name": name,
            "config": {
                "export_as": either("export_as"),
                "schema_name": either("schema").unwrap_or_else(|| Json::from(schema)),
                "alias": text(own.get("alias")).unwrap_or(name.clone()),
                "database": database,
            },
            "unrendered_config": own,
        })
    };
    Json::from(objects(given).into_iter().map(export).collect::<Vec<_>>())
}
