//! Selection, plans and artifacts: on a project that dbt-core itself read, listed and built (its files lie in `graph/`), and
//! on small graphs made here.

use std::collections::BTreeMap;

use headwater::adapter::CatalogEntry;
use headwater::artifact::{self, ArtifactMetadata, FreshnessResult, TargetFolder, target_file};
use headwater::diagnostic::Diagnostic;
use headwater::graph::{Dag, SelectionArgs, select};
use headwater::manifest::{
    Checksum, Column, Compiled, DependsOn, Doc, DocsConfig, Exposure, ExtraCte, HookDetail, JsonMap, Macro, Manifest,
    ModelDetail, Node, OtherResource, RefArgs, SharedMap, Source, TestDetail,
};
use headwater::name::{Relation, RelationType, ResourceType, UniqueId};
use headwater::plan::{LsOutput, Plan, Verb, ls, plan};
use headwater::result::{NodeResult, Status, Timing};
use headwater::rows::ColumnType;
use headwater::source::Location;
use indexmap::{IndexMap, IndexSet};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

// ---- a project that dbt read -----------------------------------------------------------------------------------------------

fn dbt_manifest() -> Json {
    serde_json::from_str(include_str!("graph/manifest.json")).expect("the fixture is JSON")
}

fn get<T: DeserializeOwned>(entry: &Json, key: &str) -> T {
    serde_json::from_value(entry[key].clone()).unwrap_or_else(|error| panic!("{key} of {}: {error}", entry["unique_id"]))
}

/// The value of a key that some resource types do not have.
fn try_get<T: DeserializeOwned + Default>(entry: &Json, key: &str) -> T {
    if entry[key].is_null() { T::default() } else { get(entry, key) }
}

fn location(entry: &Json) -> Location {
    Location::new(get::<String>(entry, "original_file_path"), 1, 1)
}

fn columns(entry: &Json) -> IndexMap<String, Column> {
    let columns = entry["columns"].as_object().expect("columns are an object");
    let column = |column: &Json| Column {
        name: get(column, "name"),
        description: get(column, "description"),
        meta: get(column, "meta"),
        data_type: get(column, "data_type"),
        constraints: get(column, "constraints"),
        quote: get(column, "quote"),
        config: get(column, "config"),
        tags: get(column, "tags"),
        granularity: get(column, "granularity"),
        doc_blocks: get(column, "doc_blocks"),
        extra: SharedMap::default(),
    };
    columns.iter().map(|(name, value)| (name.clone(), column(value))).collect()
}

fn depends_on(entry: &Json) -> DependsOn {
    get(entry, "depends_on")
}

fn read_node(entry: &Json) -> Node {
    let resource_type: ResourceType = get(entry, "resource_type");
    let compiled = entry.get("compiled_code").map(|code| Compiled {
        code: code.as_str().unwrap_or_default().to_string(),
        path: get(entry, "compiled_path"),
        extra_ctes: get::<Vec<ExtraCte>>(entry, "extra_ctes"),
        ..Compiled::default()
    });
    Node {
        function: None,
        functions: Vec::new(),
        unique_id: get(entry, "unique_id"),
        resource_type,
        name: get(entry, "name"),
        package_name: get(entry, "package_name"),
        path: get(entry, "path"),
        original_file_path: get(entry, "original_file_path"),
        fqn: get(entry, "fqn"),
        alias: get(entry, "alias"),
        database: get(entry, "database"),
        schema: get(entry, "schema"),
        relation_name: get(entry, "relation_name"),
        checksum: get::<Checksum>(entry, "checksum"),
        config: get(entry, "config"),
        unrendered_config: get(entry, "unrendered_config"),
        tags: get(entry, "tags"),
        meta: get(entry, "meta"),
        group: get(entry, "group"),
        description: get(entry, "description"),
        doc_blocks: get(entry, "doc_blocks"),
        columns: columns(entry),
        docs: get::<DocsConfig>(entry, "docs"),
        patch_path: get(entry, "patch_path"),
        language: try_get(entry, "language"),
        raw_code: get(entry, "raw_code"),
        refs: try_get::<Vec<RefArgs>>(entry, "refs"),
        sources: try_get(entry, "sources"),
        metrics: try_get(entry, "metrics"),
        depends_on: depends_on(entry),
        created_at: get(entry, "created_at"),
        compiled,
        lineage: None,
        test: entry.get("test_metadata").map(|metadata| {
            Box::new(TestDetail {
                name: get(metadata, "name"),
                kwargs: get(metadata, "kwargs"),
                namespace: get(metadata, "namespace"),
                column_name: get(entry, "column_name"),
                file_key_name: get(entry, "file_key_name"),
                attached_node: get(entry, "attached_node"),
            })
        }),
        model: (resource_type == ResourceType::Model).then(|| {
            Box::new(ModelDetail {
                access: get(entry, "access"),
                version: get(entry, "version"),
                latest_version: get(entry, "latest_version"),
                constraints: get(entry, "constraints"),
                deprecation_date: get(entry, "deprecation_date"),
                primary_key: get(entry, "primary_key"),
                time_spine: get(entry, "time_spine"),
                contract_checksum: entry.pointer("/contract/checksum").and_then(|sum| sum.as_str()).map(String::from),
            })
        }),
        hook: entry.get("index").map(|_| HookDetail { index: get(entry, "index") }),
        root_path: try_get(entry, "root_path"),
        location: location(entry),
    }
}

