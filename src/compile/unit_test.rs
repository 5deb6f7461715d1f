//! Unit tests: a model's code over given rows. Every input stands as a CTE where the model reads a parent, so nothing of the
//! warehouse is read and nothing is written.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::{IndexMap, IndexSet};
use minijinja::Value;
use serde_json::{Value as Json, json};

use super::ephemeral::cte_name;
use super::fixture::{Fixture, FixtureRows};
use super::lookup::{Found, version_text};
use super::{CompileContext, CompileScope, CompiledNode, Extras, SourceMap, inject_ctes, place, value_of};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::{Introspect, NodeScope, RefAnswer, TemplateText};
use crate::manifest::{DependsOn, ExtraCte, JsonMap, Node, OtherResource, RefArgs, SharedMap};
use crate::name::{RelationType, ResourceType, UniqueId};

/// Inputs by the resource they stand for; the tested model itself is `this`.
pub type Inputs = IndexMap<UniqueId, Fixture>;

/// A unit test as a node: the tested model's code under the test's name, with a config of its own, as dbt runs it.
pub fn unit_test_node(test: &OtherResource, tested: &Node) -> Node {
    let version = tested.model.as_ref().and_then(|model| model.version.as_ref());
    let name = match version {
        Some(version) => format!("{}_v{}", test.name, version_text(version)),
        None => test.name.clone(),
    };
    let folder = test.original_file_path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let config = [("enabled", json!(true)), ("materialized", json!("unit"))];
    Node {
        unique_id: test.unique_id.clone(),
        resource_type: ResourceType::UnitTest,
        package_name: test.package_name.clone(),
        path: format!("{folder}/{name}.sql").trim_start_matches('/').to_string(),
        original_file_path: test.original_file_path.clone(),
        fqn: test.fqn.clone(),
        alias: name.clone(),
        relation_name: None,
        config: JsonMap::from_iter(config.map(|(key, value)| (key.to_string(), value))).into(),
        unrendered_config: SharedMap::default(),
        tags: test.tags.clone(),
        depends_on: DependsOn::default(),
        columns: IndexMap::new(),
        model: None,
        // Mistakes in the rows are told of at the test; what is wrong with the code carries its own place.
        location: test.location.clone(),
        name,
        ..tested.clone()
    }
}

/// What the inputs under `given:` stand for, each with its rows, in their order.
pub fn given(test: &OtherResource, tested: &Node, context: &CompileContext) -> Outcome<Vec<(UniqueId, FixtureRows)>> {
    let inputs = test.json.get("given").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let one = |input: &Json| {
        let text = input["input"].as_str().unwrap_or_default();
        Ok((target(text, test, tested, context)?, FixtureRows::of(input)))
    };
    inputs.iter().map(one).collect()
}

/// The resource that an `input:` names.
fn target(text: &str, test: &OtherResource, tested: &Node, context: &CompileContext) -> Outcome<UniqueId> {
    if text.trim() == "this" {
        return Ok(tested.unique_id.clone());
    }
    let template = TemplateText { name: test.name.clone(), source: format!("{{{{ {text} }}}}"), location: test.location.clone() };
    let calls = context.jinja.static_calls(&template).unwrap_or_default();
    let found = match (calls.refs.first(), calls.sources.first()) {
        (Some(args), _) => context.lookup.node(args, &test.package_name),
        (None, Some([source, table])) => context.lookup.source(source, table, &test.package_name),
        (None, None) => {
            return Diagnostic::error(
                "unit-test-input",
                format!("Unit test given inputs must be either a 'ref', 'source' or 'this' call. Got: '{text}'."),
            )
            .at(test.location.clone())
            .help("write `input: ref('model')`, `input: source('source', 'table')` or `input: this`")
            .fail();
        }
    };
    if let Found::Id(id) = found {
        return Ok(id.clone());
    }
    let missing = format!("Unit test '{}' had an input ({text}) which was not found in the manifest.", test.name);
    let diagnostic = Diagnostic::error("unit-test-input", missing).at(test.location.clone());
    let diagnostic = match (calls.refs.first(), calls.sources.first()) {
        (Some(args), _) => diagnostic.suggest(&args.name, context.lookup.ref_names()),
        (None, Some([source, table])) => {
            let known = context.lookup.source_names();
            diagnostic.suggest(&format!("{source}.{table}"), known.iter().map(String::as_str))
        }
        (None, None) => diagnostic,
    };
    diagnostic.fail()
}

