//! Results, messages and files of a run.

use chrono::{Duration, Utc};
use headwater::execute::{Counted, ShowSubject, compile_only, judge, run_operation, show, source_freshness};
use headwater::manifest::{JsonMap, SharedMap, Source};
use headwater::name::{ResourceType, UniqueId};
use headwater::plan::{Step, Verb};
use headwater::result::Status;
use headwater::rows::Cell;
use headwater::source::Location;
use serde_json::{Value as Json, json};

use crate::execute::fixture::{FakeAdapter, Reply, Shop, block_on, counted, message, model, seed, singular, statuses};

#[test]
fn thresholds_decide_as_in_dbt() {
    // severity, failures, should_warn, should_error, warn_error → status, message, failures
    let cases = [
        ("error", 0, false, false, false, Status::Pass, None, 0),
        ("ERROR", 1, true, true, false, Status::Fail, Some("Got 1 result, configured to fail if > 10"), 1),
        ("error", 3, true, false, false, Status::Warn, Some("Got 3 results, configured to warn if > 1"), 3),
        ("warn", 20, true, true, false, Status::Warn, Some("Got 20 results, configured to warn if > 1"), 20),
        ("warn", 20, true, true, true, Status::Fail, Some("Got 20 results, configured to fail if > 1"), 20),
        ("error", 1, false, false, false, Status::Pass, None, 0),
    ];
    for (severity, failures, should_warn, should_error, warn_error, status, text, shown) in cases {
        let test = singular("t", "", "a", json!({"severity": severity, "warn_if": "> 1", "error_if": "> 10"}));
        let verdict = judge(&test, &Counted { failures, should_warn, should_error }, warn_error);
        assert_eq!((verdict.status, verdict.message.as_deref(), verdict.failures), (status, text, shown));
    }
}

#[test]
fn a_test_result_has_dbts_fields() {
    let nodes = vec![model("a", "select 1", &[], json!({})), singular("t", "select 1 from {{ ref('a') }}", "a", json!({}))];
    let shop = Shop::new(nodes, FakeAdapter::answering(&[("dbt_internal_test", counted(0, false, false))]));
    let outcome = shop.run();
    let result = serde_json::to_value(&outcome.results[1]).unwrap();
    assert_eq!(result["status"], "pass");
    assert_eq!((&result["message"], &result["failures"], &result["relation_name"]), (&Json::Null, &json!(0), &Json::Null));
    assert_eq!(result["adapter_response"], json!({"_message": "SELECT 1", "code": "SELECT", "rows_affected": 1}));
    assert_eq!(result["timing"][0]["name"], "compile");
    assert_eq!(result["timing"][1]["name"], "execute");
    assert_eq!(result["compiled_code"], "select 1 from \"db\".\"main\".\"a\"");
}

#[test]
fn a_fail_calc_that_gives_null_is_told() {
    let nodes = vec![model("a", "select 1", &[], json!({})), singular("t", "select 1", "a", json!({"fail_calc": "sum(n)"}))];
    let null = Reply::Rows(vec![vec![Cell::Null, Cell::Null, Cell::Null]]);
    let outcome = Shop::new(nodes, FakeAdapter::answering(&[("dbt_internal_test", null)])).run();
    assert_eq!(statuses(&outcome.results), ["a: success", "t: error"]);
    assert!(message(&outcome, "t").contains("coalesce(sum(n), 0)"));
}

#[test]
fn models_and_seeds_have_the_adapters_message() {
    let nodes =
        vec![model("a", "select 1", &[], json!({"materialized": "table"})), seed("s"), model("v", "select 1", &[], json!({}))];
    let mut shop = Shop::new(nodes, FakeAdapter::default());
    let outcome = shop.run();
    let messages: Vec<_> = outcome.results.iter().map(|result| result.message.as_deref().unwrap_or_default()).collect();
    assert_eq!(messages, ["SELECT 10", "INSERT 2", "CREATE VIEW"]);
    let response = serde_json::to_value(&outcome.results[0].adapter_response).unwrap();
    assert_eq!(response, json!({"_message": "SELECT 10", "code": "SELECT", "rows_affected": 10}));
    assert_eq!((outcome.results[1].compiled, outcome.results[1].relation_name.as_deref()), (None, None));
    shop.settings.full_refresh = true;
    assert_eq!(message(&shop.run(), "s"), "CREATE 2");
}