fn read_source(entry: &Json) -> Source {
    Source {
        unique_id: get(entry, "unique_id"),
        package_name: get(entry, "package_name"),
        path: get(entry, "path"),
        original_file_path: get(entry, "original_file_path"),
        fqn: get(entry, "fqn"),
        source_name: get(entry, "source_name"),
        name: get(entry, "name"),
        identifier: get(entry, "identifier"),
        database: get(entry, "database"),
        schema: get(entry, "schema"),
        relation_name: get(entry, "relation_name"),
        description: get(entry, "description"),
        source_description: get(entry, "source_description"),
        doc_blocks: get(entry, "doc_blocks"),
        loader: get(entry, "loader"),
        loaded_at_field: get(entry, "loaded_at_field"),
        loaded_at_query: get(entry, "loaded_at_query"),
        freshness: get(entry, "freshness"),
        external: get(entry, "external"),
        ingest: None,
        quoting: get(entry, "quoting"),
        columns: columns(entry),
        meta: get(entry, "meta"),
        source_meta: get(entry, "source_meta"),
        tags: get(entry, "tags"),
        config: get(entry, "config"),
        unrendered_config: get(entry, "unrendered_config"),
        patch_path: get(entry, "patch_path"),
        unrendered_database: None,
        unrendered_schema: None,
        created_at: get(entry, "created_at"),
        location: location(entry),
    }
}

fn read_exposure(entry: &Json) -> Exposure {
    Exposure {
        unique_id: get(entry, "unique_id"),
        name: get(entry, "name"),
        package_name: get(entry, "package_name"),
        path: get(entry, "path"),
        original_file_path: get(entry, "original_file_path"),
        fqn: get(entry, "fqn"),
        exposure_type: get(entry, "type"),
        owner: get(entry, "owner"),
        description: get(entry, "description"),
        doc_blocks: Vec::new(),
        label: get(entry, "label"),
        maturity: get(entry, "maturity"),
        url: get(entry, "url"),
        meta: get(entry, "meta"),
        tags: get(entry, "tags"),
        config: get(entry, "config"),
        unrendered_config: get(entry, "unrendered_config"),
        depends_on: depends_on(entry),
        refs: get(entry, "refs"),
        sources: get(entry, "sources"),
        metrics: get(entry, "metrics"),
        created_at: get(entry, "created_at"),
        location: location(entry),
    }
}

fn read_macro(entry: &Json) -> Macro {
    Macro {
        unique_id: get(entry, "unique_id"),
        name: get(entry, "name"),
        package_name: get(entry, "package_name"),
        path: get(entry, "path"),
        original_file_path: get(entry, "original_file_path"),
        macro_sql: get(entry, "macro_sql"),
        depends_on: depends_on(entry),
        description: get(entry, "description"),
        meta: get(entry, "meta"),
        docs: get(entry, "docs"),
        patch_path: get(entry, "patch_path"),
        arguments: get(entry, "arguments"),
        supported_languages: get(entry, "supported_languages"),
        created_at: get(entry, "created_at"),
        location: location(entry),
    }
}

fn read_other(entry: &Json) -> OtherResource {
    OtherResource {
        unique_id: get(entry, "unique_id"),
        resource_type: get(entry, "resource_type"),
        name: get(entry, "name"),
        package_name: get(entry, "package_name"),
        original_file_path: get(entry, "original_file_path"),
        fqn: try_get(entry, "fqn"),
        tags: try_get(entry, "tags"),
        config: get(entry, "config"),
        depends_on: try_get(entry, "depends_on"),
        json: entry.as_object().expect("a resource is an object").clone(),
        location: location(entry),
    }
}

fn section<T>(manifest: &Json, name: &str, read: impl Fn(&Json) -> T) -> IndexMap<UniqueId, T> {
    let entries = manifest[name].as_object().expect("a section is an object");
    entries.iter().map(|(id, entry)| (UniqueId::from(id.as_str()), read(entry))).collect()
}

/// The manifest that dbt wrote, in our terms.
fn read_manifest(json: &Json) -> Manifest {
    let mut manifest = Manifest {
        project_name: get(&json["metadata"], "project_name"),
        project_id: get(&json["metadata"], "project_id"),
        adapter_type: get(&json["metadata"], "adapter_type"),
        nodes: section(json, "nodes", read_node),
        sources: section(json, "sources", read_source),
        exposures: section(json, "exposures", read_exposure),
        macros: section(json, "macros", read_macro),
        docs: section(json, "docs", |entry| serde_json::from_value::<Doc>(entry.clone()).expect("a doc")),
        unit_tests: section(json, "unit_tests", read_other),
        groups: section(json, "groups", read_other),
        metrics: section(json, "metrics", read_other),
        semantic_models: section(json, "semantic_models", read_other),
        saved_queries: section(json, "saved_queries", read_other),
        ..Manifest::default()
    };
    for (id, versions) in json["disabled"].as_object().expect("disabled is an object") {
        let versions = versions.as_array().expect("a list").iter().map(read_node).collect();
        manifest.disabled_nodes.insert(UniqueId::from(id.as_str()), versions);
    }
    manifest
}

