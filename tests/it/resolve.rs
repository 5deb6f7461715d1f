//! Parsing and resolving, held against dbt-core 1.12.6: every id, hash, name and config below is what `dbt parse` wrote for
//! the same files.

use std::path::PathBuf;

use headwater::diagnostic::{Diagnostic, Severity};
use headwater::manifest::{Manifest, Node};
use headwater::project::{LoadOptions, load};
use headwater::resolve::load_manifest;
use headwater::world::MemoryWorld;
use serde_json::{Value as Json, json};

/// One project with a bit of everything.
const SHOP: &[(&str, &str)] = &[
    (
        "dbt_project.yml",
        r#"name: shop
version: '1.0'
profile: p
vars: {cut: 5, shop: {lim: 3}}
models:
  +docs: {node_color: red}
  +meta: {a: 1, b: {c: 1}}
  +tags: base
  +pre-hook: "select 1"
  +persist_docs: {relation: true}
  +grants: {select: ['x']}
  shop:
    +schema: marts
    sub:
      +tags: [subtag, base]
      +materialized: table
      +meta: {b: 2}
      +post-hook: ["select 2 from {{ this }}", "{{ hookmac() }}"]
      +grants: {+select: ['y']}
    nothere: {+enabled: true}
  custom_thing: 7
seeds:
  +quote_columns: true
  shop: {+column_types: {id: int}}
data_tests:
  +severity: warn
  +store_failures: true
snapshots:
  +target_schema: snaps
sources:
  shop: {+enabled: true}
exposures: {+tags: [extag]}
on-run-start: ["select '{{ var('cut') }}'", "{{ hookmac() }}"]
on-run-end: "select 1"
"#,
    ),
    (
        "macros/m.sql",
        r#"{% macro hookmac() %}select '{{ ref('a') }}'{% endmacro %}
{% macro outer(x, y=2) %}{{ inner(x) }}{{ return(adapter.dispatch('inner2', 'shop')()) }}{% endmacro %}
{% macro inner(x) %}{{ x }}{% endmacro %}
{% macro default__inner2() %}1{% endmacro %}
{% macro inner2() %}{{ return(adapter.dispatch('inner2')()) }}{% endmacro %}
{% test pos(model, column_name, bound=0) %}{{ config(severity='error', tags=['fromtest']) }}select * from {{ model }} where {{ column_name }} < {{ bound }} {{ inner(1) }}{% endtest %}
{% materialization mymat, adapter='duckdb', supported_languages=['sql','python'] %}{% endmaterialization %}
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}{{ "al_" ~ (custom_alias_name or node.name) if node.name == "b" else (custom_alias_name or (node.name ~ ("_v" ~ node.version if node.version else ""))) }}{%- endmacro %}
"#,
    ),
    ("tests/generic/g.sql", r#"{% test tg(model) %}select * from {{ model }}{% endtest %}"#),
    ("tests/sing.sql", r#"select * from {{ ref('a') }} join {{ ref('b') }} where 1={{ var('cut') }}"#),
    (
        "tests/sing2.sql",
        r#"{{ config(severity='error', tags='x', limit=5) }}
select * from {{ source('src','t1') }}
"#,
    ),
    (
        "models/a.sql",
        r#"{{ config(materialized='table', tags=['m1'], meta={'z': 1}, pre_hook='select 3', docs={'show': false}) }}
{{ config(tags='m2', unique_key='id', custom=[1,2], grants={'select': 'q'}) }}
select * from {{ source('src', 't1') }} union select * from {{ source('src', 't1') }}
"#,
    ),
    (
        "models/sub/b.sql",
        r#"{{ config(alias='bb', schema=var('sch','zz'), tags=var('tg', 'dyn')) }}
select * from {{ ref('a') }} join {{ ref('a') }} join {{ ref('shop','a') }} join {{ ref('sd') }} -- {{ outer(1) }}
{% if is_incremental() %} where {% endif %} {{ dbt.current_timestamp() }}
"#,
    ),
    ("models/sub/c_v1.sql", r#"select * from {{ ref('a') }} join {{ ref('a') }}"#),
    (
        "models/sub/c_v2.sql",
        r#"{{ config(materialized='ephemeral') }}
select * from {{ ref('b') }} join {{ ref('c', v=1) }} join {{ ref('c', version=2) if false else 1 }}
"#,
    ),
    ("models/off.sql", r#"{{ config(enabled=false) }} select 1"#),
    (
        "models/docs.md",
        r#"{% docs d1 %}
  Hello *doc*
{% enddocs %}
"#,
    ),
    (
        "seeds/sd.csv",
        r#"id,name
1,x
"#,
    ),
    (
        "seeds/seeds.yml",
        r#"seeds:
  - name: sd
    config: {column_types: {name: varchar}, delimiter: ";"}
    columns: [{name: id, tests: [unique]}]
"#,
    ),
    (
        "snapshots/s.sql",
        r#"{% snapshot sn1 %}{{ config(strategy='check', unique_key='id', check_cols='all') }}select * from {{ ref('a') }}{% endsnapshot %}"#,
    ),
    (
        "snapshots/s.yml",
        r#"snapshots:
  - name: sn1
    description: "{{ doc('d1') }}"
    columns: [{name: id, tests: [not_null]}]
  - name: sn2
    relation: source('src','t1')
    config: {strategy: timestamp, unique_key: id, updated_at: ts, schema: other, dbt_valid_to_current: "to_date('9999-12-31')", snapshot_meta_column_names: {dbt_valid_from: vf}}
"#,
    ),
    ("analyses/an.sql", r#"select {{ ref('a') }}"#),
    (
        "models/s.yml",
        r#"version: 2
groups:
  - name: g1
    owner: {name: me, email: a@b.c, slack: x}
models:
  - name: a
    description: "{{ doc('d1') }} and {{ doc('shop','d1') }}"
    group: g1
    access: public
    meta: {y: 2}
    config: {tags: [ptag], contract: {enforced: false}, enabled: true, meta2: 1}
    tests:
      - pos: {column_name: id, name: myname, tags: [tt], severity: error}
      - tg
    columns:
      - name: id
        description: "key {{ doc('d1') }}"
        quote: true
        tags: [ct, ca]
        meta: {k: v}
        data_type: int
        constraints: [{type: not_null}, {type: check, expression: "id > 0"}]
        tests:
          - unique
          - not_null: {config: {where: "id > 1 and x = '{{ var(\"cut\") }}'", severity: warn, tags: q}}
          - relationships: {to: ref('sd'), field: id}
          - accepted_values: {values: [1, 'two', 3.5, true, null], quote: false, config: {limit: 10}}
          - pos: {arguments: {bound: 3}, description: "descr"}
          - shop.pos
          - dbt.not_null: {name: nn_custom}
          - test_name: pos
            bound: 7
            config: {enabled: false}
      - name: "weird Col"
        data_tests: [not_null]
        custom_attr: 5
  - name: b
    columns:
      - {name: x, tests: [{accepted_values: {values: ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}}]}
  - name: c
    latest_version: 1
    description: base
    config: {tags: vt}
    columns: [{name: id, tests: [unique]}, {name: o}]
    tests: [tg]
    versions:
      - v: 1
      - v: 2
        description: two
        columns: [{include: all, exclude: [o]}, {name: n, tests: [not_null]}]
        config: {meta: {vv: 2}}
  - name: missing_one
sources:
  - name: src
    description: sdesc
    schema: raw
    database: rawdb
    loader: l
    tags: [st]
    meta: {sm: 1}
    quoting: {identifier: true}
    loaded_at_field: ts
    freshness: {warn_after: {count: 1, period: day}, filter: "a"}
    config: {event_time: et}
    tables:
      - name: t1
        identifier: tee1
        description: "{{ doc('d1') }}"
        tags: [tt]
        meta: {tm: 1}
        quoting: {schema: false}
        freshness: {error_after: {count: 2, period: day}}
        external: {location: "x/{{ var('cut') }}", partitions: [{name: p, data_type: date}], opt: {a: 1}}
        tests: [tg, {unique: {column_name: "a || b"}}]
        columns: [{name: id, tests: [unique, {relationships: {to: "source('src','t2')", field: id}}], tags: [z]}]
      - name: t2
        freshness: null
        config: {enabled: true, tags: [cfgtag], meta: {q: 1}}
      - name: t3
        config: {enabled: false}
        loaded_at_field: null
macros:
  - name: outer
    description: "mac {{ doc('d1') }}"
    arguments: [{name: x, type: string, description: arg}]
exposures:
  - name: ex
    type: dashboard
    owner: {email: a@b.c}
    depends_on: [ref('a'), "source('src','t1')", "ref('c', v=2)"]
    tags: [e]
    config: {meta: {x: 1}}
unit_tests:
  - name: ut1
    model: a
    given: [{input: "source('src','t1')", rows: [{id: 1}]}]
    expect: {rows: [{id: 1}]}
    config: {tags: utt}
  - name: ut2
    model: c
    given: [{input: "ref('a')", format: csv, rows: "id,b\n1,\n2,x"}]
    expect: {format: sql, rows: "select 1"}
data_tests:
  - name: sing
    description: "sd {{ doc('d1') }}"
    config: {meta: {q: 1}}
"#,
    ),
];

fn world(files: &[(&str, &str)]) -> MemoryWorld {
    let mut world = MemoryWorld::default();
    for (path, text) in files {
        world.files.insert(PathBuf::from("/shop").join(path), (*text).to_string());
    }
    world
}

fn resolved(files: &[(&str, &str)]) -> (Manifest, Vec<Diagnostic>) {
    let world = world(files);
    let options = LoadOptions { project_dir: Some("/shop".into()), ..LoadOptions::default() };
    let (project, _) = load(&world, &options).unwrap_or_else(|error| panic!("{error}"));
    let (manifest, _, diagnostics) = load_manifest(&world, &project, &invocation()).unwrap_or_else(|error| panic!("{error}"));
    (manifest, diagnostics)
}

fn shop() -> Manifest {
    let (manifest, diagnostics) = resolved(SHOP);
    let errors: Vec<String> =
        diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:?}");
    manifest
}

fn node<'a>(manifest: &'a Manifest, id: &str) -> &'a Node {
    manifest.nodes.get(id).or_else(|| manifest.disabled_nodes.get(id)?.first()).unwrap_or_else(|| panic!("no {id}"))
}

/// Enabled nodes, by id.
const NODES: &[&str] = &[
    "analysis.shop.an",
    "model.shop.a",
    "model.shop.b",
    "model.shop.c.v1",
    "model.shop.c.v2",
    "operation.shop.shop-on-run-end-0",
    "operation.shop.shop-on-run-start-0",
    "operation.shop.shop-on-run-start-1",
    "seed.shop.sd",
    "snapshot.shop.sn1",
    "snapshot.shop.sn2",
    "test.shop.accepted_values_a__id___False__1__two__3_5__True__None.cedcc43d59",
    "test.shop.accepted_values_b_x__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.4ac0a1076e",
    "test.shop.myname.bc560daba4",
    "test.shop.nn_custom.b774c1f64e",
    "test.shop.not_null_a__id_.80d388f8d5",
    "test.shop.not_null_a_weird_Col.9db7433998",
    "test.shop.not_null_c_v2_n.a4ffab978e",
    "test.shop.not_null_sn1_id.d717813635",
    "test.shop.pos_a_3___id_.bf00658194",
    "test.shop.relationships_a__id___id__ref_sd_.2272cde32d",
    "test.shop.shop_pos_a__id_.8137592e60",
    "test.shop.sing",
    "test.shop.sing2",
    "test.shop.source_relationships_src_t1_id__id__source_src_t2_.29e3b00d5a",
    "test.shop.source_tg_src_t1_.3c084a45f3",
    "test.shop.source_unique_src_t1_a_b.3e3fbf4ae3",
    "test.shop.source_unique_src_t1_id.cc46af171c",
    "test.shop.tg_a_.47c97a692c",
    "test.shop.tg_c_v1_.3d27771f68",
    "test.shop.tg_c_v2_.483e69ae95",
    "test.shop.unique_a__id_.80973914fa",
    "test.shop.unique_c_v1_id.9079bcf226",
    "test.shop.unique_c_v2_id.0a9b22ef95",
    "test.shop.unique_sd_id.da012835e9",
];

fn invocation() -> headwater::invocation::Invocation {
    headwater::invocation::Invocation {
        id: "invocation".to_string(),
        started_at: chrono::DateTime::UNIX_EPOCH,
        flags: serde_json::Map::new(),
        args: serde_json::Map::new(),
        partial_parse: false,
    }
}

#[test]
fn ids_and_hashes_are_dbts() {
    let manifest = shop();
    let mut ids: Vec<&str> = manifest.nodes.keys().map(|id| id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, NODES);
    let disabled: Vec<&str> = manifest.disabled_nodes.keys().map(|id| id.as_str()).collect();
    assert_eq!(disabled, ["model.shop.off", "test.shop.pos_a_7___id_.9ef1eccf43"]);
    let sources: Vec<&str> = manifest.sources.keys().map(|id| id.as_str()).collect();
    assert_eq!(sources, ["source.shop.src.t1", "source.shop.src.t2"]);
    assert!(manifest.disabled_sources.contains_key("source.shop.src.t3"));
    let unit_tests: Vec<&str> = manifest.unit_tests.keys().map(|id| id.as_str()).collect();
    assert_eq!(unit_tests, ["unit_test.shop.a.ut1", "unit_test.shop.c.ut2_v1", "unit_test.shop.c.ut2_v2"]);
    assert_eq!(manifest.project_id, "fb54f3c5992b96d001bb16e8e92d968d");
}

#[test]
fn nodes_are_named_and_placed_as_dbt_does() {
    let manifest = shop();
    let expected = [
        // id, fqn, path, schema, alias
        ("model.shop.a", "shop.a", "a.sql", "main_marts", "a"),
        ("model.shop.b", "shop.sub.b", "sub/b.sql", "main_zz", "al_bb"),
        ("model.shop.c.v1", "shop.sub.c.v1", "sub/c_v1.sql", "main_marts", "c_v1"),
        ("model.shop.c.v2", "shop.sub.c.v2", "sub/c_v2.sql", "main_marts", "c_v2"),
        ("snapshot.shop.sn1", "shop.s.sn1", "s.sql", "snaps", "sn1"),
        ("snapshot.shop.sn2", "shop.sn2", "sn2.sql", "snaps", "sn2"),
        ("analysis.shop.an", "shop.analysis.an", "analysis/an.sql", "main_marts", "an"),
        ("seed.shop.sd", "shop.sd", "sd.csv", "main", "sd"),
        (
            "operation.shop.shop-on-run-end-0",
            "shop.hooks.shop-on-run-end-0",
            "hooks/shop-on-run-end-0.sql",
            "main_marts",
            "shop-on-run-end-0",
        ),
        ("test.shop.sing", "shop.sing", "sing.sql", "main_dbt_test__audit", "sing"),
        (
            "test.shop.not_null_sn1_id.d717813635",
            "shop.not_null_sn1_id",
            "not_null_sn1_id.sql",
            "main_dbt_test__audit",
            "not_null_sn1_id",
        ),
        (
            "test.shop.accepted_values_b_x__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.4ac0a1076e",
            "shop.accepted_values_b_x__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "accepted_values_b_9c89636a6c24bfbea4a6c68202f5df3a.sql",
            "main_dbt_test__audit",
            "accepted_values_b_9c89636a6c24bfbea4a6c68202f5df3a",
        ),
    ];
    for (id, fqn, path, schema, alias) in expected {
        let node = node(&manifest, id);
        let found = (node.fqn.join("."), node.path.as_str(), node.schema.as_deref(), node.alias.as_str());
        assert_eq!(found, (fqn.to_string(), path, Some(schema), alias), "{id}");
    }
    let relation = |id: &str| node(&manifest, id).relation_name.clone();
    assert_eq!(relation("model.shop.b").as_deref(), Some(r#""warehouse"."main_zz"."al_bb""#));
    assert_eq!(relation("model.shop.c.v2"), None, "ephemeral");
    assert_eq!(relation("analysis.shop.an"), None);
    // A source's own quoting: schema off.
    assert_eq!(manifest.sources["source.shop.src.t1"].relation_name, r#""rawdb".raw."tee1""#);
}

#[test]
fn dependencies_are_dbts_in_dbts_order() {
    let manifest = shop();
    let expected: &[(&str, &[&str], &[&str])] = &[
        ("model.shop.a", &[], &["source.shop.src.t1"]),
        (
            "model.shop.b",
            &["macro.shop.outer", "macro.dbt.is_incremental", "macro.dbt.current_timestamp", "macro.shop.hookmac"],
            &["model.shop.a", "seed.shop.sd"],
        ),
        ("model.shop.c.v1", &["macro.shop.hookmac"], &["model.shop.a"]),
        ("model.shop.c.v2", &["macro.shop.hookmac"], &["model.shop.b", "model.shop.c.v1", "model.shop.a"]),
        ("operation.shop.shop-on-run-end-0", &[], &[]),
        ("operation.shop.shop-on-run-start-0", &[], &[]),
        ("operation.shop.shop-on-run-start-1", &["macro.shop.hookmac"], &["model.shop.a"]),
        ("snapshot.shop.sn1", &[], &["model.shop.a"]),
        ("snapshot.shop.sn2", &[], &["source.shop.src.t1"]),
        ("test.shop.pos_a_3___id_.bf00658194", &["macro.shop.test_pos", "macro.dbt.get_where_subquery"], &["model.shop.a"]),
        (
            "test.shop.relationships_a__id___id__ref_sd_.2272cde32d",
            &["macro.dbt.test_relationships", "macro.dbt.get_where_subquery"],
            &["seed.shop.sd", "model.shop.a"],
        ),
        ("test.shop.shop_pos_a__id_.8137592e60", &["macro.shop.test_pos", "macro.dbt.get_where_subquery"], &["model.shop.a"]),
        (
            "test.shop.source_relationships_src_t1_id__id__source_src_t2_.29e3b00d5a",
            &["macro.dbt.test_relationships", "macro.dbt.get_where_subquery"],
            &["source.shop.src.t2", "source.shop.src.t1"],
        ),
        ("test.shop.tg_c_v2_.483e69ae95", &["macro.shop.test_tg", "macro.dbt.get_where_subquery"], &["model.shop.c.v2"]),
    ];
    for (id, macros, nodes) in expected {
        let depends_on = &node(&manifest, id).depends_on;
        let texts = |ids: &[headwater::name::UniqueId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((texts(&depends_on.macros), texts(&depends_on.nodes)), (owned(macros), owned(nodes)), "{id}");
    }
    let exposure = &manifest.exposures["exposure.shop.ex"];
    let nodes: Vec<&str> = exposure.depends_on.nodes.iter().map(|id| id.as_str()).collect();
    assert_eq!(nodes, ["source.shop.src.t1", "model.shop.a", "model.shop.c.v2"]);
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn configs_inherit_and_merge_as_in_dbt() {
    let manifest = shop();
    let expected = [
        ("model.shop.a", "tags", json!(["base", "ptag", "m1", "m2"])),
        ("model.shop.a", "meta", json!({"a": 1, "b": {"c": 1}, "y": 2, "z": 1})),
        (
            "model.shop.a",
            "pre-hook",
            json!([{"sql": "select 1", "transaction": true, "index": null}, {"sql": "select 3", "transaction": true, "index": null}]),
        ),
        ("model.shop.a", "docs", json!({"show": false, "node_color": "red"})),
        ("model.shop.a", "grants", json!({"select": ["q"]})),
        ("model.shop.a", "access", json!("public")),
        ("model.shop.a", "group", json!("g1")),
        ("model.shop.a", "unique_key", json!("id")),
        ("model.shop.a", "custom", json!([1, 2])),
        ("model.shop.b", "tags", json!(["base", "subtag", "base", "dyn"])),
        ("model.shop.b", "meta", json!({"a": 1, "b": 2})),
        ("model.shop.b", "materialized", json!("table")),
        ("model.shop.b", "grants", json!({"select": ["x", "y"]})),
        (
            "model.shop.b",
            "post-hook",
            json!([{"sql": "select 2 from {{ this }}", "transaction": true, "index": null}, {"sql": "{{ hookmac() }}", "transaction": true, "index": null}]),
        ),
        ("model.shop.b", "persist_docs", json!({"relation": true})),
        ("model.shop.c.v2", "materialized", json!("ephemeral")),
        ("model.shop.c.v2", "meta", json!({"a": 1, "b": 2, "vv": 2})),
        ("model.shop.c.v2", "tags", json!(["base", "subtag", "base", "vt"])),
        ("seed.shop.sd", "column_types", json!({"id": "int", "name": "varchar"})),
        ("seed.shop.sd", "delimiter", json!(";")),
        ("seed.shop.sd", "quote_columns", json!(true)),
        ("snapshot.shop.sn2", "strategy", json!("timestamp")),
        ("snapshot.shop.sn2", "schema", json!("other")),
        ("snapshot.shop.sn2", "target_schema", json!("snaps")),
        (
            "snapshot.shop.sn2",
            "snapshot_meta_column_names",
            json!({"dbt_valid_to": null, "dbt_valid_from": "vf", "dbt_scd_id": null, "dbt_updated_at": null, "dbt_is_deleted": null}),
        ),
        ("snapshot.shop.sn2", "dbt_valid_to_current", json!("to_date('9999-12-31')")),
        ("test.shop.sing2", "severity", json!("error")),
        ("test.shop.sing2", "limit", json!(5)),
        ("test.shop.sing2", "tags", json!(["x"])),
        ("test.shop.sing2", "store_failures_as", json!("table")),
        ("test.shop.sing2", "schema", json!("dbt_test__audit")),
        ("test.shop.not_null_a__id_.80d388f8d5", "where", json!("id > 1 and x = '5'")),
        ("test.shop.not_null_a__id_.80d388f8d5", "severity", json!("warn")),
        ("test.shop.not_null_a__id_.80d388f8d5", "tags", json!(["q"])),
        ("test.shop.accepted_values_a__id___False__1__two__3_5__True__None.cedcc43d59", "limit", json!(10)),
        ("test.shop.accepted_values_a__id___False__1__two__3_5__True__None.cedcc43d59", "severity", json!("warn")),
        ("test.shop.myname.bc560daba4", "severity", json!("error")),
        ("test.shop.myname.bc560daba4", "tags", json!(["tt", "fromtest", "tt"])),
    ];
    for (id, key, value) in expected {
        assert_eq!(node(&manifest, id).config.get(key), Some(&value), "{id} {key}");
    }
    let keys: Vec<&str> = node(&manifest, "model.shop.a").config.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "enabled",
            "alias",
            "schema",
            "database",
            "tags",
            "meta",
            "group",
            "static_analysis",
            "materialized",
            "incremental_strategy",
            "batch_size",
            "lookback",
            "begin",
            "persist_docs",
            "post-hook",
            "pre-hook",
            "quoting",
            "column_types",
            "full_refresh",
            "unique_key",
            "on_schema_change",
            "on_configuration_change",
            "grants",
            "packages",
            "docs",
            "contract",
            "event_time",
            "concurrent_batches",
            "access",
            "freshness",
            "on_error",
            "latest_version_pointer",
            "custom_thing",
            "custom",
            "meta2"
        ]
    );
    assert_eq!(
        Json::Object(node(&manifest, "model.shop.b").unrendered_config.clone().into_map()),
        json!({"docs": {"node_color": "red"}, "meta": {"b": 2}, "tags": "var('tg', 'dyn')", "pre-hook": "select 1", "persist_docs": {"relation": true}, "grants": {"+select": ["y"]}, "custom_thing": 7, "schema": "var('sch', 'zz')", "materialized": "table", "post-hook": ["select 2 from {{ this }}", "{{ hookmac() }}"], "alias": "bb"})
    );
}

#[test]
fn sources_take_over_what_stands_above_the_table() {
    let manifest = shop();
    let (first, second) = (&manifest.sources["source.shop.src.t1"], &manifest.sources["source.shop.src.t2"]);
    assert_eq!(
        first.freshness,
        Some(json!({"warn_after": {"count": 1, "period": "day"}, "error_after": {"count": 2, "period": "day"}, "filter": "a"}))
    );
    assert_eq!(second.freshness, None);
    assert_eq!((first.loaded_at_field.as_deref(), second.loaded_at_field.as_deref()), (Some("ts"), Some("ts")));
    assert_eq!((&first.tags, &second.tags), (&owned(&["st", "tt"]), &owned(&["cfgtag", "st"])));
    assert_eq!(Json::Object(second.meta.clone().into_map()), json!({"sm": 1, "q": 1}));
    assert_eq!(
        first.external.clone().map(Json::Object),
        Some(
            json!({"location": "x/5", "file_format": null, "row_format": null, "tbl_properties": null, "partitions": [{"name": "p", "description": "", "data_type": "date", "meta": {}}], "opt": {"a": 1}})
        )
    );
    assert_eq!(first.description, "Hello *doc*");
    assert_eq!(first.doc_blocks, ["doc.shop.d1"]);
}

#[test]
fn properties_docs_tests_and_checksums_are_dbts() {
    let manifest = shop();
    let a = node(&manifest, "model.shop.a");
    assert_eq!(a.description, "Hello *doc* and Hello *doc*");
    assert_eq!(a.checksum.checksum, "b3e48d8168c5fa354ddf4c8a0396999c5383296d9071a4c3917a2f531b4fc76f");
    assert_eq!(
        node(&manifest, "seed.shop.sd").checksum.checksum,
        "5af8c74996f09d200244d36071b5739f7b7bf484304d4ab5f32c15837ebb7815"
    );
    assert_eq!(a.tags, ["base", "m1", "m2", "ptag"]);
    assert_eq!(
        a.columns["id"].constraints[1],
        json!({"type": "check", "name": null, "expression": "id > 0", "warn_unenforced": true, "warn_unsupported": true, "to": null, "to_columns": []})
    );
    assert_eq!(a.model.as_ref().map(|model| model.primary_key.clone()), Some(vec!["\"id\"".to_string()]));
    let test = node(&manifest, "test.shop.accepted_values_a__id___False__1__two__3_5__True__None.cedcc43d59");
    let detail = test.test.as_ref().expect("a generic test");
    assert_eq!(
        Json::Object(detail.kwargs.clone()),
        json!({"values": [1, "two", 3.5, true, null], "quote": false, "column_name": "\"id\"", "model": "{{ get_where_subquery(ref('a')) }}"})
    );
    assert_eq!(test.raw_code, r#"{{ test_accepted_values(**_dbt_generic_test_kwargs) }}{{ config(limit=10) }}"#);
    assert_eq!(detail.attached_node.as_ref().map(|id| id.as_str()), Some("model.shop.a"));
    assert_eq!(test.group.as_deref(), Some("g1"));
    let checksums: Vec<&Json> = manifest.unit_tests.values().map(|test| &test.json["checksum"]).collect();
    assert_eq!(
        checksums[..2],
        [
            &json!("4db8252cb07dd602b6dd686b046744a1d308496dafec9ee4ced0f118177a315a"),
            &json!("f73de90876eded5dfebdc71789f00cc2ba30ca12050e75558d97d47d7df14b18")
        ]
    );
    let outer = &manifest.macros["macro.shop.outer"];
    assert_eq!(outer.description, "mac Hello *doc*");
    assert_eq!(outer.arguments, [json!({"name": "x", "type": "string", "description": "arg"})]);
    let mine = &manifest.macros["macro.shop.materialization_mymat_duckdb"];
    assert_eq!(mine.supported_languages, Some(owned(&["sql", "python"])));
}

#[test]
fn mistakes_are_told_with_their_place_and_the_nearest_name() {
    let project = ("dbt_project.yml", "name: shop\n");
    let orders = ("models/orders.sql", "select 1 as id");
    let yaml = |text: &'static str| ("models/s.yml", text);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[orders, ("models/b.sql", "select *\nfrom {{ ref('order') }}")],
            "ref-not-found models/b.sql:2:9: model `b` refers to `order`, which does not exist | did you mean `orders`?",
        ),
        (
            &[("models/off.sql", "{{ config(enabled=false) }}"), ("models/b.sql", "{{ ref('off') }}")],
            "ref-disabled models/b.sql:1:4: model `b` refers to `off`, which is disabled | enable `model.shop.off` or remove the \
             reference",
        ),
        (
            &[("models/b.sql", "{{ source('raw', 'order') }}"), yaml("sources: [{name: raw, tables: [{name: orders}]}]")],
            "source-not-found models/b.sql:1:4: model `b` reads the source `raw.order`, which does not exist | did you mean \
             `raw.orders`?",
        ),
        (
            &[orders, yaml("models:\n  - name: orders\n    columns:\n      - name: id\n        data_tests: [uniqe]\n")],
            "test-not-found models/s.yml:5:22: there is no generic test `uniqe` | a generic test is a `{% test name(model) %}` block \
             below `tests/generic` or in a macro file; did you mean `unique`?",
        ),
        (
            &[orders, yaml("models:\n  - name: ordres\n")],
            "patch-without-node models/s.yml:2:11: `ordres` is described under `models`, but there is no such model | did you \
             mean `orders`?",
        ),
        (
            &[orders, ("models/b.sql", "{{ config(alias='orders') }} select 1")],
            "duplicate-relation models/orders.sql:1:1: `model.shop.b` and `model.shop.orders` are both \
             \"warehouse\".\"main\".\"orders\" in the database | give one of them another alias or schema; the other is at \
             models/b.sql:1:1",
        ),
        (
            &[orders, ("models/x/orders.sql", "select 2")],
            "duplicate-resource models/x/orders.sql:1:1: two models are named `orders` | the other one is `models/orders.sql`; rename \
             one of them",
        ),
        (
            &[orders, yaml("models: [{name: orders, config: {group: finnace}}]\ngroups: [{name: finance, owner: {name: x}}]")],
            "group-not-found models/orders.sql:1:1: `orders` belongs to the group `finnace`, which does not exist | the groups are \
             finance; did you mean `finance`?",
        ),
        (
            &[(
                "snapshots/s.sql",
                "{% snapshot s %}{{ config(strategy='timestamp', unique_key='id') }}select 1{% endsnapshot %}",
            )],
            "snapshot-config snapshots/s.sql:1:17: the snapshot `s` goes by time, but has no `updated_at` | set it to the column of \
             the last change",
        ),
    ];
    for (files, expected) in cases {
        let files: Vec<_> = std::iter::once(project).chain(files.iter().copied()).collect();
        let (_, diagnostics) = resolved(&files);
        let told: Vec<String> =
            diagnostics.iter().map(|found| format!("{} {found} | {}", found.code, found.help.join("; "))).collect();
        assert_eq!(told, [expected.to_string()]);
    }
}

#[test]
fn a_package_uses_its_own_vars_and_names_and_the_root_project_wins() {
    let (manifest, diagnostics) = resolved(&[
        ("dbt_project.yml", "name: shop\nvars: {glob: r, lib: {v1: for_lib}}\nmodels: {lib: {+schema: over, +tags: root}}\n"),
        ("models/orders.sql", "select * from {{ ref('lib', 'base') }} {{ lib.helper() }}"),
        ("dbt_packages/lib/dbt_project.yml", "name: lib\nvars: {v1: own, v2: own2, glob: own}\nmodels: {+tags: mine}\n"),
        ("dbt_packages/lib/models/base.sql", "{{ config(alias=var('v1') ~ '_' ~ var('glob') ~ '_' ~ var('v2')) }} select 1"),
        (
            "dbt_packages/lib/macros/m.sql",
            "{% macro helper() %}1{% endmacro %}\n{% macro generate_schema_name(custom, node) %}{{ 'L_' ~ custom }}{% endmacro %}",
        ),
    ]);
    assert!(diagnostics.iter().all(|diagnostic| !diagnostic.is_error()), "{diagnostics:?}");
    let base = node(&manifest, "model.lib.base");
    assert_eq!((base.alias.as_str(), base.schema.as_deref()), ("for_lib_r_own2", Some("L_over")));
    assert_eq!(base.tags, ["mine", "root"]);
    let orders = node(&manifest, "model.shop.orders");
    assert_eq!(orders.depends_on.nodes, std::slice::from_ref(&base.unique_id));
    assert_eq!(orders.depends_on.macros, ["macro.lib.helper".into()]);
}
