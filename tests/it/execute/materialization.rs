//! What materializations decide, from a node and the state of its relation.

use headwater::adapter::{Capabilities, IncrementalWrite, Operation, TableOptions};
use headwater::compile::{CompiledNode, SourceMap};
use headwater::diagnostic::Outcome;
use headwater::manifest::Node;
use headwater::materialization::{Input, RelationState, Switches, Work, find};
use headwater::name::RelationType;
use serde_json::{Value as Json, json};

use crate::execute::fixture::{FakeAdapter, Shop, columns, message, model, seed, singular, statuses};

fn decide(node: &Node, state: &RelationState, full_refresh: bool) -> Outcome<Work> {
    let compiled = CompiledNode {
        unique_id: node.unique_id.clone(),
        sql: "select id, v from src".to_string(),
        extra_ctes: Vec::new(),
        relation: node.relation(),
        macros: Vec::new(),
        source_map: SourceMap::default(),
    };
    let capabilities = Capabilities { late_bound_views: true, merge: true, add_column: true, longest_name: None };
    let switches = Switches { full_refresh, store_failures: false };
    let input =
        Input { node, compiled: &compiled, state, capabilities: &capabilities, switches, strategy_macro: None, batch: None };
    (find(node)?.plan)(&input)
}

fn incremental(settings: Json) -> Node {
    let mut node = model("inc", "select 1", &[], json!({"materialized": "incremental"}));
    node.config.extend(settings.as_object().cloned().unwrap_or_default());
    node
}

fn state(existing: Option<RelationType>, table: &[&str], query: &[&str]) -> RelationState {
    RelationState { existing, columns: columns(table), query_columns: columns(query), ..RelationState::default() }
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| item.to_string()).collect()
}

#[test]
fn incremental_builds_or_writes() {
    let merge = |update_columns: Option<&[&str]>| {
        Some(IncrementalWrite::Merge {
            keys: strings(&["id"]),
            update_columns: update_columns.map(strings),
            predicates: Vec::new(),
        })
    };
    let table = Some(RelationType::Table);
    let cases = [
        (json!({}), None, false, None),
        (json!({}), Some(RelationType::View), false, None),
        (json!({}), table, true, None),
        (json!({"full_refresh": false}), table, true, Some(IncrementalWrite::Append)),
        (json!({"full_refresh": true}), table, false, None),
        (json!({}), table, false, Some(IncrementalWrite::Append)),
        (json!({"unique_key": "id"}), table, false, merge(None)),
        (json!({"unique_key": "id", "incremental_strategy": "append"}), table, false, Some(IncrementalWrite::Append)),
        (json!({"incremental_strategy": "merge"}), table, false, Some(IncrementalWrite::Append)),
        (json!({"unique_key": ["id"], "merge_update_columns": ["v"]}), table, false, merge(Some(&["v"]))),
        (json!({"unique_key": "id", "merge_exclude_columns": ["V"]}), table, false, merge(Some(&["id"]))),
        (
            json!({"unique_key": ["id", "v"], "incremental_strategy": "delete+insert", "incremental_predicates": ["v > 1"]}),
            table,
            false,
            Some(IncrementalWrite::DeleteInsert { keys: strings(&["id", "v"]), predicates: strings(&["v > 1"]) }),
        ),
    ];
    for (settings, existing, full_refresh, expected) in cases {
        let node = incremental(settings.clone());
        let work = decide(&node, &state(existing, &["id", "v"], &["id", "v"]), full_refresh).unwrap();
        let (relation, sql) = (node.relation(), "select id, v from src".to_string());
        let expected = match expected {
            Some(write) => Operation::Write { relation, sql, write },
            None => Operation::CreateTableAs { relation, sql, options: TableOptions::default() },
        };
        assert_eq!(work.operations, [expected], "{settings}");
    }
}

#[test]
fn changed_columns_follow_on_schema_change() {
    let relation = incremental(json!({})).relation();
    let add = Operation::AddColumns { relation: relation.clone(), columns: columns(&["n"]) };
    let drop = Operation::DropColumns { relation: relation.clone(), columns: strings(&["old"]) };
    let wrapped = |list: &str| format!("select {list} from (\nselect id, v from src\n) dbt_incoming");
    let as_written = "select id, v from src".to_string();
    /// The setting, the table's columns, the query's, what is done first, what is written.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Vec<Operation>, String);
    let cases: Vec<Case<'_>> = vec![
        ("ignore", &["id"], &["id", "n"], vec![], wrapped("\"id\"")),
        ("ignore", &["id", "v"], &["v", "id"], vec![], wrapped("\"id\", \"v\"")),
        ("append_new_columns", &["id"], &["id", "n"], vec![add.clone()], as_written.clone()),
        ("append_new_columns", &["id", "old"], &["id", "n"], vec![add.clone()], wrapped("\"id\", null as \"old\", \"n\"")),
        ("sync_all_columns", &["id", "old"], &["id", "n"], vec![add, drop], as_written.clone()),
        ("fail", &["id"], &["id"], vec![], as_written),
    ];
    for (policy, table, query, mut expected, sql) in cases {
        let node = incremental(json!({"on_schema_change": policy}));
        expected.push(Operation::Write { relation: relation.clone(), sql, write: IncrementalWrite::Append });
        let work = decide(&node, &state(Some(RelationType::Table), table, query), false).unwrap();
        assert_eq!(work.operations, expected, "{policy} {table:?} {query:?}");
    }
}

