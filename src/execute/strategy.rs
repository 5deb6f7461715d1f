//! Incremental strategies of the project's own: a macro `get_incremental_<name>_sql` writes the statements that move new rows
//! from a temporary table into the model's.

use std::sync::Arc;

use minijinja::Value;
use serde_json::json;

use super::message::Failure;
use super::node::sent;
use super::session::Session;
use crate::adapter::{Effect, Operation};
use crate::compile::{CompiledNode, Extras, render_in_node, value_of};
use crate::manifest::Node;
use crate::materialization::StrategyCall;

/// Renders the macro, runs what it wrote, and drops the temporary table whatever came of it.
pub(super) async fn run(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    call: &StrategyCall,
) -> Result<Effect, Failure> {
    let outcome = statements(session, node, compiled, call).await;
    let dropped = session.run.adapter.apply(Operation::Drop { relation: call.temp.clone(), relation_type: None }).await;
    let effect = outcome?;
    dropped.map_err(|error| Failure::Database { error, sent: None })?;
    Ok(effect)
}

async fn statements(
    session: &Arc<Session>,
    node: &Arc<Node>,
    compiled: &CompiledNode,
    call: &StrategyCall,
) -> Result<Effect, Failure> {
    let (context, subject) = (session.context.clone(), node.clone());
    let (extras, text) = (extras(compiled, call), text(call));
    let name = call.macro_name.clone();
    let sql = session.blocking(move || render_in_node(&name, &text, &subject, &context, extras)).await?;
    let rows = session.run.adapter.execute(sql.trim()).await;
    let rows = rows.map_err(|error| sent(session, node, compiled, error, sql.trim()))?;
    Ok(Effect { message: "OK".to_string(), rows_affected: rows.rows_affected })
}

/// A template that calls the macro with dbt's one argument, a dictionary.
fn text(call: &StrategyCall) -> String {
    format!(
        "{{%- set columns = [] -%}}\
         {{%- for column in strategy_call.columns -%}}{{%- do columns.append(api.Column(column.name, column.data_type)) -%}}{{%- endfor -%}}\
         {{%- set temp = strategy_call.temp -%}}\
         {{{{ {}({{\
         'target_relation': this.incorporate(type='table'), \
         'temp_relation': api.Relation.create(database=temp.database, schema=temp.schema, identifier=temp.identifier, type='table'), \
         'unique_key': strategy_call.unique_key, 'dest_columns': columns, \
         'incremental_predicates': strategy_call.predicates}}) }}}}",
        call.macro_name
    )
}

fn extras(compiled: &CompiledNode, call: &StrategyCall) -> Extras {
    let columns = call.columns.iter().map(|column| json!({"name": column.name, "data_type": column.data_type}));
    let temp = &call.temp;
    let arguments = json!({
        "columns": columns.collect::<Vec<_>>(),
        "temp": {"database": temp.database, "schema": temp.schema, "identifier": temp.identifier},
        "unique_key": call.unique_key,
        "predicates": call.predicates,
    });
    let sql = Value::from(compiled.sql.as_str());
    Extras::from([
        ("strategy_call".to_string(), value_of(&arguments)),
        ("sql".to_string(), sql.clone()),
        ("compiled_code".to_string(), sql),
    ])
}
