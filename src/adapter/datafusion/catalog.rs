//! What the catalog tells of a relation.

use std::sync::Arc;

use super::rows;
use super::session::Engine;
use super::statement::{Done, place};
use crate::adapter::CatalogEntry;
use crate::lake::{Lake, LakeError, Object, TableNotes};
use crate::name::{Relation, RelationType};
use crate::rows::ColumnType;

/// What the catalog tells of a relation.
pub async fn catalog_entry(engine: &Arc<Engine>, relation: &Relation, relation_type: RelationType) -> Done<Option<CatalogEntry>> {
    let name = place(engine, relation);
    let (notes, stats) = match engine.lake.resolve(&name).await? {
        None => return Ok(None),
        Some(Object::Table(table)) => (Lake::notes(&table)?, table_stats(&table)?),
        Some(Object::View(view)) => {
            let notes = TableNotes { description: view.description, column_descriptions: view.columns, ..TableNotes::default() };
            (notes, Vec::new())
        }
        Some(_) => (TableNotes::default(), Vec::new()),
    };
    // A view whose parent is gone is still in the catalog, without columns.
    let columns = match super::relation_schema(engine, &name).await {
        Ok(schema) => rows::column_types(&schema),
        Err(_) => Vec::new(),
    };
    let comment = |column: &ColumnType| {
        notes.column_descriptions.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name)).map(|(_, text)| text.clone())
    };
    Ok(Some(CatalogEntry {
        relation: relation.clone(),
        relation_type,
        comment: notes.description.clone(),
        owner: None,
        columns: columns
            .into_iter()
            .map(|column| (comment(&column), column))
            .map(|(comment, column)| (column, comment))
            .collect(),
        stats,
    }))
}

type Stat = (String, String, serde_json::Value, String);

/// Rows, bytes and the last commit's time, from the log alone.
fn table_stats(table: &deltalake::DeltaTable) -> Result<Vec<Stat>, LakeError> {
    let state = table.snapshot()?;
    let (mut rows, mut bytes) = (Some(0_u64), 0_i64);
    for file in state.log_data().iter() {
        rows = rows.zip(file.num_records()).map(|(sum, more)| sum + more as u64);
        bytes += file.size();
    }
    let modified = state.version_timestamp(state.version()).and_then(chrono::DateTime::from_timestamp_millis);
    let stat = |id: &str, label: &str, value: serde_json::Value, description: &str| {
        (id.to_string(), label.to_string(), value, description.to_string())
    };
    let mut stats = Vec::new();
    stats.extend(rows.map(|rows| stat("num_rows", "# Rows", rows.into(), "Number of rows in the table")));
    stats.push(stat("num_bytes", "Approximate size", bytes.into(), "Bytes of the table's data files"));
    stats.extend(modified.map(|at| {
        let text = at.format("%Y-%m-%d %H:%M:%S%:z").to_string();
        stat("last_modified", "Last modified", text.into(), "Time of the last commit")
    }));
    Ok(stats)
}
