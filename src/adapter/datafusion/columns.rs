//! A table's columns: added without touching rows, dropped, renamed and retyped by writing the rows anew.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::change;
use super::session::{Engine, Scope, delta_provider};
use super::statement::{Done, known_type, place};
use crate::lake::{Lake, LakeError, Replacement, TableName, partition_columns, storable, write_streams};
use crate::name::quote_identifier;
use crate::rows::ColumnType;
use crate::sql::AlterColumn;

/// How often a change of columns is done again because another writer was faster.
const MOST_ATTEMPTS: usize = 20;

pub async fn drop_columns(engine: &Arc<Engine>, name: &TableName, columns: Vec<String>) -> Done<()> {
    reshape(engine, name, &Reshaping { dropped: columns, ..Reshaping::default() }).await
}

pub async fn retype_columns(engine: &Arc<Engine>, name: &TableName, columns: &[ColumnType]) -> Done<()> {
    let typed = |column: &ColumnType| Ok((column.name.clone(), known_type(&column.name, &column.data_type)?));
    let typed = columns.iter().map(typed).collect::<Done<Vec<_>>>()?;
    reshape(engine, name, &Reshaping { typed, ..Reshaping::default() }).await
}

pub async fn alter(engine: &Arc<Engine>, name: &TableName, change: AlterColumn) -> Done<()> {
    let reshaping = match change {
        AlterColumn::Nothing => return Ok(()),
        AlterColumn::RenameTable { to } => return Ok(engine.lake.rename(name, &place(engine, &to)).await?),
        AlterColumn::Add { column, if_not_exists } => {
            return add_column(engine, name, &column.name, &column.data_type, if_not_exists).await;
        }
        AlterColumn::Drop { column, if_exists } => {
            let schema = change::table_schema(&change::table(engine, name).await?)?;
            if if_exists && !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(&column)) {
                return Ok(());
            }
            Reshaping { dropped: vec![column], ..Reshaping::default() }
        }
        AlterColumn::Rename { from, to } => Reshaping { renamed: vec![(from, to)], ..Reshaping::default() },
        AlterColumn::Retype { column, data_type } => {
            let data_type = known_type(&column, &data_type)?;
            Reshaping { typed: vec![(column, data_type)], ..Reshaping::default() }
        }
    };
    reshape(engine, name, &reshaping).await
}

pub async fn add_column(engine: &Engine, name: &TableName, column: &str, data_type: &str, if_not_exists: bool) -> Done<()> {
    let data_type = known_type(column, data_type)?;
    let _guard = engine.lake.lock(name).await;
    let folder = engine.lake.storage().folder(name)?;
    for _ in 0..MOST_ATTEMPTS {
        let table = change::table(engine, name).await?;
        let schema = change::table_schema(&table)?;
        if schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column)) {
            if if_not_exists {
                return Ok(());
            }
            return Err(LakeError::new("column-exists", format!("{name} has a column \"{column}\" already")).into());
        }
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(column, data_type.clone(), true)));
        let wider = storable(&Schema::new(fields))?;
        if engine.lake.alter(&folder, &table, &wider, &Lake::notes(&table)?).await? {
            return Ok(());
        }
    }
    Err(LakeError::new("table-contended", format!("other writers keep changing {name}")).into())
}

/// Changes of columns that need the rows written anew.
#[derive(Debug, Default)]
struct Reshaping {
    dropped: Vec<String>,
    renamed: Vec<(String, String)>,
    typed: Vec<(String, DataType)>,
}

impl Reshaping {
    /// The columns afterwards: old name and new field.
    fn fields(&self, schema: &SchemaRef, name: &TableName) -> Result<Vec<(String, Field)>, LakeError> {
        let named = self
            .dropped
            .iter()
            .chain(self.renamed.iter().map(|(from, _)| from))
            .chain(self.typed.iter().map(|(column, _)| column));
        for column in named {
            if !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column)) {
                return Err(LakeError::new("column-missing", format!("{name} has no column \"{column}\"")));
            }
        }
        let is = |field: &Field, column: &String| field.name().eq_ignore_ascii_case(column);
        let kept = schema.fields().iter().filter(|field| !self.dropped.iter().any(|column| is(field, column)));
        let fields = kept.map(|field| {
            let new_name = self.renamed.iter().find(|(from, _)| is(field, from)).map_or(field.name(), |(_, to)| to);
            let new_type = self.typed.iter().find(|(column, _)| is(field, column)).map_or(field.data_type(), |(_, new)| new);
            (field.name().clone(), Field::new(new_name, new_type.clone(), true))
        });
        Ok(fields.collect())
    }
}

async fn reshape(engine: &Arc<Engine>, name: &TableName, reshaping: &Reshaping) -> Done<()> {
    let _guard = engine.lake.lock(name).await;
    let folder = engine.lake.storage().folder(name)?;
    for _ in 0..MOST_ATTEMPTS {
        let table = change::table(engine, name).await?;
        let fields = reshaping.fields(&change::table_schema(&table)?, name)?;
        let schema = storable(&Schema::new(fields.iter().map(|(_, field)| field.clone()).collect::<Vec<_>>()))?;
        let mut notes = Lake::notes(&table)?;
        let renamed = |old: &str| fields.iter().find(|(name, _)| name == old).map(|(_, field)| field.name().clone());
        notes.column_descriptions =
            notes.column_descriptions.into_iter().filter_map(|(old, text)| Some((renamed(&old)?, text))).collect();
        notes.cluster_by = notes.cluster_by.iter().filter_map(|old| renamed(old)).collect();
        let old_partitions = partition_columns(table.snapshot().map_err(LakeError::from)?.metadata());
        let partition_by: Vec<String> = old_partitions.iter().filter_map(|old| renamed(old)).collect();
        let given = HashMap::from([("__all".to_string(), delta_provider(engine, &table).await?)]);
        let columns: Vec<String> = fields.iter().map(|(old, _)| quote_identifier(old)).collect();
        let (session, plan) =
            Scope::with(Arc::clone(engine), given).plan(&format!("select {} from __all", columns.join(", "))).await?;
        let (_, streams) = change::streams(&session, &plan).await?;
        let written = write_streams(folder.log().object_store(None), &schema, &partition_by, streams).await?;
        let replacement = Replacement { added: &written.files, notes: &notes, base: table.version() };
        if engine.lake.replace(&folder, &schema, &partition_by, replacement).await? {
            return Ok(());
        }
    }
    Err(LakeError::new("table-contended", format!("other writers keep changing {name}")).into())
}