#[test]
fn a_database_error_points_at_the_models_own_file() {
    let fail = Reply::Fail { message: "column \"nope\" not found", position: Some((2, 8)) };
    let sql = "-- first\nselect nope\nfrom x";
    let outcome = Shop::new(vec![model("bad", sql, &[], json!({}))], FakeAdapter::answering(&[("nope", fail)])).run();
    let expected = "Database Error in model bad (models/bad.sql)\n  column \"nope\" not found\n  --> models/bad.sql:2:8\n  \
                    compiled code at target/compiled/shop/models/bad.sql";
    assert_eq!(message(&outcome, "bad"), expected);
}

#[test]
fn a_place_in_a_tests_query_is_found_in_the_tests_file() {
    // The test's own SQL begins on the sixth line of the counting query.
    let fail = Reply::Fail { message: "no such column", position: Some((6, 8)) };
    let nodes = vec![singular("t", "select nope\nfrom x", "a", json!({}))];
    let outcome = Shop::new(nodes, FakeAdapter::answering(&[("dbt_internal_test", fail)])).run();
    assert!(message(&outcome, "t").contains("--> tests/t.sql:1:8"), "{}", message(&outcome, "t"));
}

#[test]
fn compiled_and_run_files_are_written() {
    let nodes = vec![model("a", "select {{ 1 + 1 }}", &[], json!({"materialized": "table"}))];
    let shop = Shop::new(nodes, FakeAdapter::default());
    let outcome = shop.run();
    assert_eq!(shop.target("compiled/shop/models/a.sql"), "select 2");
    assert_eq!(shop.target("run/shop/models/a.sql"), "create or replace table \"db\".\"main\".\"a\" as (\nselect 2\n)");
    let compiled = &outcome.compiled[&UniqueId::from("model.shop.a")];
    assert_eq!(compiled.path.as_deref(), Some("target/compiled/shop/models/a.sql"));
}

#[test]
fn compiling_builds_nothing() {
    let nodes = vec![
        model("e", "select 1", &[], json!({"materialized": "ephemeral"})),
        model("a", "select * from {{ ref('e') }}", &["e"], json!({})),
        singular("t", "select 1 from {{ ref('a') }}", "a", json!({})),
    ];
    let mut shop = Shop::new(nodes, FakeAdapter::default());
    shop.verb = Verb::Compile;
    let outcome = block_on(compile_only(shop.request()));
    assert!(shop.adapter.log().is_empty());
    assert_eq!(statuses(&outcome.results), ["a: success", "t: success"]);
    assert_eq!(
        outcome.compiled.keys().map(UniqueId::as_str).collect::<Vec<_>>(),
        ["model.shop.e", "model.shop.a", "test.shop.t"]
    );
}

#[test]
fn an_ephemeral_parents_mistake_names_it() {
    let nodes = vec![
        model("e", "select {{ ref('nowhere') }}", &[], json!({"materialized": "ephemeral"})),
        model("a", "select * from {{ ref('e') }}", &["e"], json!({})),
    ];
    let outcome = Shop::new(nodes, FakeAdapter::default()).run();
    assert!(message(&outcome, "a").contains("in ephemeral model e (models/e.sql)"), "{}", message(&outcome, "a"));
}

#[test]
fn show_queries_a_node_or_an_inline_text() {
    let rows = Reply::Rows(vec![vec![Cell::Integer(7)]]);
    let shop = Shop::new(vec![model("a", "select 7", &[], json!({}))], FakeAdapter::answering(&[("", rows)]));
    let subjects = [
        (ShowSubject::Node(UniqueId::from("model.shop.a")), "a", "select 7"),
        (ShowSubject::Inline("select * from {{ ref('a') }}".to_string()), "inline_query", "select * from \"db\".\"main\".\"a\""),
    ];
    for (subject, name, sql) in subjects {
        let shown = block_on(show(shop.request(), subject, Some(5))).unwrap();
        assert_eq!((shown.name.as_str(), shown.sql.as_str(), shown.rows.rows.len()), (name, sql, 1));
    }
    let error = block_on(show(shop.request(), ShowSubject::Inline("{{ ref('b') }}".to_string()), None)).unwrap_err();
    assert!(error.starts_with("Compilation Error\n  "), "{error}");
}

