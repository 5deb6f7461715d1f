//! `information_schema`: the relations and columns of the warehouse, as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::session::{Engine, Scope};
use crate::lake::{Entry, LakeError, LakeResult, TableName};
use crate::sql::type_name;

/// One of `information_schema`'s tables; `None` if there is none of that name.
pub async fn table(scope: &Arc<Scope>, name: &str) -> LakeResult<Option<RecordBatch>> {
    let engine = scope.engine();
    match name {
        "schemata" => schemata(engine).await.map(Some),
        "tables" => tables(engine, false).await.map(Some),
        "views" => tables(engine, true).await.map(Some),
        "columns" => columns(engine).await.map(Some),
        _ => Ok(None),
    }
}

/// `BASE TABLE`, `VIEW`, `FOREIGN`, as PostgreSQL names them.
fn table_type(entry: Option<&Entry>) -> &'static str {
    match entry {
        Some(Entry::View(_)) => "VIEW",
        Some(Entry::External(_)) => "FOREIGN",
        _ => "BASE TABLE",
    }
}

async fn relations(engine: &Engine) -> LakeResult<Vec<(TableName, Option<Entry>)>> {
    let mut relations = Vec::new();
    for schema in engine.lake.schemas().await? {
        let listed = engine.lake.list(&schema).await?;
        relations.extend(listed.into_iter().map(|(table, entry)| (TableName::new(schema.as_str(), table), entry)));
    }
    Ok(relations)
}

async fn schemata(engine: &Engine) -> LakeResult<RecordBatch> {
    let schemas = engine.lake.schemas().await?;
    let rows = schemas.into_iter().map(|schema| vec![Some(engine.database.clone()), Some(schema)]).collect();
    text_batch(&["catalog_name", "schema_name"], rows)
}

async fn tables(engine: &Engine, views: bool) -> LakeResult<RecordBatch> {
    let mut rows = Vec::new();
    for (name, entry) in relations(engine).await? {
        let is_view = matches!(entry, Some(Entry::View(_)));
        if views && !is_view {
            continue;
        }
        let last = match &entry {
            Some(Entry::View(view)) if views => view.sql.clone(),
            entry => table_type(entry.as_ref()).to_string(),
        };
        rows.push(vec![Some(engine.database.clone()), Some(name.schema), Some(name.table), Some(last)]);
    }
    let last = if views { "view_definition" } else { "table_type" };
    text_batch(&["table_catalog", "table_schema", "table_name", last], rows)
}

async fn columns(engine: &Arc<Engine>) -> LakeResult<RecordBatch> {
    let mut rows = Vec::new();
    let mut positions = Vec::new();
    for (name, _) in relations(engine).await? {
        // A view whose parent is gone has no columns to tell of.
        let Ok(schema) = super::relation_schema(engine, &name).await else { continue };
        for (position, field) in (1_i32..).zip(schema.fields()) {
            positions.push(position);
            rows.push(vec![
                Some(engine.database.clone()),
                Some(name.schema.clone()),
                Some(name.table.clone()),
                Some(field.name().clone()),
                Some(type_name(field.data_type())),
                Some("YES".to_string()),
            ]);
        }
    }
    let names = ["table_catalog", "table_schema", "table_name", "column_name", "data_type", "is_nullable"];
    let batch = text_batch(&names, rows)?;
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("ordinal_position", DataType::Int32, true)));
    let mut arrays = batch.columns().to_vec();
    arrays.push(Arc::new(Int32Array::from(positions)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(LakeError::from)
}

fn text_batch(names: &[&str], rows: Vec<Vec<Option<String>>>) -> LakeResult<RecordBatch> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let column = |index: usize| -> ArrayRef { Arc::new(StringArray::from_iter(rows.iter().map(|row| row[index].as_deref()))) };
    let arrays = (0..names.len()).map(column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(LakeError::from)
}