/// The CTE's name of an input: a source's carries the source's name too, for tables of one name.
fn input_cte_name(id: &UniqueId, context: &CompileContext) -> String {
    match (context.manifest.nodes.get(id), context.manifest.sources.get(id)) {
        (Some(node), _) => cte_name(&node.alias),
        (None, Some(source)) => cte_name(&format!("{}__{}", source.source_name, source.name)),
        (None, None) => cte_name(id.as_str()),
    }
}

/// The node's code with its parents replaced by `inputs`, and the overrides of a unit test where it is one.
///
/// `code` is the node whose text is rendered and whose place mistakes carry; `node` is what the template sees as its model.
pub fn compile_over_inputs(
    node: &Arc<Node>,
    code: &Node,
    inputs: Inputs,
    overrides: &Json,
    context: &Arc<CompileContext>,
) -> Outcome<CompiledNode> {
    let shared = Arc::new(Shared { inputs, overrides: overrides.clone(), tested: code.unique_id.clone() });
    let template =
        TemplateText { name: node.unique_id.to_string(), source: code.raw_code.as_str().into(), location: code.location.clone() };
    let (text, used) = render(&template, node, &shared, context)?;
    let mut ctes: IndexMap<UniqueId, String> = IndexMap::new();
    for id in used {
        add_cte(&id, node, (&shared, &mut ctes), context)?;
    }
    let extra_ctes: Vec<ExtraCte> = ctes.into_iter().map(|(id, sql)| ExtraCte { id, sql }).collect();
    let sql = inject_ctes(&text, &extra_ctes);
    let source_map = SourceMap::default();
    Ok(CompiledNode {
        unique_id: node.unique_id.clone(),
        sql,
        extra_ctes,
        relation: node.relation(),
        macros: Vec::new(),
        source_map,
    })
}

/// Adds an input's CTE, after those its own text reads.
fn add_cte(
    id: &UniqueId,
    node: &Arc<Node>,
    (shared, ctes): (&Arc<Shared>, &mut IndexMap<UniqueId, String>),
    context: &Arc<CompileContext>,
) -> Outcome<()> {
    let Some(fixture) = shared.inputs.get(id).filter(|_| !ctes.contains_key(id)) else { return Ok(()) };
    let text = match fixture {
        Fixture::Sql(text) => text.clone(),
        Fixture::Template(source) => {
            let template =
                TemplateText { name: node.unique_id.to_string(), source: source.clone(), location: node.location.clone() };
            let (text, used) = render(&template, node, shared, context)?;
            for other in used.iter().filter(|other| *other != id) {
                add_cte(other, node, (shared, ctes), context)?;
            }
            text
        }
    };
    ctes.insert(id.clone(), format!(" {} as (\n{text}\n)", input_cte_name(id, context)));
    Ok(())
}

fn render(
    template: &TemplateText,
    node: &Arc<Node>,
    shared: &Arc<Shared>,
    context: &Arc<CompileContext>,
) -> Outcome<(String, Vec<UniqueId>)> {
    let inner = CompileScope::of_node(node, context, Extras::new());
    let scope = Arc::new(FixtureScope { inner, shared: shared.clone(), used: Mutex::default() });
    let text = context.jinja.render(template, scope.clone()).map_err(|error| place(error, node))?;
    let used = scope.used.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    Ok((text, used))
}

/// What all renders of one test share.
struct Shared {
    inputs: Inputs,
    /// `{macros: …, vars: …, env_vars: …}`, or null.
    overrides: Json,
    tested: UniqueId,
}

/// A unit test's scope: parents are the inputs, `this` is one of them, and overrides come first.
struct FixtureScope {
    inner: CompileScope,
    shared: Arc<Shared>,
    /// Inputs in order of their first use.
    used: Mutex<IndexSet<UniqueId>>,
}