#[test]
fn operations_call_a_macro() {
    let shop = Shop::new(Vec::new(), FakeAdapter::default());
    let args = json!({"column_name": "id", "model": "m", "to": "n", "field": "f"});
    let outcome = block_on(run_operation(shop.request(), "test_relationships", args.as_object().unwrap()));
    assert_eq!(outcome.results[0].unique_id.as_str(), "operation.shop.test_relationships");
    assert_eq!(outcome.results[0].status, Status::Success);
    let outcome = block_on(run_operation(shop.request(), "lib.nowhere", &JsonMap::new()));
    assert_eq!((outcome.results[0].status, outcome.results[0].failures), (Status::Error, Some(1)));
}

fn source(name: &str, freshness: Json) -> Source {
    Source {
        unique_id: UniqueId::new(format!("source.shop.raw.{name}")),
        package_name: "shop".to_string(),
        path: "models/_s.yml".to_string(),
        original_file_path: "models/_s.yml".to_string(),
        fqn: Vec::new(),
        source_name: "raw".to_string(),
        name: name.to_string(),
        identifier: name.to_string(),
        database: Some("db".to_string()),
        schema: "raw".to_string(),
        relation_name: format!("\"db\".\"raw\".\"{name}\""),
        description: String::new(),
        source_description: String::new(),
        doc_blocks: Vec::new(),
        loader: String::new(),
        loaded_at_field: Some("at".to_string()),
        loaded_at_query: None,
        freshness: Some(freshness),
        external: json!({"location": "x"}).as_object().cloned(),
        ingest: None,
        quoting: SharedMap::default(),
        columns: indexmap::IndexMap::new(),
        meta: SharedMap::default(),
        source_meta: SharedMap::default(),
        tags: Vec::new(),
        config: SharedMap::default(),
        unrendered_config: SharedMap::default(),
        patch_path: None,
        unrendered_database: None,
        unrendered_schema: None,
        created_at: 0.0,
        location: Location::file("models/_s.yml"),
    }
}

#[test]
fn external_tables_are_staged_before_anything_runs() {
    let nodes = vec![
        model("a", "select * from {{ source('raw', 'good') }}", &["source.shop.raw.good"], json!({})),
        model("b", "select * from {{ source('raw', 'broken') }}", &["source.shop.raw.broken"], json!({})),
        model("c", "select * from {{ ref('b') }}", &["b"], json!({})),
    ];
    let fail = Reply::Fail { message: "no such folder", position: None };
    let mut shop = Shop::new(nodes, FakeAdapter::answering(&[("external broken", fail)]));
    for name in ["good", "broken", "unread"] {
        let source = source(name, Json::Null);
        shop.manifest.sources.insert(source.unique_id.clone(), source);
    }
    let outcome = shop.run();
    assert_eq!(shop.adapter.log(), ["stage good", "stage broken", "schema main", "view a"]);
    assert_eq!(statuses(&outcome.results), ["a: success", "b: error", "c: skipped"]);
    assert!(message(&outcome, "b").ends_with("external table raw.broken: no such folder"), "{}", message(&outcome, "b"));
}

#[test]
fn freshness_is_judged_by_age() {
    let criteria =
        json!({"warn_after": {"count": 1, "period": "hour"}, "error_after": {"count": 1, "period": "day"}, "filter": "x > 1"});
    let ages = [(30, Status::Pass), (90, Status::Warn), (3000, Status::Error)];
    for (minutes, expected) in ages {
        let newest = Some(Utc::now() - Duration::minutes(minutes));
        let mut shop = Shop::new(Vec::new(), FakeAdapter { newest, ..FakeAdapter::default() });
        let source = source("s", criteria.clone());
        let step = Step { unique_id: source.unique_id.clone(), resource_type: ResourceType::Source, depends_on: Vec::new() };
        shop.manifest.sources.insert(source.unique_id.clone(), source);
        let mut request = shop.request();
        request.plan.steps = vec![step];
        let results = block_on(source_freshness(request)).sources;
        assert_eq!((results.len(), results[0].status), (1, expected));
        assert_eq!(results[0].criteria, criteria);
        assert_eq!(shop.adapter.log()[1], "loaded select max(at) as max_loaded_at\nfrom \"db\".\"raw\".\"s\"\nwhere x > 1");
    }
}

#[test]
fn a_schema_that_cannot_be_made_fails_its_nodes() {
    let fail = Reply::Fail { message: "read-only", position: None };
    let outcome = Shop::new(vec![model("a", "select 1", &[], json!({}))], FakeAdapter::answering(&[("main", fail)])).run();
    assert_eq!(
        message(&outcome, "a"),
        "Runtime Error in model a (models/a.sql)\n  read-only\n  before the first node ran, the schema `main` could not be created"
    );
}
