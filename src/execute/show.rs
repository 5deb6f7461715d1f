//! `show`: a node's or an inline query's first rows.

use std::sync::Arc;

use minijinja::Value;

use super::message::{CompiledFile, Failure, Sent};
use super::session::Session;
use super::{RunRequest, external};
use crate::compile::{CompileScope, Extras, SourceMap, compile};
use crate::jinja::MacroCall;
use crate::manifest::{Checksum, DependsOn, DocsConfig, Node, SharedMap};
use crate::name::{ResourceType, UniqueId};
use crate::project::Project;
use crate::rows::Rows;
use crate::source::Location;

/// What to show.
#[derive(Clone, Debug)]
pub enum ShowSubject {
    Node(UniqueId),
    /// A query with Jinja, as given on the command line; it may `ref` anything.
    Inline(String),
}

/// The rows shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub unique_id: UniqueId,
    pub name: String,
    pub sql: String,
    pub rows: Rows,
}

/// Compiles the subject and queries at most `limit` rows (none: all). The error is the whole message for people.
///
/// The plan of `run` should hold the node, so that the external tables above it are staged; an inline query stages none.
pub async fn show(run: RunRequest, subject: ShowSubject, limit: Option<usize>) -> Result<Shown, String> {
    let session = Arc::new(Session::new(run));
    let (node, inline) = match subject {
        ShowSubject::Inline(sql) => (Some(inline_node(&session.run.project, sql)), true),
        ShowSubject::Node(id) => (session.run.manifest.nodes.get(&id).cloned(), false),
    };
    let Some(node) = node.map(Arc::new) else {
        return Err("Runtime Error\n  nothing to show: the node is not in the manifest".to_string());
    };
    let failed = external::stage(&session).await;
    if let Some(reason) = external::blocked_nodes(&session, &failed).remove(&node.unique_id) {
        return Err(Failure::Runtime(reason).message(&node, &session.run));
    }
    let outcome = tokio::select! {
        biased;
        outcome = rows(&session, &node, limit) => outcome,
        () = session.stop.cancelled() => Err(Failure::Runtime("cancelled while it ran".to_string())),
    };
    let (sql, rows) = outcome
        .map_err(|failure| if inline { failure.message_alone(&session.run) } else { failure.message(&node, &session.run) })?;
    // A version of a model goes by `name.v2`.
    let version = node.unique_id.as_str().rsplit('.').next().filter(|last| *last != node.name && last.starts_with('v'));
    let name = version.map_or_else(|| node.name.clone(), |version| format!("{}.{version}", node.name));
    Ok(Shown { unique_id: node.unique_id.clone(), name, sql, rows })
}

/// Compiles the subject and gives its SQL. The error is the whole message for people.
pub async fn compile_text(run: RunRequest, sql: String) -> Result<String, String> {
    let session = Arc::new(Session::new(run));
    let node = Arc::new(inline_node(&session.run.project, sql));
    let context = session.context.clone();
    let compiled = session.blocking(move || compile(&node, &context)).await;
    compiled.map(|compiled| compiled.sql).map_err(|error| Failure::from(error).message_alone(&session.run))
}

async fn rows(session: &Arc<Session>, node: &Arc<Node>, limit: Option<usize>) -> Result<(String, Rows), Failure> {
    if node.resource_type == ResourceType::Seed {
        let sql = format!("select * from {}", node.relation());
        return query(session, sql, SourceMap::default(), limit).await;
    }
    let (context, subject) = (session.context.clone(), node.clone());
    let compiled = session.blocking(move || compile(&subject, &context)).await?;
    if session.run.adapter.builds_by_macros() {
        let sql = show_sql(session, node, &compiled.sql, limit).await?;
        return query(session, sql, compiled.source_map, None).await;
    }
    query(session, compiled.sql, compiled.source_map, limit).await
}

/// What the macro `get_show_sql` makes of the query: with its header, and as many rows as are asked for.
async fn show_sql(session: &Arc<Session>, node: &Arc<Node>, sql: &str, limit: Option<usize>) -> Result<String, Failure> {
    let (context, subject) = (session.context.clone(), node.clone());
    let header = node.config_str("sql_header").map_or(Value::from(()), Value::from);
    let args = [Value::from(sql), header, limit.map_or(Value::from(()), Value::from)];
    let shown = session.blocking(move || {
        let scope = Arc::new(CompileScope::of_node(&subject, &context, Extras::new()));
        let call = MacroCall { name: "get_show_sql", package: None, args: &args, kwargs: &[] };
        context.jinja.call_macro(&call, scope).map(|text| text.to_string())
    });
    Ok(shown.await?)
}

async fn query(session: &Session, sql: String, source_map: SourceMap, limit: Option<usize>) -> Result<(String, Rows), Failure> {
    let rows = match &session.run.settings.as_of {
        Some(as_of) => session.run.adapter.query_as_of(&sql, limit, as_of).await,
        None => session.run.adapter.query(&sql, limit).await,
    };
    let rows = rows.map_err(|error| {
        let compiled = Some(CompiledFile { path: None, sql: sql.clone(), source_map });
        Failure::Database { error, sent: Some(Sent { sql: sql.clone(), compiled, location: None }) }
    })?;
    Ok((sql, rows))
}

/// A query of the command line as a node, so that it compiles like one.
fn inline_node(project: &Project, sql: String) -> Node {
    let name = "inline_query".to_string();
    let target = &project.target;
    Node {
        unique_id: UniqueId::new(format!("sql_operation.{}.{name}", project.name)),
        resource_type: ResourceType::SqlOperation,
        package_name: project.name.clone(),
        path: format!("sql/{name}"),
        original_file_path: format!("from remote system.sql/{name}"),
        fqn: vec![project.name.clone(), "sql".to_string(), name.clone()],
        alias: name.clone(),
        database: Some(target.database.clone()),
        schema: Some(target.schema.clone()),
        relation_name: None,
        checksum: Checksum::default(),
        config: SharedMap::default(),
        unrendered_config: SharedMap::default(),
        tags: Vec::new(),
        meta: SharedMap::default(),
        group: None,
        description: String::new(),
        doc_blocks: Vec::new(),
        columns: indexmap::IndexMap::new(),
        docs: DocsConfig::default(),
        patch_path: None,
        language: "sql".to_string(),
        raw_code: sql,
        refs: Vec::new(),
        sources: Vec::new(),
        metrics: Vec::new(),
        functions: Vec::new(),
        depends_on: DependsOn::default(),
        created_at: 0.0,
        compiled: None,
        lineage: None,
        test: None,
        model: None,
        function: None,
        hook: None,
        root_path: None,
        location: Location::new("<inline>", 1, 1),
        name,
    }
}
