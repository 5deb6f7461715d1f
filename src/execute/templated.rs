//! Materializations written in Jinja: the project's own, a package's, and the built-in ones where the adapter builds by macros.

use std::sync::Arc;

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use super::hook::When;
use super::message::Failure;
use super::node::{Done, cannot_write};
use super::session::Session;
use super::target;
use super::test_outcome::{Counted, judge};
use crate::artifact::TargetFolder;
use crate::compile::{
    Batch, CompileContext, CompileScope, CompiledNode, Extras, node_dictionary, render_in_node, value_of, with_batch,
};
use crate::jinja::{Materialized, StatementResult, relation_value};
use crate::manifest::Node;
use crate::name::{ResourceType, UniqueId};
use crate::result::Status;

/// The macro that builds the node, where a macro does: one that the project or a package brings, or, for an adapter that builds
/// by macros, the built-in one.
pub(super) fn macro_of(session: &Session, node: &Node) -> Option<UniqueId> {
    let name = match node.resource_type {
        ResourceType::Test => "test",
        ResourceType::Seed => "seed",
        ResourceType::Snapshot => "snapshot",
        _ => node.materialized(),
    };
    let found = session.run.jinja.find_materialization(name)?;
    (!found.built_in || session.run.adapter.builds_by_macros()).then_some(found.macro_id)
}

/// Runs the materialization; its statement `main` says how it went.
pub(super) async fn build(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    context: &Arc<CompileContext>,
    macro_id: UniqueId,
) -> Result<Done, Failure> {
    let longest = session.run.adapter.capabilities().longest_name;
    if let Some(longest) = longest.filter(|longest| session.builds_relation(node) && node.alias.chars().count() > *longest) {
        return Err(Failure::Runtime(format!("Relation name '{}' is longer than {longest} characters", node.alias)));
    }
    let scope = CompileScope::of_node(node, context, extras(node, compiled, context));
    let made = materialize(session, node, macro_id, scope).await?;
    if let Some(text) = made.written.as_ref().filter(|_| node.resource_type != ResourceType::Seed) {
        target::write(session, TargetFolder::Run, node, text).map_err(|error| cannot_write(&error))?;
    }
    done(session, node, made)
}

/// The materialization `clone`; none if it had nothing to do.
pub(super) async fn clone(
    session: &Arc<Session>,
    node: &Arc<Node>,
    context: &Arc<CompileContext>,
    macro_id: UniqueId,
) -> Result<Option<Done>, Failure> {
    let source = session.run.settings.deferred.get(&node.unique_id);
    let other = source.map_or(Value::from(()), |relation| relation_value(relation.clone()));
    // A view on what is cloned, where it is not a clone.
    let sql = source.map(|relation| format!("select * from {relation}")).unwrap_or_default();
    let extras = Extras::from([("defer_relation".to_string(), other), ("sql".to_string(), Value::from(sql))]);
    let made = materialize(session, node, macro_id, CompileScope::of_node(node, context, extras)).await?;
    match made.main {
        None => Ok(None),
        Some(_) => done(session, node, made).map(Some),
    }
}

/// One batch of a microbatch model.
pub(super) struct Part<'a> {
    pub batch: Batch,
    /// Whether the table is there before it.
    pub is_incremental: bool,
    /// The hooks that run with it.
    pub moments: &'a [When],
    /// The worker's name.
    pub thread: &'a str,
}

/// [`build`] for one batch: what `is_incremental()` says is settled, and only some of the hooks run.
pub(super) async fn build_batch(
    session: &Arc<Session>,
    node: &Arc<Node>,
    (compiled, context): (&CompiledNode, &Arc<CompileContext>),
    macro_id: UniqueId,
    part: &Part<'_>,
) -> Result<Done, Failure> {
    let mut extras = extras(node, compiled, context);
    if let Some(model) = extras.get_mut("model") {
        *model = with_batch(model, part.batch);
    }
    if part.is_incremental {
        extras.insert("is_incremental".to_string(), Value::from_function(|| true));
        extras.insert("should_full_refresh".to_string(), Value::from_function(|| false));
    }
    let has = |wanted: When| part.moments.contains(&wanted);
    if !has(When::Before) {
        extras.insert("pre_hooks".to_string(), value_of(&json!([])));
    }
    if !has(When::After) {
        extras.insert("post_hooks".to_string(), value_of(&json!([])));
    }
    let scope = CompileScope::of_node(node, context, extras).for_batch(part.batch);
    let made = materialize(session, node, macro_id, scope).await?;
    if let Some(text) = made.written.as_ref() {
        target::write_batch(session, TargetFolder::Run, node, &part.batch.label(), text).map_err(|error| cannot_write(&error))?;
    }
    done(session, node, made)
}