// ---- small graphs ----------------------------------------------------------------------------------------------------------

/// A node named by its id (`model.p.a`), which reads `parents`.
fn node(id: &str, parents: &[&str]) -> Node {
    let mut parts = id.splitn(3, '.');
    let resource_type = parts.next().and_then(ResourceType::parse).expect("the id begins with a resource type");
    let package = parts.next().expect("the id names a package").to_string();
    let name = parts.next().expect("the id has a name").to_string();
    let file = format!("models/{name}.sql");
    Node {
        function: None,
        functions: Vec::new(),
        unique_id: UniqueId::from(id),
        resource_type,
        package_name: package.clone(),
        path: format!("{name}.sql"),
        original_file_path: file.clone(),
        fqn: vec![package, name.clone()],
        alias: name.clone(),
        name,
        database: None,
        schema: Some("main".to_string()),
        relation_name: None,
        checksum: Checksum::default(),
        config: SharedMap::default(),
        unrendered_config: SharedMap::default(),
        tags: Vec::new(),
        meta: SharedMap::default(),
        group: None,
        description: String::new(),
        doc_blocks: Vec::new(),
        columns: IndexMap::new(),
        docs: DocsConfig::default(),
        patch_path: None,
        language: "sql".to_string(),
        raw_code: "select 1".to_string(),
        refs: Vec::new(),
        sources: Vec::new(),
        metrics: Vec::new(),
        depends_on: DependsOn { macros: Vec::new(), nodes: parents.iter().map(|id| UniqueId::from(*id)).collect() },
        created_at: 0.0,
        compiled: None,
        lineage: None,
        test: None,
        model: None,
        hook: None,
        root_path: None,
        location: Location::new(file, 3, 9),
    }
}

fn ephemeral(id: &str, parents: &[&str]) -> Node {
    let mut node = node(id, parents);
    node.config.insert("materialized".to_string(), Json::from("ephemeral"));
    node
}

fn manifest(nodes: impl IntoIterator<Item = Node>) -> Manifest {
    Manifest {
        project_name: "p".to_string(),
        nodes: nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect(),
        ..Manifest::default()
    }
}

fn dag(manifest: &Manifest) -> Dag {
    Dag::build(manifest).unwrap_or_else(|error| panic!("{error}"))
}

/// The plan for everything that `--select` chooses; an empty text is everything.
fn planned(manifest: &Manifest, verb: Verb, selection: &str) -> Plan {
    let dag = dag(manifest);
    let select_all = if selection.is_empty() { Vec::new() } else { vec![selection.to_string()] };
    let args = SelectionArgs { select: select_all, resource_types: verb.resource_types().to_vec(), ..SelectionArgs::default() };
    let (selected, _) = select(manifest, &dag, &args).unwrap_or_else(|error| panic!("{error}"));
    plan(manifest, &dag, verb, &selected)
}

fn names<'a>(ids: impl IntoIterator<Item = &'a UniqueId>) -> Vec<&'a str> {
    ids.into_iter().map(UniqueId::as_str).collect()
}

// ---- selection -------------------------------------------------------------------------------------------------------------

fn listable() -> Vec<ResourceType> {
    let mut types = Verb::List.resource_types().to_vec();
    types.push(ResourceType::Analysis);
    types
}

fn args_of(line: &str) -> SelectionArgs {
    let mut args = SelectionArgs { resource_types: listable(), ..SelectionArgs::default() };
    for flag in line.split("--").skip(1) {
        let (name, value) = flag.trim_end().split_once(' ').expect("a flag has a value");
        let value = value.trim_matches('"').to_string();
        match name {
            "select" => args.select.push(value),
            "exclude" => args.exclude.push(value),
            "indirect-selection" => args.indirect_selection = value,
            other => panic!("unknown flag {other}"),
        }
    }
    args
}