impl FixtureScope {
    fn input(&self, id: &UniqueId) -> Option<RefAnswer> {
        self.shared.inputs.get(id)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        let manifest = &self.inner.context().manifest;
        let of_node = || manifest.nodes.get(id).map(Node::relation);
        let relation = of_node().or_else(|| manifest.sources.get(id).map(crate::manifest::Source::relation))?;
        let rendered = Some(input_cte_name(id, self.inner.context()));
        Some(RefAnswer { relation, relation_type: Some(RelationType::Ephemeral), rendered })
    }

    fn no_input<T>(&self, id: &UniqueId, call: &str, error: Diagnostic) -> Outcome<T> {
        let name = id.as_str().rsplit('.').next().unwrap_or_default();
        error.help(format!("the unit test gives no rows for `{name}`: add `- input: {call}` under `given:`")).fail()
    }

    fn overridden(&self, kind: &str, name: &str) -> Option<&Json> {
        self.shared.overrides.get(kind)?.get(name)
    }
}

impl NodeScope for FixtureScope {
    fn resolve_ref(&self, args: RefArgs) -> Outcome<RefAnswer> {
        let found = self.inner.context().lookup.node(&args, self.package());
        let Found::Id(id) = found else { return self.inner.resolve_ref(args) };
        let call = match &args.package {
            Some(package) => format!("ref('{package}', '{}')", args.name),
            None => format!("ref('{}')", args.name),
        };
        let missing = || self.inner.not_found("node", &args.name, (args.version.as_ref(), args.package.as_deref()), false);
        self.input(id).map_or_else(|| self.no_input(id, &call, missing()), Ok)
    }

    fn resolve_source(&self, source: &str, table: &str) -> Outcome<RefAnswer> {
        let found = self.inner.context().lookup.source(source, table, self.package());
        let Found::Id(id) = found else { return self.inner.resolve_source(source, table) };
        let missing = || self.inner.not_found("source", &format!("{source}.{table}"), (None, None), false);
        self.input(id).map_or_else(|| self.no_input(id, &format!("source('{source}', '{table}')"), missing()), Ok)
    }

    fn resolve_function(&self, name: &str, package: Option<&str>) -> Outcome<RefAnswer> {
        self.inner.resolve_function(name, package)
    }

    fn set_config(&self, values: JsonMap) -> Outcome<()> {
        self.inner.set_config(values)
    }

    fn config_value(&self, key: &str) -> Option<Json> {
        self.inner.config_value(key)
    }

    fn variable(&self, name: &str) -> Option<Json> {
        self.overridden("vars", name).cloned().or_else(|| self.inner.variable(name))
    }

    fn this_relation(&self) -> Option<RefAnswer> {
        match self.inner.is_unit_test() {
            true => self.input(&self.shared.tested),
            false => self.inner.this_relation(),
        }
    }

    fn model(&self) -> Value {
        self.inner.model()
    }

    fn executes(&self) -> bool {
        true
    }

    fn package(&self) -> &str {
        self.inner.package()
    }

    fn macro_called(&self, _macro_id: &UniqueId) {}

    fn database(&self) -> Option<Arc<dyn Introspect>> {
        self.inner.database()
    }

    fn extra(&self, name: &str) -> Option<Value> {
        self.inner.extra(name)
    }

    /// A built-in macro is overridden under its bare name and as `dbt.name` alike; the bare name wins.
    fn override_of(&self, package: Option<&str>, name: &str) -> Option<Value> {
        let bare = || self.overridden("macros", name);
        let of_package = |package: &str| self.overridden("macros", &format!("{package}.{name}"));
        let value = match package {
            None | Some("dbt") => bare().or_else(|| of_package("dbt")),
            Some(package) => of_package(package),
        };
        value.map(value_of)
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.overridden("env_vars", name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_string))
    }

    fn message(&self, text: &str, info: bool) {
        self.inner.message(text, info);
    }

    fn print(&self, text: &str) {
        self.inner.print(text);
    }

    fn warn(&self, text: &str) {
        self.inner.warn(text);
    }
}