async fn materialize(
    session: &Arc<Session>,
    node: &Node,
    macro_id: UniqueId,
    scope: CompileScope,
) -> Result<Materialized, Failure> {
    let (jinja, scope) = (session.run.jinja.clone(), Arc::new(scope));
    let asked = scope.clone();
    let outcome = session.blocking(move || jinja.materialize(&macro_id, scope)).await;
    if node.resource_type == ResourceType::Test {
        session.keep_macros(node, asked.called_macros());
    }
    outcome.map_err(|error| match error.code.starts_with("sql-") {
        true => Failure::Statement { error, compiled: compiled_path(session, node) },
        false => Failure::Compilation(error),
    })
}

fn compiled_path(session: &Session, node: &Node) -> Option<String> {
    let has_file = node.resource_type != ResourceType::Seed;
    has_file.then(|| session.display_path(&session.target_path(TargetFolder::Compiled, node)))
}

/// What a materialization sees beside the node's own context.
fn extras(node: &Arc<Node>, compiled: &CompiledNode, context: &Arc<CompileContext>) -> Extras {
    let sql = Value::from(compiled.sql.as_str());
    let mut model = node_dictionary(node);
    resolve_foreign_keys(&mut model, node, context);
    if node.resource_type != ResourceType::Seed {
        model["compiled"] = json!(true);
        model["compiled_code"] = json!(compiled.sql);
    }
    Extras::from([("sql".to_string(), sql.clone()), ("compiled_code".to_string(), sql), ("model".to_string(), value_of(&model))])
}

/// `to: ref('other')` of foreign keys as the relation it means.
fn resolve_foreign_keys(model: &mut Json, node: &Arc<Node>, context: &Arc<CompileContext>) {
    let of_columns = model.get_mut("columns").and_then(Json::as_object_mut).into_iter().flatten();
    let of_columns = of_columns.filter_map(|(_, column)| column.get_mut("constraints")?.as_array_mut()).flatten();
    let mut targets: Vec<&mut Json> = of_columns.filter_map(|constraint| constraint.get_mut("to")).collect();
    let resolve = |target: &mut Json| {
        let Some(text) = target.as_str().filter(|text| !text.is_empty()) else { return };
        // What it names was checked when the project was read.
        if let Ok(relation) = render_in_node("constraint", &format!("{{{{ {text} }}}}"), node, context, Extras::new()) {
            *target = Json::String(relation);
        }
    };
    targets.drain(..).for_each(resolve);
    let of_model = model.get_mut("constraints").and_then(Json::as_array_mut).into_iter().flatten();
    of_model.filter_map(|constraint| constraint.get_mut("to")).for_each(resolve);
}

#[expect(clippy::result_large_err, reason = "one failure a node, on its way to become the result")]
fn done(session: &Session, node: &Node, made: Materialized) -> Result<Done, Failure> {
    let Some(main) = made.main else {
        return Err(Failure::Runtime(format!("main is not being called during running {}", node.resource_type)));
    };
    let response = response(&main);
    if node.resource_type != ResourceType::Test {
        return Ok(Done { status: Status::Success, message: Some(main.message), failures: None, response });
    }
    let counted = Counted::read(node, &main.rows).map_err(Failure::Runtime)?;
    let verdict = judge(node, &counted, session.run.settings.warn_error);
    Ok(Done { status: verdict.status, message: verdict.message, failures: Some(verdict.failures), response })
}

fn response(main: &StatementResult) -> Map<String, Json> {
    let mut response = Map::new();
    response.insert("_message".into(), Json::from(main.message.as_str()));
    if let Some(code) = &main.code {
        response.insert("code".into(), Json::from(code.as_str()));
    }
    if let Some(rows) = main.rows_affected {
        response.insert("rows_affected".into(), Json::from(rows));
    }
    response
}