#[test]
fn selections_are_those_of_dbt() {
    let manifest = read_manifest(&dbt_manifest());
    let dag = dag(&manifest);
    let lines: Vec<&str> = include_str!("graph/selections.txt").lines().skip(1).collect();
    assert!(lines.len() > 300);
    let mut wrong = Vec::new();
    for case in lines.chunks(2) {
        let (selected, _) = select(&manifest, &dag, &args_of(case[0])).unwrap_or_else(|error| panic!("{}: {error}", case[0]));
        let mut found = names(&selected);
        found.sort_unstable();
        let expected: Vec<&str> = case[1].split_whitespace().collect();
        if found != expected {
            wrong.push(format!("{}\n    dbt  {expected:?}\n    ours {found:?}", case[0]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), lines.len() / 2, wrong.join("\n"));
}

#[test]
fn a_criterion_without_matches_is_a_warning() {
    let manifest = manifest([node("model.p.a", &[])]);
    let args = SelectionArgs { select: vec!["a nope,a".into()], exclude: vec!["tag:x".into()], ..SelectionArgs::default() };
    let (selected, warnings) = select(&manifest, &dag(&manifest), &args).expect("valid");
    assert_eq!(names(&selected), ["model.p.a"]);
    let warnings: Vec<String> = warnings.iter().map(Diagnostic::to_string).collect();
    assert_eq!(
        warnings,
        [
            "The selection criterion 'nope,a' does not match any enabled nodes",
            "The selection criterion 'tag:x' does not match any enabled nodes",
        ]
    );
}

#[test]
fn mistakes_in_a_selection_are_explained() {
    let manifest = manifest([node("model.p.a", &[])]);
    let cases = [
        ("tags:x", "", "'tags' is not a valid method name | did you mean `tag`?"),
        ("state:modified", "", "compares with an earlier manifest.json, and there is none | --state DIR"),
        ("result:error", "", "compares with an earlier run_results.json, and there is none"),
        ("@a+", "", "invalid selection criterion '@a+': `@` before and `+` after exclude each other"),
        ("a+99999999999999999999999", "", "the number after `+` is too large"),
        ("source:a.b.c.d", "", "expected `source`, `source.table` or `package.source.table`"),
        ("resource_type:modle", "", "did you mean `model`?"),
        ("test_type:unique", "", "expected `generic`, `singular`, `data` or `unit`"),
        ("version:newest", "", "expected `latest`, `old`, `prerelease` or `none`"),
        ("path:/models", "", "a path below the project root"),
        ("config:table", "", "config.materialized:table"),
        ("exposure:a.b.c", "", "`name` or `package.name`"),
        ("a", "cautios", "`cautios` is not a way of indirect selection | did you mean `cautious`?"),
    ];
    for (selection, indirect, expected) in cases {
        let args = SelectionArgs {
            select: vec![selection.to_string()],
            indirect_selection: indirect.to_string(),
            ..SelectionArgs::default()
        };
        let error = select(&manifest, &dag(&manifest), &args).expect_err(selection);
        let text = format!("{error} | {}", error.help.join(" | "));
        for part in expected.split(" | ") {
            assert!(text.contains(part), "{selection}: {text}");
        }
    }
}

// ---- the graph -------------------------------------------------------------------------------------------------------------

#[test]
fn the_dag_answers_who_reads_whom() {
    let manifest = manifest([
        node("model.p.d", &["model.p.b", "model.p.c"]),
        node("model.p.a", &[]),
        node("model.p.b", &["model.p.a", "model.p.a"]),
        node("model.p.c", &["model.p.a"]),
    ]);
    let dag = dag(&manifest);
    let id = |name: &str| UniqueId::from(format!("model.p.{name}"));
    assert_eq!(names(dag.parents(&id("d"))), ["model.p.b", "model.p.c"]);
    assert_eq!(names(dag.parents(&id("b"))), ["model.p.a"]);
    assert_eq!(names(dag.children(&id("a"))), ["model.p.b", "model.p.c"]);
    assert_eq!(names(&dag.ancestors(&id("d"), None)), ["model.p.a", "model.p.b", "model.p.c"]);
    assert_eq!(names(&dag.ancestors(&id("d"), Some(1))), ["model.p.b", "model.p.c"]);
    assert_eq!(names(&dag.descendants(&id("a"), Some(1))), ["model.p.b", "model.p.c"]);
    assert_eq!(names(dag.topological_order()), ["model.p.a", "model.p.b", "model.p.c", "model.p.d"]);
    assert!(dag.ancestors(&id("nobody"), None).is_empty());
}

#[test]
fn a_cycle_is_named_with_its_whole_path() {
    let manifest = manifest([
        node("model.p.top", &[]),
        node("model.p.a", &["model.p.top", "model.p.c"]),
        node("model.p.b", &["model.p.a"]),
        node("model.p.c", &["model.p.b"]),
        node("model.p.below", &["model.p.c"]),
    ]);
    let error = Dag::build(&manifest).expect_err("a cycle");
    assert_eq!(error.code, "dependency-cycle");
    assert_eq!(error.to_string(), "models/a.sql:3:9: dependency cycle: model.p.a → model.p.c → model.p.b → model.p.a");
    assert_eq!(
        error.help,
        [
            "`model.p.a` refers to `model.p.c` (models/a.sql:3:9)",
            "`model.p.c` refers to `model.p.b` (models/c.sql:3:9)",
            "`model.p.b` refers to `model.p.a` (models/b.sql:3:9)",
        ]
    );
    let selfish = self::manifest([node("model.p.a", &["model.p.a"])]);
    let error = Dag::build(&selfish).expect_err("a cycle of one");
    assert_eq!(error.message, "dependency cycle: model.p.a → model.p.a");
    let lost = self::manifest([node("model.p.a", &["model.p.gone"])]);
    assert_eq!(Dag::build(&lost).expect_err("a missing parent").code, "dependency-missing");
}

// ---- plans -----------------------------------------------------------------------------------------------------------------

#[test]
fn build_follows_the_order_of_dbt() {
    let manifest = read_manifest(&dbt_manifest());
    let plan = planned(&manifest, Verb::Build, "");
    let dbts: Vec<&str> = include_str!("graph/build_order.txt").lines().skip(1).collect();
    let (start, end) = (plan.on_run_start.len(), dbts.len() - plan.on_run_end.len());
    assert_eq!(names(&plan.on_run_start), dbts[..start]);
    assert_eq!(names(&plan.on_run_end), dbts[end..]);
    // Among nodes of one rank dbt takes the one that was ready first, which depends on its threads; ranks must agree.
    let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &plan.steps {
        let length = |id: &UniqueId| usize::from(id.kind() != "unit_test");
        let rank = step.depends_on.iter().map(|id| ranks[id.as_str()] + length(id)).max().unwrap_or_default();
        ranks.insert(step.unique_id.as_str(), rank);
    }
    let mut by_rank = dbts[start..end].to_vec();
    by_rank.sort_by_key(|id| ranks[id]);
    assert_eq!(by_rank, dbts[start..end]);
    assert_eq!(plan.steps.len(), end - start);
}

#[test]
fn each_verb_takes_its_own_steps() {
    let manifest = manifest([
        node("seed.p.s", &[]),
        node("model.p.a", &["seed.p.s"]),
        ephemeral("model.p.e", &["model.p.a"]),
        ephemeral("model.p.f", &["model.p.e"]),
        node("model.p.b", &["model.p.f", "seed.p.s"]),
        node("test.p.t", &["model.p.b"]),
        node("test.p.on_e", &["model.p.e"]),
        node("analysis.p.x", &["model.p.b"]),
        Node { raw_code: " \n".into(), ..node("model.p.blank", &[]) },
    ]);
    let cases = [
        (Verb::Run, "", "run: 2 steps\n1. model.p.a\n2. model.p.b after 1\n"),
        (Verb::Run, "b", "run: 1 step\n1. model.p.b\n"),
        (Verb::Seed, "", "seed: 1 step\n1. seed.p.s\n"),
        (Verb::Test, "", "test: 2 steps\n1. test.p.on_e\n2. test.p.t\n"),
        (Verb::Snapshot, "", "snapshot: 0 steps\n"),
        (
            Verb::Build,
            "",
            "build: 5 steps\n1. seed.p.s\n2. model.p.a after 1\n3. test.p.on_e after 2\n4. model.p.b after 1, 3\n\
             5. test.p.t after 4\n",
        ),
        (Verb::Build, "a b", "build: 3 steps\n1. model.p.a\n2. model.p.b after 1\n3. test.p.t after 2\n"),
        (
            Verb::Compile,
            "",
            "compile: 8 steps\n1. seed.p.s\n2. model.p.a after 1\n3. model.p.e after 2\n4. model.p.f after 3\n\
             5. test.p.on_e after 3\n6. model.p.b after 1, 4\n7. analysis.p.x after 6\n8. test.p.t after 6\n",
        ),
    ];
    for (verb, selection, expected) in cases {
        assert_eq!(planned(&manifest, verb, selection).to_string(), expected, "{verb} {selection}");
    }
}

#[test]
fn build_waits_for_tests_of_ancestors_only_where_that_makes_no_cycle() {
    let manifest = manifest([
        node("model.p.a", &[]),
        node("model.p.b", &[]),
        node("model.p.of_a", &["model.p.a"]),
        node("model.p.of_both", &["model.p.of_a", "model.p.b"]),
        node("model.p.last", &["model.p.of_both"]),
        node("test.p.one", &["model.p.a"]),
        node("test.p.two", &["model.p.a", "model.p.b"]),
        node("test.p.three", &["model.p.a", "model.p.b", "model.p.of_a"]),
        node("test.p.down", &["model.p.a", "model.p.last"]),
    ]);
    let expected = "build: 9 steps\n1. model.p.a\n2. model.p.b\n3. test.p.one after 1\n4. test.p.two after 1, 2\n\
                    5. model.p.of_a after 1, 3\n6. test.p.three after 1, 2, 5\n7. model.p.of_both after 2, 4, 5, 6\n\
                    8. model.p.last after 7\n9. test.p.down after 1, 8\n";
    assert_eq!(planned(&manifest, Verb::Build, "").to_string(), expected);
    // A test that is not selected gates nothing; one between unselected models still does.
    let partly = "build: 2 steps\n1. test.p.one\n2. model.p.last after 1\n";
    let dag = dag(&manifest);
    let selected: IndexSet<UniqueId> = ["model.p.last", "test.p.one"].into_iter().map(UniqueId::from).collect();
    assert_eq!(plan(&manifest, &dag, Verb::Build, &selected).to_string(), partly);
}

#[test]
fn many_sets_of_tested_nodes_fill_several_words() {
    // 200 pairs of siblings, each tested together, all below one root and above one leaf.
    let mut nodes = vec![node("model.p.root", &[])];
    for pair in 0..200 {
        nodes.push(node(&format!("model.p.l{pair}"), &["model.p.root"]));
        nodes.push(node(&format!("model.p.r{pair}"), &["model.p.root"]));
        nodes.push(node(&format!("model.p.j{pair}"), &[&format!("model.p.l{pair}"), &format!("model.p.r{pair}")]));
        nodes.push(node(&format!("test.p.t{pair}"), &[&format!("model.p.r{pair}"), &format!("model.p.l{pair}")]));
    }
    let plan = planned(&manifest(nodes), Verb::Build, "");
    for step in plan.steps.iter().filter(|step| step.unique_id.as_str().starts_with("model.p.j")) {
        let pair = &step.unique_id.as_str()["model.p.j".len()..];
        let mut waits_for = names(&step.depends_on);
        waits_for.sort_unstable();
        assert_eq!(waits_for, [format!("model.p.l{pair}"), format!("model.p.r{pair}"), format!("test.p.t{pair}")]);
    }
}

#[test]
fn ten_thousand_models_are_no_trouble() {
    let mut nodes = Vec::new();
    for at in 0..10_000_usize {
        let mut parents: Vec<String> = Vec::new();
        parents.extend((at >= 10).then(|| format!("model.p.m{}", at - 10)));
        parents.extend((at >= 10).then(|| format!("model.p.m{}", (at * 7919) % at)));
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        let id = format!("model.p.m{at}");
        nodes.push(node(&id, &parents));
        nodes.push(node(&format!("test.p.unique_{at}"), &[&id]));
        nodes.push(node(&format!("test.p.not_null_{at}"), &[&id]));
        nodes.push(node(&format!("test.p.rel_{at}"), &[&id, parents.first().copied().unwrap_or("model.p.m0")]));
    }
    let manifest = manifest(nodes);
    assert_eq!(planned(&manifest, Verb::Build, "").steps.len(), 40_000);
    assert_eq!(planned(&manifest, Verb::Run, "").steps.len(), 10_000);
    assert_eq!(planned(&manifest, Verb::Run, "m9999+").steps.len(), 1);
    let tests = planned(&manifest, Verb::Build, "resource_type:test");
    assert_eq!(tests.steps.len(), 30_000);
    // Far-off tests are waited for through nearer ones, so the plan stays small.
    assert!(tests.steps.iter().map(|step| step.depends_on.len()).sum::<usize>() < 600_000);
}

#[test]
fn ls_writes_what_dbt_writes() {
    let manifest = read_manifest(&dbt_manifest());
    let args = SelectionArgs {
        select: vec!["+fct stg_users ut sq an source:raw.users".into()],
        exclude: vec!["test_type:generic".into()],
        resource_types: listable(),
        ..SelectionArgs::default()
    };
    let (selected, _) = select(&manifest, &dag(&manifest), &args).expect("valid");
    let lines = |output| ls(&manifest, &selected, output, &[]).join(" ");
    assert_eq!(
        lines(LsOutput::Selector),
        "sink.analysis.an sink.marts.dim.v2 sink.staging.eph sink.marts.fct sink.staging.stg_orders \
         sink.staging.stg_users saved_query:sink.sq source:sink.raw.orders source:sink.raw.users sink.sing \
         sink.two unit_test:sink.ut"
    );
    assert_eq!(lines(LsOutput::Name), "an dim.v2 eph fct stg_orders stg_users sq raw.orders raw.users sing two ut");
    assert_eq!(
        lines(LsOutput::Path),
        "analyses/an.sql models/marts/dim_v2.sql models/staging/eph.sql models/marts/fct.sql \
         models/staging/stg_orders.sql models/staging/stg_users.sql models/marts/_m.yml models/staging/_s.yml \
         models/staging/_s.yml tests/sing.sql tests/two.sql models/marts/_m.yml"
    );
    let keys = ["unique_id", "config.materialized", "nope", "config.schema"].map(String::from);
    let rows = ls(&manifest, &selected, LsOutput::Json, &keys);
    assert_eq!(rows[0], r#"{"unique_id": "analysis.sink.an", "config.materialized": "view"}"#);
    let test = r#"{"unique_id": "test.sink.sing", "config.materialized": "test", "config.schema": "dbt_test__audit"}"#;
    assert_eq!(rows[9], test);
    let one: IndexSet<UniqueId> = [UniqueId::from("model.sink.fct")].into_iter().collect();
    let line: Json = serde_json::from_str(&ls(&manifest, &one, LsOutput::Json, &[])[0]).expect("JSON");
    let keys: Vec<&String> = line.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "name",
            "resource_type",
            "package_name",
            "original_file_path",
            "unique_id",
            "alias",
            "config",
            "tags",
            "depends_on",
            "direct_parents"
        ]
    );
    assert_eq!(LsOutput::parse("jsn").expect_err("a slip").help[1], "did you mean `json`?");
}

// ---- artifacts -------------------------------------------------------------------------------------------------------------

fn metadata() -> ArtifactMetadata {
    let time = |text: &str| text.parse().expect("a time");
    ArtifactMetadata {
        generated_at: time("2026-01-02T03:04:05.678901Z"),
        invocation_id: "00000000-0000-4000-8000-000000000000".to_string(),
        invocation_started_at: time("2026-01-02T03:04:00Z"),
        env: BTreeMap::from([("CI".to_string(), "1".to_string())]),
    }
}

/// What headwater has no value for yet, and dbt has: taken out of dbt's entry before it is compared.
fn without_gaps(mut entry: Json) -> Json {
    for key in ["build_path", "unrendered_database", "unrendered_schema"] {
        if let Some(value) = entry.get_mut(key) {
            *value = Json::Null;
        }
    }
    entry
}

#[test]
fn the_manifest_written_is_the_manifest_dbt_wrote() {
    let dbts = dbt_manifest();
    let manifest = read_manifest(&dbts);
    let ours = artifact::manifest_json(&manifest, &dag(&manifest), &metadata());
    let keys = |value: &Json| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(keys(&ours), keys(&dbts));
    assert_eq!(keys(&ours["metadata"]), keys(&dbts["metadata"]));
    let metadata = &ours["metadata"];
    assert_eq!(metadata["dbt_schema_version"], dbts["metadata"]["dbt_schema_version"]);
    assert_eq!(metadata["generated_at"], "2026-01-02T03:04:05.678901Z");
    assert_eq!(metadata["invocation_started_at"], "2026-01-02T03:04:00Z");
    for section in keys(&dbts).iter().filter(|section| *section != "metadata") {
        assert_eq!(keys(&ours[section]), keys(&dbts[section]), "{section}");
        for (id, entry) in dbts[section].as_object().expect("a section") {
            let expected = match entry {
                Json::Array(entries) => Json::Array(entries.iter().cloned().map(without_gaps).collect()),
                _ => without_gaps(entry.clone()),
            };
            // As text, so that the order of keys counts too.
            assert_eq!(ours[section][id].to_string(), expected.to_string(), "{section} {id}");
        }
    }
}

#[test]
fn artifacts_are_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = read_manifest(&dbt_manifest());
    let dag = dag(&manifest);
    let path = folder.path().join("target/manifest.json");
    artifact::write_manifest(&path, &manifest, &dag, &metadata()).expect("written");
    let read = |path| serde_json::from_slice::<Json>(&std::fs::read(path).expect("read")).expect("JSON");
    assert_eq!(read(&path), artifact::manifest_json(&manifest, &dag, &metadata()));
    let files: Vec<_> = std::fs::read_dir(folder.path().join("target")).expect("a folder").collect();
    assert_eq!(files.len(), 1, "no draft stays behind");
    // A folder in the file's place cannot be replaced; it stays, and no draft does.
    let taken = folder.path().join("taken.json");
    std::fs::create_dir_all(taken.join("inside")).expect("a folder");
    artifact::write_manifest(&taken, &manifest, &dag, &metadata()).expect_err("the place is taken");
    assert!(taken.join("inside").is_dir());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
}

