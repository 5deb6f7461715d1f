//! `query-comment`: what every statement carries, so that the database's own logs tell where it came from.

use std::sync::Arc;

use minijinja::Value;
use serde_json::{Value as Json, json};

use super::session::{Place, Session};
use crate::compile::{CompileScope, Extras, QueryComment, node_dictionary, value_of};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::TemplateText;
use crate::source::Location;

/// The comment of a connection's statements; none where the project wants none, or where it cannot be made.
pub(super) fn of(session: &Session, at: &Place<'_>) -> Option<QueryComment> {
    made(session, at).ok().flatten()
}

/// Whether the comment of the first connection can be made.
///
/// # Errors
/// What is wrong with its template, and `query-comment` for one that would end itself.
pub(super) fn check(session: &Session) -> Outcome<()> {
    match session.run.adapter.session().is_some() && session.context.database.is_some() {
        true => made(session, &Place::main("master")).map(|_| ()),
        false => Ok(()),
    }
}

fn made(session: &Session, at: &Place<'_>) -> Outcome<Option<QueryComment>> {
    let (text, append) = match &session.run.project.query_comment {
        Json::String(text) if !text.is_empty() => (Some(text.as_str()), false),
        Json::Object(settings) => {
            let append = settings.get("append").and_then(Json::as_bool).unwrap_or(false);
            match settings.get("comment") {
                Some(Json::String(text)) if text.is_empty() => return Ok(None),
                comment => (comment.and_then(Json::as_str), append),
            }
        }
        _ => return Ok(None),
    };
    let text = match text {
        Some(text) => rendered(session, at, text)?,
        None => default_text(session, at),
    };
    if text.contains("*/") {
        return Diagnostic::error("query-comment", format!("query comment contains illegal value \"*/\": {text}")).fail();
    }
    Ok((!text.trim().is_empty()).then_some(QueryComment { text, append }))
}

/// dbt's own: JSON that names the tool, the target and the node.
fn default_text(session: &Session, at: &Place<'_>) -> String {
    let target = &session.run.project.target;
    let mut comment = json!({
        "app": "dbt",
        "dbt_version": crate::project::DBT_VERSION,
        "profile_name": target.profile_name,
        "target_name": target.target_name,
    });
    match at.node {
        Some(node) => comment["node_id"] = json!(node.unique_id),
        None => comment["connection_name"] = json!(at.name),
    }
    crate::jinja::json_text(&comment, false)
}

/// The project's own text, as the body of a macro that sees `connection_name` and `node`.
fn rendered(session: &Session, at: &Place<'_>, text: &str) -> Outcome<String> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(text.to_string());
    }
    let node = at.node.map_or(Value::from(()), |node| value_of(&node_dictionary(node)));
    let extras = Extras::from([("connection_name".to_string(), Value::from(at.name)), ("node".to_string(), node)]);
    let scope = CompileScope::of_operation(&session.run.project.name, &session.context, extras);
    let template =
        TemplateText { name: "query-comment".to_string(), source: text.into(), location: Location::new("dbt_project.yml", 1, 1) };
    session.context.jinja.render_returning(&template, Arc::new(scope))
}
