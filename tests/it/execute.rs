//! Runs of small projects against an adapter that remembers what it was told. Texts and messages are those of dbt-core 1.12.

mod compile;
pub(crate) mod fixture;
mod materialization;
mod outcome;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fixture::{FakeAdapter, Reply, Shop, block_on, counted, hook, message, model, seed, singular, statuses};
use headwater::execute::run;
use headwater::name::UniqueId;
use headwater::plan::Verb;
use serde_json::json;

fn chain() -> Vec<headwater::manifest::Node> {
    vec![
        model("a", "select 1", &[], json!({})),
        model("b", "select * from {{ ref('a') }}", &["a"], json!({"materialized": "table"})),
        model("c", "select 3", &[], json!({})),
        model("d", "select * from {{ ref('b') }}", &["b"], json!({})),
    ]
}

fn boom(needle: &'static str) -> FakeAdapter {
    FakeAdapter::answering(&[(needle, Reply::Fail { message: "boom", position: None })])
}

#[test]
fn one_worker_takes_the_first_ready_node_of_the_plan() {
    let shop = Shop::new(chain(), FakeAdapter::default());
    let outcome = shop.run();
    assert_eq!(statuses(&outcome.results), ["a: success", "b: success", "c: success", "d: success"]);
    assert_eq!(shop.adapter.log(), ["schema main", "view a", "table b", "view c", "view d"]);
    assert_eq!(shop.events.0.lock().unwrap()[..2], ["1 of 4 START view main.a", "1 of 4 Success main.a"]);
}

#[test]
fn workers_run_side_by_side_but_never_more_than_asked() {
    let nodes = (0..8).map(|at| model(&format!("m{at}"), "select 1", &[], json!({}))).collect();
    let mut shop = Shop::new(nodes, FakeAdapter { delay: Duration::from_millis(30), ..FakeAdapter::default() });
    shop.settings.threads = 3;
    let outcome = shop.run();
    assert_eq!(outcome.results.len(), 8);
    assert_eq!(shop.adapter.peak.load(Ordering::SeqCst), 3);
    let threads: std::collections::BTreeSet<_> = outcome.results.iter().map(|result| result.thread_id.as_str()).collect();
    assert_eq!(threads.into_iter().collect::<Vec<_>>(), ["Thread-1 (worker)", "Thread-2 (worker)", "Thread-3 (worker)"]);
}

#[test]
fn below_an_error_nodes_are_skipped_and_the_rest_goes_on() {
    let shop = Shop::new(chain(), boom("\"a\""));
    let outcome = shop.run();
    assert_eq!(statuses(&outcome.results), ["a: success", "b: error", "d: skipped", "c: success"]);
    assert_eq!(outcome.results[2].message, None);
    assert_eq!(message(&outcome, "b").lines().next(), Some("Database Error in model b (models/b.sql)"));
}

#[test]
fn a_failed_test_stops_what_is_below_in_build_only() {
    for (verb, last) in [(Verb::Build, "b: skipped"), (Verb::Run, "b: success")] {
        let nodes = vec![
            model("a", "select 1", &[], json!({})),
            singular("t", "select 1 from {{ ref('a') }}", "a", json!({})),
            model("b", "select * from {{ ref('a') }}", &["a"], json!({})),
        ];
        let mut shop = Shop::new(nodes, FakeAdapter::answering(&[("dbt_internal_test", counted(2, true, true))]));
        shop.verb = verb;
        let outcome = shop.run();
        assert_eq!(statuses(&outcome.results), ["a: success", "t: fail", last], "{verb:?}");
        assert_eq!(message(&outcome, "t"), "Got 2 results, configured to fail if != 0");
    }
}

#[test]
fn on_error_continue_lets_children_go() {
    let mut nodes = chain();
    nodes[1].config.insert("on_error".to_string(), json!("continue"));
    let outcome = Shop::new(nodes, boom("\"a\"")).run();
    assert_eq!(statuses(&outcome.results), ["a: success", "b: error", "c: success", "d: success"]);
}

#[test]
fn fail_fast_skips_the_rest() {
    let mut shop = Shop::new(chain(), boom("select 1"));
    shop.settings.fail_fast = true;
    let outcome = shop.run();
    assert_eq!(statuses(&outcome.results), ["a: error", "b: skipped", "c: skipped", "d: skipped"]);
    assert_eq!(message(&outcome, "c"), "Skipping due to fail_fast");
}

#[test]
fn a_panic_is_the_nodes_error_and_ends_nothing_else() {
    let outcome = Shop::new(chain(), FakeAdapter::answering(&[("select 1", Reply::Panic)])).run();
    assert_eq!(statuses(&outcome.results), ["a: error", "b: skipped", "d: skipped", "c: success"]);
    assert_eq!(message(&outcome, "a"), "Exception on worker thread. the adapter broke");
}

