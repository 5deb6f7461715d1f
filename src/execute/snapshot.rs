//! A snapshot's SQL, from its strategy's macros: projects may define strategies and override any part of them.

use std::sync::Arc;

use minijinja::Value;
use serde_json::{Map, Value as Json};

use super::message::Failure;
use super::session::Session;
use crate::adapter::AdapterError;
use crate::compile::{CompiledNode, Extras, render_in_node};
use crate::diagnostic::Diagnostic;
use crate::event::Event;
use crate::manifest::{Compiled, Node};
use crate::materialization::{SnapshotSql, meta_columns};

/// Gives the SQL and what of the strategy matters beyond it, as JSON.
const STEPS: &str = "
{%- set strategy_macro = strategy_dispatch(config.get('strategy')) -%}
{%- set strategy = strategy_macro(model, 'snapshotted_data', 'source_data', model['config'], target_exists) -%}
{%- if target_exists -%}
  {%- set changes = snapshot_staging_table(strategy, compiled_code, this) -%}
{%- else -%}
  {%- set changes = build_snapshot_table(strategy, compiled_code) -%}
{%- endif -%}
{{ tojson({'sql': changes, 'marks_deleted': strategy.hard_deletes == 'new_record', 'now': snapshot_get_time()}) }}";

/// Calls the macros as dbt does: for a table that is there, they tell its changes; else its first content.
pub(super) async fn changes(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    exists: bool,
) -> Result<SnapshotSql, Failure> {
    let sql = Value::from(compiled.sql.as_str());
    let extras = Extras::from([
        ("sql".to_string(), sql.clone()),
        ("compiled_code".to_string(), sql),
        ("target_exists".to_string(), Value::from(exists)),
    ]);
    let (context, subject) = (session.context.clone(), Arc::new(as_seen(node, compiled)));
    let rendered = session.blocking(move || render_in_node("snapshot", STEPS, &subject, &context, extras)).await?;
    let broken = |what: &str| Failure::Runtime(format!("the strategy's macros gave no SQL: {what}"));
    let parts: Json = serde_json::from_str(rendered.trim()).map_err(|error| broken(&error.to_string()))?;
    let sql = parts["sql"].as_str().ok_or_else(|| broken("`sql` is not text"))?.trim().to_string();
    let now = parts["now"].as_str().unwrap_or_default().trim().to_string();
    Ok(SnapshotSql { sql, marks_deleted: parts["marks_deleted"].as_bool().unwrap_or(false), now })
}

/// Warns where the rows' own times and those a snapshot stamps are of different types, as dbt's `check_time_data_types` does.
pub(super) async fn check_times(session: &Session, node: &Node, snapshot: &SnapshotSql) -> Result<(), AdapterError> {
    let adapter = &session.run.adapter;
    let given = adapter.query_columns(&snapshot.sql).await?;
    let stamped = adapter.query_columns(&format!("select {} as now", snapshot.now)).await?;
    let given = given.iter().find(|column| column.name.eq_ignore_ascii_case("dbt_updated_at"));
    if let Some((given, stamped)) = given.zip(stamped.first())
        && given.data_type != stamped.data_type
    {
        let message = format!(
            "Data type of snapshot table timestamp columns ({}) doesn't match derived column 'updated_at' ({})",
            stamped.data_type, given.data_type
        );
        let warning = Diagnostic::warning("snapshot-times", message).at(node.location.clone());
        session.run.events.emit(Event::Diagnostic(warning.help(format!("cast it in `updated_at` to {}", stamped.data_type))));
    }
    Ok(())
}

/// The node as strategies see it: compiled, and with all its meta columns' names in the config.
fn as_seen(node: &Node, compiled: &CompiledNode) -> Node {
    let mut node = node.clone();
    let (code, extra_ctes) = (compiled.sql.clone(), compiled.extra_ctes.clone());
    node.compiled = Some(Compiled { code, extra_ctes, ..Compiled::default() });
    let names: Map<String, Json> = meta_columns(&node).into_iter().map(|(name, own)| (name.to_string(), own.into())).collect();
    node.config.insert("snapshot_table_column_names".to_string(), Json::Object(names));
    node
}
