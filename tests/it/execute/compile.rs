//! What nodes compile to. Expected texts were taken from dbt-core 1.12.6 with duckdb.

use std::sync::Arc;

use headwater::compile::{CompileContext, CompileFlags, CompileScope, CompiledNode, Extras, compile, inject_ctes};
use headwater::diagnostic::Outcome;
use headwater::event::NoEvents;
use headwater::jinja::NodeScope;
use headwater::manifest::{ExtraCte, Manifest, ModelDetail, Node, RefArgs};
use headwater::name::UniqueId;
use serde_json::{Value as Json, json};

use crate::execute::fixture::{FakeAdapter, Shop, generic, jinja, message, model, project, seed};

fn context(nodes: Vec<Node>, flags: CompileFlags) -> Arc<CompileContext> {
    let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect();
    let manifest = Manifest { nodes, ..Manifest::default() };
    let project = project("/project".into());
    CompileContext::new(Arc::new(manifest), Arc::new(jinja()), Arc::new(project), None, (Arc::new(NoEvents), flags))
}

fn compiled(context: &Arc<CompileContext>, id: &str) -> Outcome<CompiledNode> {
    compile(&Arc::new(context.manifest.nodes[&UniqueId::from(id)].clone()), context)
}

fn ephemeral(name: &str, sql: &str, parents: &[&str]) -> Node {
    model(name, sql, parents, json!({"materialized": "ephemeral"}))
}

fn ephemeral_shop() -> Arc<CompileContext> {
    let nodes = vec![
        seed("s"),
        ephemeral("e1", "\nselect * from {{ ref('s') }}", &["seed.shop.s"]),
        ephemeral("e2", "\nwith x as (select * from {{ ref('e1') }})\nselect * from x", &["e1"]),
        ephemeral("e3", "\n\nselect id from {{ ref('e1') }}", &["e1"]),
        model(
            "m1",
            "-- a comment\n/* another */\nwith a as (select * from {{ ref('e3') }}), b as (select * from {{ ref('e2') }})\nselect b.*",
            &["e3", "e2"],
            json!({}),
        ),
        model("m2", "select * from {{ ref('e2') }} -- trailing", &["e2"], json!({})),
        model("m4", "\nwith recursive r as (select 1) \nselect * from r join {{ ref('e3') }}", &["e3"], json!({})),
    ];
    context(nodes, CompileFlags::default())
}

#[test]
fn ephemeral_parents_become_ctes_in_dbts_form() {
    let e1 = " __dbt__cte__e1 as (\n\nselect * from \"db\".\"main\".\"s\"\n)";
    let e2 = " __dbt__cte__e2 as (\n\nwith x as (select * from __dbt__cte__e1)\nselect * from x\n)";
    let e3 = " __dbt__cte__e3 as (\n\n\nselect id from __dbt__cte__e1\n)";
    let cases = [
        ("e1", "\nselect * from \"db\".\"main\".\"s\"".to_string()),
        ("e2", format!("\nwith {e1}, x as (select * from __dbt__cte__e1)\nselect * from x")),
        ("e3", format!("\n\nwith{e1} select id from __dbt__cte__e1")),
        (
            "m1",
            format!(
                "-- a comment\n/* another */\nwith {e1}, {e3}, {e2}, a as (select * from __dbt__cte__e3), b as (select * from \
                 __dbt__cte__e2)\nselect b.*"
            ),
        ),
        ("m2", format!("with{e1}, {e2} select * from __dbt__cte__e2 -- trailing")),
        ("m4", format!("\nwith recursive {e1}, {e3}, r as (select 1) \nselect * from r join __dbt__cte__e3")),
    ];
    let context = ephemeral_shop();
    for (name, expected) in cases {
        assert_eq!(compiled(&context, &format!("model.shop.{name}")).unwrap().sql, expected, "{name}");
    }
    let ctes = compiled(&context, "model.shop.m1").unwrap().extra_ctes;
    assert_eq!(ctes.iter().map(|cte| cte.id.as_str()).collect::<Vec<_>>(), ["model.shop.e1", "model.shop.e3", "model.shop.e2"]);
}