#[test]
fn cancelling_returns_at_once_with_what_there_is() {
    let shop = Shop::new(chain(), FakeAdapter::answering(&[("\"a\"", Reply::Hang)]));
    let cancel = shop.cancel.clone();
    let started = Instant::now();
    let outcome = block_on(async {
        let work = tokio::spawn(run(shop.request()));
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
        work.await.unwrap()
    });
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(statuses(&outcome.results), ["a: success", "b: error", "c: skipped", "d: skipped"]);
    assert_eq!(message(&outcome, "b"), "Cancelled while it ran");
    assert_eq!(message(&outcome, "d"), "Skipping due to cancellation");
}

#[test]
fn a_query_of_a_template_gives_way_to_cancelling() {
    let nodes = vec![model("a", "{{ run_query('slow') }}", &[], json!({}))];
    let shop = Shop::new(nodes, FakeAdapter::answering(&[("slow", Reply::Hang)]));
    let cancel = shop.cancel.clone();
    let started = Instant::now();
    block_on(async {
        let work = tokio::spawn(run(shop.request()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
        work.await.unwrap()
    });
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn hooks_run_in_dbts_order() {
    let hooks = json!({
        "materialized": "table",
        "pre-hook": [{"sql": "pre in", "transaction": true}, {"sql": "pre out", "transaction": false}, "  "],
        "post-hook": ["post out {{ this }}", {"sql": "post after", "transaction": false}, "{\"sql\": \"post json\"}"],
    });
    let nodes = vec![model("a", "select 1", &[], hooks), hook("on-run-start", 0, "begin it"), hook("on-run-end", 0, "end it")];
    let mut shop = Shop::new(nodes, FakeAdapter::default());
    shop.on_run_start = vec![UniqueId::from("operation.shop.shop-on-run-start-0")];
    shop.on_run_end = vec![UniqueId::from("operation.shop.shop-on-run-end-0")];
    let outcome = shop.run();
    let expected = [
        "schema main",
        "execute begin it",
        "execute pre out",
        "execute pre in",
        "table a",
        "execute post out \"db\".\"main\".\"a\"",
        "execute post json",
        "execute post after",
        "execute end it",
    ];
    assert_eq!(shop.adapter.log(), expected);
    assert_eq!(statuses(&outcome.results), ["shop-on-run-start-0: success", "a: success", "shop-on-run-end-0: success"]);
    assert_eq!(outcome.results[0].message.as_deref(), Some("shop.on-run-start.0 passed"));
    assert_eq!((outcome.results[0].failures, outcome.results[0].thread_id.as_str()), (Some(0), "main"));
    assert_eq!(shop.target("compiled/shop/dbt_project.yml/hooks/shop-on-run-end-0.sql"), "end it");
}

#[test]
fn on_run_end_sees_the_results() {
    let text = "{% for r in results %}{{ r.node.name }}={{ r.status }} {% endfor %}{{ schemas[0] }} {{ database_schemas[0][0] }}";
    let nodes = vec![model("a", "select 1", &[], json!({})), hook("on-run-end", 0, text)];
    let mut shop = Shop::new(nodes, FakeAdapter::default());
    shop.on_run_end = vec![UniqueId::from("operation.shop.shop-on-run-end-0")];
    shop.run();
    assert_eq!(shop.adapter.log().last().map(String::as_str), Some("execute a=success main db"));
}

#[test]
fn a_failed_hook_skips_the_hooks_after_it() {
    let nodes = vec![model("a", "select 1", &[], json!({})), hook("on-run-start", 0, "bad"), hook("on-run-start", 1, "good")];
    let mut shop = Shop::new(nodes, boom("bad"));
    shop.on_run_start = ["operation.shop.shop-on-run-start-0", "operation.shop.shop-on-run-start-1"].map(UniqueId::from).to_vec();
    let outcome = shop.run();
    assert_eq!(statuses(&outcome.results), ["shop-on-run-start-0: error", "shop-on-run-start-1: skipped", "a: success"]);
    assert_eq!(outcome.results[0].message.as_deref(), Some("shop.on-run-start.0 failed, error:\n boom"));
    assert_eq!(outcome.results[1].message.as_deref(), Some("shop.on-run-start.1 skipped"));
}

#[test]
fn a_failed_hook_of_a_node_is_the_nodes_error() {
    let nodes = vec![model("a", "select 1", &[], json!({"pre-hook": "bad"})), seed("s")];
    let shop = Shop::new(nodes, boom("bad"));
    let outcome = shop.run();
    assert_eq!(statuses(&outcome.results), ["a: error", "s: success"]);
    assert!(!shop.adapter.log().contains(&"view a".to_string()));
}
