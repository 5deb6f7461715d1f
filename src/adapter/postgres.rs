//! PostgreSQL. Nodes are built by the materialization macros, each on a connection of its own; what the engine is asked besides
//! is answered from its catalog.

mod session;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};

use self::session::{Pool, Session};
use super::{Adapter, AdapterError, Capabilities, CatalogEntry, Effect, ExternalTable, Operation};
use crate::name::{Relation, RelationType, quote_identifier};
use crate::rows::{Answer, Cell, ColumnType, Rows};
use crate::wire::{Settings, WireError};

/// A database, or one node's connection to it.
pub struct Postgres {
    pool: Arc<Pool>,
    /// None: every call takes a connection for itself and commits.
    session: Option<Session>,
}

impl Postgres {
    /// Reads the settings; connects when first asked.
    ///
    /// # Errors
    /// `settings-invalid`
    pub fn connect(database: &str, threads: usize, settings: &Map<String, Json>) -> Result<Self, AdapterError> {
        Ok(Self { pool: Pool::new(Settings::read(settings, database)?, threads), session: None })
    }

    async fn run(&self, sql: &str, begin: bool) -> Result<Answer, AdapterError> {
        match &self.session {
            Some(session) => session.answer(sql, begin).await,
            None => self.pool.run(sql).await,
        }
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Vec<Cell>>, AdapterError> {
        Ok(self.run(sql, false).await?.rows.rows)
    }
}

impl From<WireError> for AdapterError {
    fn from(error: WireError) -> Self {
        let WireError { code, message, position, help } = error;
        Self { code, message, position, help }
    }
}

/// A text as an SQL literal. The servers' default, `standard_conforming_strings`, leaves backslashes alone.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn unsupported(what: &str) -> AdapterError {
    AdapterError {
        code: "not-supported",
        message: format!("{what} is not supported on this database"),
        position: None,
        help: None,
    }
}

/// `pg_class.relkind` as a relation's type.
fn kind_of(relkind: &str) -> RelationType {
    match relkind {
        "v" => RelationType::View,
        "m" => RelationType::MaterializedView,
        "f" => RelationType::External,
        _ => RelationType::Table,
    }
}

fn text(cell: Option<&Cell>) -> String {
    cell.map(Cell::display).unwrap_or_default()
}