#[test]
fn ctes_go_where_the_query_begins() {
    let cte = ExtraCte { id: UniqueId::from("model.shop.e"), sql: " e as (\nx\n)".to_string() };
    let cases = [
        ("  select 1", "  with e as (\nx\n) select 1"),
        ("-- note\nselect 1", "with e as (\nx\n) -- note\nselect 1"),
        ("WITH a as (b) select 1", "WITH  e as (\nx\n), a as (b) select 1"),
        ("with\n  a as (b) select 1", "with\n   e as (\nx\n), a as (b) select 1"),
        ("withdrawals", "with e as (\nx\n) withdrawals"),
        ("with recursive_a as (b) select 1", "with  e as (\nx\n), recursive_a as (b) select 1"),
    ];
    for (sql, expected) in cases {
        assert_eq!(inject_ctes(sql, std::slice::from_ref(&cte)), expected);
    }
    assert_eq!(inject_ctes("select 1", &[]), "select 1");
}

#[test]
fn a_ref_that_parsing_did_not_see_is_told_with_dbts_hint() {
    let nodes = vec![model("m1", "select 1", &[], json!({})), model("cref", "select 1 from {{ ref('m1') }}", &[], json!({}))];
    let outcome = Shop::new(nodes, FakeAdapter::default()).run();
    let text = message(&outcome, "cref");
    let expected = "Compilation Error in model cref (models/cref.sql)\n  dbt was unable to infer all dependencies for the model \"cref\".\n  \
                    This typically happens when ref() is placed within a conditional block.\n  \n  To fix this, add the following hint \
                    to the top of the model \"cref\":\n  \n  -- depends_on: {{ ref('m1') }}";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\n  --> models/cref.sql:1:"), "{text}");
}

#[test]
fn an_unknown_ref_names_the_nearest() {
    let nodes =
        vec![model("orders", "select 1", &[], json!({})), model("m", "select * from {{ ref('ordres') }}", &[], json!({}))];
    let error = compiled(&context(nodes, CompileFlags::default()), "model.shop.m").unwrap_err();
    let expected = "Model 'model.shop.m' (models/m.sql) depends on a node named 'ordres' which was not found";
    assert_eq!((error.code, error.message.as_str()), ("ref-not-found", expected));
    assert_eq!(error.help, ["did you mean `orders`?"]);
}

#[test]
fn arguments_of_generic_tests_are_rendered() {
    let kwargs = json!({"column_name": "ref(x)", "model": "{{ ref('a') }}", "to": "ref('e')", "field": "{{ var('color') }}_id"});
    let nodes = vec![
        model("a", "select 1", &[], json!({})),
        ephemeral("e", "select 2", &[]),
        generic("relationships_a", "relationships", kwargs, &["a", "e"]),
    ];
    let node = compiled(&context(nodes, CompileFlags::default()), "test.shop.relationships_a").unwrap();
    let expected = "with __dbt__cte__e as (\nselect 2\n) select ref(x) from \"db\".\"main\".\"a\" left join __dbt__cte__e where blue_id is null";
    assert_eq!(node.sql, expected);
}

#[test]
fn vars_come_from_the_nearest_place() {
    let context = context(Vec::new(), CompileFlags::default());
    let cases = [
        ("shop", "color", Some("blue")),
        ("shop", "size", Some("root")),
        ("lib", "color", Some("blue")),
        ("lib", "size", Some("for lib")),
        ("lib", "shape", Some("own scoped")),
        ("shop", "shape", None),
    ];
    for (package, name, expected) in cases {
        let scope = CompileScope::of_operation(package, &context, Extras::new());
        assert_eq!(scope.variable(name), expected.map(Json::from), "{package} {name}");
    }
}