fn result(id: &str, status: Status) -> NodeResult {
    let timing = |name: &str| Timing {
        name: name.to_string(),
        started_at: Some("2026-01-02T03:04:05.000001Z".to_string()),
        completed_at: Some("2026-01-02T03:04:05.000002Z".to_string()),
    };
    NodeResult {
        status,
        timing: vec![timing("compile"), timing("execute")],
        thread_id: "Thread-1".to_string(),
        execution_time: 0.5,
        adapter_response: json!({"_message": "OK"}).as_object().expect("an object").clone(),
        message: Some("OK".to_string()),
        failures: None,
        unique_id: UniqueId::from(id),
        compiled: Some(true),
        compiled_code: Some("select 1".to_string()),
        relation_name: None,
        batch_results: None,
    }
}

#[test]
fn run_results_have_the_shape_of_v6() {
    let args = json!({"which": "run"}).as_object().expect("an object").clone();
    let results = [result("model.p.a", Status::Success), result("test.p.t", Status::RuntimeError)];
    let expected = json!({
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
            "dbt_version": "1.12.6",
            "generated_at": "2026-01-02T03:04:05.678901Z",
            "invocation_id": "00000000-0000-4000-8000-000000000000",
            "invocation_started_at": "2026-01-02T03:04:00Z",
            "env": {"CI": "1"},
        },
        "results": [{
            "status": "success",
            "timing": [
                {
                    "name": "compile",
                    "started_at": "2026-01-02T03:04:05.000001Z",
                    "completed_at": "2026-01-02T03:04:05.000002Z",
                },
                {
                    "name": "execute",
                    "started_at": "2026-01-02T03:04:05.000001Z",
                    "completed_at": "2026-01-02T03:04:05.000002Z",
                },
            ],
            "thread_id": "Thread-1",
            "execution_time": 0.5,
            "adapter_response": {"_message": "OK"},
            "message": "OK",
            "failures": null,
            "unique_id": "model.p.a",
            "compiled": true,
            "compiled_code": "select 1",
            "relation_name": null,
            "batch_results": null,
            "overload_results": null,
        }],
        "elapsed_time": 1.25,
        "args": {"which": "run"},
    });
    let written = artifact::run_results_json(&results[..1], 1.25, &args, &metadata());
    // As text, so that the order of keys counts too.
    assert_eq!(written.to_string(), expected.to_string());
    let statuses = artifact::run_results_json(&results, 0.0, &args, &metadata());
    assert_eq!(statuses["results"][1]["status"], "runtime error");
}