#[async_trait]
impl Adapter for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities { late_bound_views: false, merge: true, add_column: true, longest_name: Some(63) }
    }

    fn builds_by_macros(&self) -> bool {
        true
    }

    fn session(&self) -> Option<Arc<dyn Adapter>> {
        let session = Some(Session::new(self.pool.clone()));
        Some(Arc::new(Self { pool: self.pool.clone(), session }))
    }

    async fn end(&self) {
        if let Some(session) = &self.session {
            session.end().await;
        }
    }

    fn driver_columns(&self, columns: Vec<ColumnType>) -> Vec<ColumnType> {
        columns.into_iter().map(|column| ColumnType { data_type: value::driver_type(&column.data_type), ..column }).collect()
    }

    async fn clear_transaction(&self) {
        if let Some(session) = &self.session {
            session.clear_transaction().await;
        }
    }

    async fn query(&self, sql: &str, limit: Option<usize>) -> Result<Rows, AdapterError> {
        let sql = sql.trim().trim_end_matches(';');
        match limit {
            None => Ok(self.run(sql, false).await?.rows),
            Some(limit) => Ok(self.run(&format!("select * from (\n{sql}\n) as __query limit {limit}"), false).await?.rows),
        }
    }

    async fn execute(&self, sql: &str) -> Result<Rows, AdapterError> {
        Ok(self.run(sql, false).await?.rows)
    }

    async fn answer(&self, sql: &str, begin: bool) -> Result<Answer, AdapterError> {
        self.run(sql, begin).await
    }

    async fn commit(&self) -> Result<(), AdapterError> {
        match &self.session {
            Some(session) => session.commit().await,
            None => Ok(()),
        }
    }

    async fn load_rows(
        &self,
        relation: &Relation,
        columns: &[String],
        rows: &[Vec<Option<String>>],
    ) -> Result<Answer, AdapterError> {
        match &self.session {
            Some(session) => session.load_rows(relation, columns, rows).await,
            None => Err(unsupported("loading rows outside of a node")),
        }
    }

    async fn apply(&self, operation: Operation) -> Result<Effect, AdapterError> {
        let sql = match operation {
            Operation::CreateSchema { schema, .. } => {
                // Asked first: to make a schema that is there already still needs the right to make one.
                if self.list_schemas().await?.contains(&schema) {
                    return Ok(Effect::default());
                }
                format!("create schema if not exists {}", quote_identifier(&schema))
            }
            Operation::Drop { relation, relation_type } => {
                let Some(kind) = relation_type.or(self.relation_type(&relation).await?) else { return Ok(Effect::default()) };
                format!("drop {} if exists {relation} cascade", kind.as_str().replace('_', " "))
            }
            Operation::Statement { sql } => sql,
            _ => return Err(unsupported("building without a materialization macro")),
        };
        let answer = self.run(&sql, false).await?;
        Ok(Effect { message: answer.message, rows_affected: answer.rows.rows_affected })
    }

    async fn relation_type(&self, relation: &Relation) -> Result<Option<RelationType>, AdapterError> {
        let schema = match &relation.schema {
            Some(schema) => literal(schema),
            None => "any (current_schemas(true))".to_string(),
        };
        let rows = self
            .rows(&format!(
                "select c.relkind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname = {schema} and c.relname = {}",
                literal(&relation.identifier)
            ))
            .await?;
        Ok(rows.first().map(|row| kind_of(&text(row.first()))))
    }

    async fn columns(&self, relation: &Relation) -> Result<Vec<ColumnType>, AdapterError> {
        let schema = relation.schema.as_deref().unwrap_or_default();
        let rows = self
            .rows(&format!(
                "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a \
                 join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = {} and c.relname = {} and a.attnum > 0 and not a.attisdropped order by a.attnum",
                literal(schema),
                literal(&relation.identifier)
            ))
            .await?;
        Ok(rows.iter().map(|row| ColumnType { name: text(row.first()), data_type: text(row.get(1)) }).collect())
    }

    async fn query_columns(&self, sql: &str) -> Result<Vec<ColumnType>, AdapterError> {
        Ok(self.query(sql, Some(0)).await?.columns)
    }

    async fn list_relations(&self, schema: &str) -> Result<Vec<(Relation, RelationType)>, AdapterError> {
        let rows = self
            .rows(&format!(
                "select c.relname, c.relkind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname = {} order by 1",
                literal(schema)
            ))
            .await?;
        let database = self.pool.settings.database.as_str();
        let relation = |row: &Vec<Cell>| Relation::new(Some(database), Some(schema), &text(row.first()));
        Ok(rows.iter().map(|row| (relation(row), kind_of(&text(row.get(1))))).collect())
    }

    async fn list_schemas(&self) -> Result<Vec<String>, AdapterError> {
        let rows = self.rows("select nspname from pg_catalog.pg_namespace order by 1").await?;
        Ok(rows.iter().map(|row| text(row.first())).collect())
    }

    async fn rename(&self, from: &Relation, to: &Relation) -> Result<(), AdapterError> {
        let name = quote_identifier(&to.identifier);
        self.run(&format!("alter table {from} rename to {name}"), false).await.map(|_| ())
    }

    async fn stage_external(&self, _table: &ExternalTable) -> Result<String, AdapterError> {
        Err(unsupported("`external:`"))
    }

    async fn catalog(&self, relations: &[Relation]) -> Result<Vec<CatalogEntry>, AdapterError> {
        if relations.is_empty() {
            return Ok(Vec::new());
        }
        let named = |relation: &Relation| {
            format!("({}, {})", literal(relation.schema.as_deref().unwrap_or_default()), literal(&relation.identifier))
        };
        let wanted = relations.iter().map(named).collect::<Vec<_>>().join(", ");
        let rows = self
            .rows(&format!(
                "select n.nspname, c.relname, c.relkind, obj_description(c.oid, 'pg_class'), pg_get_userbyid(c.relowner), a.attname, \
                 format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum) \
                 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
                 where c.relkind in ('r', 'p', 'v', 'm', 'f') and (n.nspname, c.relname) in ({wanted}) order by 1, 2, a.attnum"
            ))
            .await?;
        Ok(catalog_entries(&self.pool.settings.database, &rows))
    }
}

/// A row a column, as an entry a relation.
fn catalog_entries(database: &str, rows: &[Vec<Cell>]) -> Vec<CatalogEntry> {
    let optional = |cell: Option<&Cell>| cell.filter(|cell| **cell != Cell::Null).map(Cell::display);
    let mut entries: Vec<CatalogEntry> = Vec::new();
    for row in rows {
        let relation = Relation::new(Some(database), Some(&text(row.first())), &text(row.get(1)));
        if entries.last().is_none_or(|last| last.relation != relation) {
            entries.push(CatalogEntry {
                relation,
                relation_type: kind_of(&text(row.get(2))),
                comment: optional(row.get(3)),
                owner: optional(row.get(4)),
                columns: Vec::new(),
                stats: Vec::new(),
            });
        }
        let column = ColumnType { name: text(row.get(5)), data_type: text(row.get(6)) };
        if let Some(last) = entries.last_mut() {
            last.columns.push((column, optional(row.get(7))));
        }
    }
    entries
}
