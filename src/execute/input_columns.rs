//! The columns of a unit test's inputs: of the relation where it is built, else of what its code would give over empty parents.
//! Nothing is run and nothing is written.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value as Json;

use super::message::Failure;
use super::session::Session;
use crate::compile::{Fixture, Inputs, compile_over_inputs, fixture_sql};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Node;
use crate::materialization::seed_load;
use crate::name::{Relation, ResourceType, UniqueId};
use crate::rows::ColumnType;

/// The columns of the resource; found out once a run.
pub(super) async fn columns_of(session: &Arc<Session>, id: &UniqueId) -> Result<Arc<Vec<ColumnType>>, Failure> {
    if let Some(known) = session.input_columns(id) {
        return Ok(known);
    }
    let columns = Arc::new(look(session, id).await?);
    session.keep_input_columns(id, &columns);
    Ok(columns)
}

/// The same for the tested model itself, which this run may be about to replace.
pub(super) async fn columns_of_this(session: &Arc<Session>, id: &UniqueId) -> Result<Arc<Vec<ColumnType>>, Failure> {
    look(session, id).await.map(Arc::new)
}

fn look<'a>(session: &'a Arc<Session>, id: &'a UniqueId) -> BoxFuture<'a, Result<Vec<ColumnType>, Failure>> {
    async move {
        let manifest = &session.run.manifest;
        if let Some(source) = manifest.sources.get(id) {
            let built = built(session, &source.relation()).await?;
            let declared = source
                .columns
                .values()
                .filter_map(|column| Some(ColumnType { name: column.name.clone(), data_type: column.data_type.clone()? }));
            let columns = if built.is_empty() { declared.collect() } else { built };
            return Ok(some(columns, &format!("source `{}.{}`", source.source_name, source.name))?);
        }
        let Some(node) = manifest.nodes.get(id) else { return Ok(some(Vec::new(), id.as_str())?) };
        let columns = if node.is_ephemeral() { Vec::new() } else { built(session, &node.relation()).await? };
        match (columns.is_empty(), node.resource_type) {
            (true, ResourceType::Seed) => {
                let load = seed_load(node);
                session.run.adapter.seed_columns(&load).await.map_err(|error| Failure::Database { error, sent: None })
            }
            (true, ResourceType::Model) => of_code(session, node).await,
            _ => Ok(some(columns, &format!("{} `{}`", node.resource_type, node.name))?),
        }
    }
    .boxed()
}

async fn built(session: &Session, relation: &Relation) -> Result<Vec<ColumnType>, Failure> {
    session.run.adapter.columns(relation).await.map_err(|error| Failure::Database { error, sent: None })
}

fn some(columns: Vec<ColumnType>, what: &str) -> Outcome<Vec<ColumnType>> {
    if columns.is_empty() {
        let message = format!("Not able to get columns for the rows given for {what}: the relation does not exist");
        let help = "build it first, or give its rows as SQL (`format: sql`)";
        return Diagnostic::error("unit-test-columns", message).help(help).fail();
    }
    Ok(columns)
}

/// What the model's query gives, planned over parents without rows.
async fn of_code(session: &Arc<Session>, node: &Node) -> Result<Vec<ColumnType>, Failure> {
    let mut inputs = Inputs::new();
    for parent in &node.depends_on.nodes {
        let columns = columns_of(session, parent).await?;
        inputs.insert(parent.clone(), Fixture::Sql(fixture_sql(&format!("'{}'", parent.as_str()), &[], &columns)?));
    }
    let (context, node) = (session.context.clone(), Arc::new(node.clone()));
    let subject = node.clone();
    let compiled = session.blocking(move || compile_over_inputs(&subject, &subject, inputs, &Json::Null, &context)).await?;
    session.run.adapter.query_columns(&compiled.sql).await.map_err(|error| {
        let message = format!("the columns of model `{}` ({}) cannot be told: {error}", node.name, node.original_file_path);
        Failure::Runtime(message)
    })
}