fn stat(id: &str, label: &str, value: Json, include: bool, text: &str) -> Json {
    json!({"id": id, "label": label, "value": value, "include": include, "description": text})
}

#[test]
fn the_catalog_has_the_shape_of_v1() {
    let manifest = read_manifest(&dbt_manifest());
    let entry = |identifier: &str, relation_type| CatalogEntry {
        relation: Relation::new(Some("SINK"), Some("main"), identifier),
        relation_type,
        comment: None,
        owner: Some("me".to_string()),
        columns: vec![(ColumnType { name: "id".into(), data_type: "bigint".into() }, Some("the id".into()))],
        stats: vec![("num_rows".into(), "Rows".into(), json!(2), "How many rows it holds".into())],
    };
    let entries =
        [entry("dim_v2", RelationType::Table), entry("s_users", RelationType::Table), entry("stranger", RelationType::View)];
    let catalog = artifact::catalog_json(&manifest, &entries, &metadata());
    let ids = |section: &str| catalog[section].as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids("nodes"), ["model.sink.dim.v2", "seed.sink.s_users"]);
    assert_eq!(ids("sources"), ["source.sink.raw.users"]);
    let has_stats = stat("has_stats", "Has Stats?", json!(true), false, "Indicates whether there are statistics for this table");
    let expected = json!({
        "metadata": {
            "type": "BASE TABLE", "schema": "main", "name": "dim_v2", "database": "SINK", "comment": null, "owner": "me",
        },
        "columns": {"id": {"type": "bigint", "index": 1, "name": "id", "comment": "the id"}},
        "stats": {"num_rows": stat("num_rows", "Rows", json!(2), true, "How many rows it holds"), "has_stats": has_stats},
        "unique_id": "model.sink.dim.v2",
    });
    assert_eq!(catalog["nodes"]["model.sink.dim.v2"].to_string(), expected.to_string());
    assert_eq!(catalog["errors"], Json::Null);
}