#[test]
fn refs_search_the_root_then_the_own_package_and_know_versions() {
    let versioned = |version: i64| {
        let mut node = model("v", "select 1", &[], json!({}));
        node.unique_id = UniqueId::new(format!("model.shop.v.v{version}"));
        node.alias = format!("v_v{version}");
        node.model = Some(Box::new(ModelDetail {
            version: Some(json!(version)),
            latest_version: Some(json!(2)),
            ..ModelDetail::default()
        }));
        node
    };
    let of_lib = |name: &str, alias: &str| {
        let mut node = model(name, "select 1", &[], json!({}));
        (node.unique_id, node.package_name) = (UniqueId::new(format!("model.lib.{name}")), "lib".to_string());
        node.alias = alias.to_string();
        node
    };
    let nodes = vec![
        versioned(1),
        versioned(2),
        of_lib("both", "lib_both"),
        model("both", "", &[], json!({})),
        of_lib("only", "lib_only"),
    ];
    let context = context(nodes, CompileFlags::default());
    let answer = |from: &str, package: Option<&str>, name: &str, version: Option<i64>| {
        let args = RefArgs { name: name.to_string(), package: package.map(str::to_string), version: version.map(Json::from) };
        CompileScope::of_operation(from, &context, Extras::new()).resolve_ref(args).map(|answer| answer.relation.identifier).ok()
    };
    assert_eq!(answer("shop", None, "v", None).as_deref(), Some("v_v2"));
    assert_eq!(answer("shop", None, "v", Some(1)).as_deref(), Some("v_v1"));
    assert_eq!(answer("shop", None, "v", Some(3)), None);
    assert_eq!(answer("lib", None, "both", None).as_deref(), Some("both"));
    assert_eq!(answer("shop", Some("lib"), "both", None).as_deref(), Some("lib_both"));
    assert_eq!(answer("shop", None, "only", None).as_deref(), Some("lib_only"));
    assert_eq!(answer("shop", Some("shop"), "only", None), None);
}

#[test]
fn empty_reads_no_rows() {
    let nodes = vec![model("a", "select 1", &[], json!({})), model("b", "select * from {{ ref('a') }}", &["a"], json!({}))];
    let flags = CompileFlags { empty: true, ..CompileFlags::default() };
    let expected = "select * from (select * from \"db\".\"main\".\"a\" where false limit 0) _dbt_limit_subq_a";
    assert_eq!(compiled(&context(nodes, flags), "model.shop.b").unwrap().sql, expected);
}

#[test]
fn the_model_dictionary_has_dbts_keys() {
    let sql = "{{ model.unique_id }} {{ model.config.materialized }} {{ model.depends_on.nodes[0] }} {{ model.patch_path is defined }} {{ \
               graph.nodes['model.shop.a'].name }}";
    let nodes = vec![model("a", "", &[], json!({})), model("b", sql, &["a"], json!({"materialized": "table"}))];
    let node = compiled(&context(nodes, CompileFlags::default()), "model.shop.b").unwrap();
    assert_eq!(node.sql, "model.shop.b table model.shop.a False a");
}

#[test]
fn a_tests_where_narrows_its_model() {
    let kwargs = json!({"column_name": "id", "model": "{{ get_where_subquery(ref('a')) }}", "to": "ref('a')", "field": "id"});
    let mut test = generic("t", "relationships", kwargs, &["a"]);
    test.config.insert("where".to_string(), json!("id > 0"));
    let node = compiled(&context(vec![model("a", "", &[], json!({})), test], CompileFlags::default()), "test.shop.t").unwrap();
    let expected = "select id from (select * from \"db\".\"main\".\"a\" where id > 0) dbt_subquery left join \"db\".\"main\".\"a\" where \
                    id is null";
    assert_eq!(node.sql, expected);
}