#[test]
fn a_merge_leaves_columns_alone_that_the_query_no_longer_gives() {
    let node = incremental(json!({"on_schema_change": "append_new_columns", "unique_key": "id"}));
    let work = decide(&node, &state(Some(RelationType::Table), &["id", "old"], &["id", "n"]), false).unwrap();
    let Some(Operation::Write { write: IncrementalWrite::Merge { update_columns, .. }, .. }) = work.operations.last() else {
        panic!("expected a merge: {work:?}");
    };
    assert_eq!(update_columns.as_deref(), Some(strings(&["id", "n"]).as_slice()));
}

#[test]
fn mistakes_in_configs_are_told() {
    let table = Some(RelationType::Table);
    let both = json!({"unique_key": "id", "merge_update_columns": ["v"], "merge_exclude_columns": ["id"]});
    let cases = [
        (incremental(json!({"incremental_strategy": "mergee"})), "incremental-strategy", Some("did you mean `merge`?")),
        (incremental(json!({"on_schema_change": "fail"})), "schema-out-of-sync", None),
        (incremental(both), "merge-columns", None),
        (incremental(json!({})), "column-gone", None),
        (model("m", "", &[], json!({"materialized": "tabel"})), "unknown-materialization", Some("did you mean `table`?")),
    ];
    for (node, code, help) in cases {
        let error = decide(&node, &state(table, &["id", "old"], &["id"]), false).unwrap_err();
        assert_eq!((error.code, error.location.is_some()), (code, true));
        assert!(help.is_none_or(|help| error.help.iter().any(|line| line == help)), "{error:?}");
    }
}

#[test]
fn tests_count_their_rows_as_dbt_does() {
    let settings = json!({"fail_calc": "sum(n)", "warn_if": "> 1", "error_if": "> 10", "limit": 5});
    let work = decide(&singular("t", "", "a", settings), &RelationState::default(), false).unwrap();
    let expected = "select\n  sum(n) as failures,\n  sum(n) > 1 as should_warn,\n  sum(n) > 10 as should_error\nfrom (\nselect id, v from \
                    src\n  limit 5\n) dbt_internal_test";
    assert_eq!((work.operations.len(), work.check.unwrap().sql.as_str()), (0, expected));
}

#[test]
fn stored_failures_go_to_the_audit_schema() {
    let node = singular("t", "", "a", json!({"store_failures": true}));
    let work = decide(&node, &RelationState::default(), false).unwrap();
    let sql = "select id, v from src".to_string();
    assert_eq!(work.operations, [Operation::CreateTableAs { relation: node.relation(), sql, options: TableOptions::default() }]);
    assert!(work.check.unwrap().sql.contains("from (\nselect *\nfrom \"db\".\"main_dbt_test__audit\".\"t\"\n)"));
}

#[test]
fn a_seed_knows_its_file_and_types() {
    let mut node = seed("s");
    node.config.extend(json!({"column_types": {"id": "bigint"}, "delimiter": ";"}).as_object().cloned().unwrap());
    let work = decide(&node, &RelationState::default(), false).unwrap();
    let expected = Operation::LoadSeed {
        relation: node.relation(),
        file: "/project/seeds/s.csv".into(),
        delimiter: ';',
        column_types: vec![("id".to_string(), "bigint".to_string())],
        quote_columns: false,
    };
    assert_eq!(work.operations, [expected]);
    let error = decide(&node, &state(Some(RelationType::View), &[], &[]), false).unwrap_err();
    assert_eq!(error.message, "Cannot seed to '\"db\".\"main\".\"s\"', it is a view");
}

#[test]
fn is_incremental_is_true_on_the_second_run_only() {
    let sql = "select '{{ is_incremental() }}'";
    let shop = Shop::new(vec![model("inc", sql, &[], json!({"materialized": "incremental"}))], FakeAdapter::default());
    let first = shop.run();
    assert_eq!(first.results[0].compiled_code.as_deref(), Some("select 'False'"));
    let second = shop.run();
    assert_eq!(second.results[0].compiled_code.as_deref(), Some("select 'True'"));
    assert_eq!(shop.adapter.log(), ["schema main", "table inc", "schema main", "write inc Append"]);
    assert_eq!(second.results[0].message.as_deref(), Some("INSERT 5"));
}

#[test]
fn an_unknown_materialization_is_the_nodes_error() {
    let outcome = Shop::new(vec![model("m", "select 1", &[], json!({"materialized": "vieww"}))], FakeAdapter::default()).run();
    assert_eq!(statuses(&outcome.results), ["m: error"]);
    assert!(message(&outcome, "m").contains("help: did you mean `view`?"), "{}", message(&outcome, "m"));
}