#[test]
fn sources_have_the_shape_of_v3() {
    let good = FreshnessResult {
        unique_id: UniqueId::from("source.p.raw.a"),
        status: Status::Warn,
        max_loaded_at: Some("2026-01-01T00:00:00Z".parse().expect("a time")),
        snapshotted_at: "2026-01-01T01:00:00.5Z".parse().expect("a time"),
        criteria: json!({"warn_after": {"count": 1, "period": "hour"}, "error_after": null, "filter": null}),
        adapter_response: JsonMap::new(),
        timing: Vec::new(),
        thread_id: "Thread-1".to_string(),
        execution_time: 0.5,
        error: None,
    };
    let bad = FreshnessResult {
        status: Status::RuntimeError,
        max_loaded_at: None,
        error: Some("no such table".to_string()),
        ..good.clone()
    };
    let criteria = good.criteria.clone();
    let expected = json!([
        {
            "unique_id": "source.p.raw.a",
            "max_loaded_at": "2026-01-01T00:00:00+00:00",
            "snapshotted_at": "2026-01-01T01:00:00.500000+00:00",
            "max_loaded_at_time_ago_in_s": 3600.5,
            "status": "warn",
            "criteria": criteria,
            "adapter_response": {},
            "timing": [],
            "thread_id": "Thread-1",
            "execution_time": 0.5,
        },
        {"unique_id": "source.p.raw.a", "error": "no such table", "status": "runtime error"},
    ]);
    let written = artifact::sources_json(&[good, bad], 1.0, &metadata());
    assert_eq!(written["results"].to_string(), expected.to_string());
}

#[test]
fn code_lies_where_dbt_puts_it() {
    let dbts = dbt_manifest();
    let manifest = read_manifest(&dbts);
    let mut compared = 0;
    for (id, entry) in dbts["nodes"].as_object().expect("nodes") {
        let node = &manifest.nodes[id.as_str()];
        for (key, folder) in [("compiled_path", TargetFolder::Compiled), ("build_path", TargetFolder::Run)] {
            if let Some(path) = entry[key].as_str() {
                assert_eq!(format!("target/{}", target_file(node, folder)), path, "{id}");
                compared += 1;
            }
        }
    }
    assert!(compared > 40);
}
