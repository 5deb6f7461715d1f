//! Adapters: one file an engine, one row in [`ADAPTERS`]. The bridge hands them operations and SQL text; they know relations,
//! schemas and batches, never nodes.

mod datafusion;
mod postgres;

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use crate::lake::{Lake, SeedOptions, read_seed_text};
use crate::name::{Relation, RelationType};
use crate::rows::{Answer, Cell, ColumnType, Rows};

pub use crate::sql::{ColumnSources, FunctionArgument, QueryLineage, SqlFunction, TableColumn};

/// What went wrong outside the project's text: the engine's own message, with the place in the SQL where it knows one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AdapterError {
    /// Stable kebab-case name: `sql-parse`, `sql-plan`, `sql-run`, `relation-missing`, `external-row`, `io` …
    pub code: &'static str,
    pub message: String,
    /// Line and column in the statement sent, from 1.
    pub position: Option<(u32, u32)>,
    /// What may help: nearest names, the expected form.
    pub help: Option<String>,
}

/// What the engine can do; asked instead of its name.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// A view keeps working when its parent is replaced.
    pub late_bound_views: bool,
    /// Merge needs a `unique_key` and is one atomic commit.
    pub merge: bool,
    /// `alter table … add column`.
    pub add_column: bool,
    /// How many characters a relation's name may have.
    pub longest_name: Option<usize>,
}

/// How rows enter a table that exists already.
#[derive(Clone, Debug, PartialEq)]
pub enum IncrementalWrite {
    Append,
    /// Rows that match on `keys` are updated (only `update_columns` where given), others inserted.
    Merge {
        keys: Vec<String>,
        update_columns: Option<Vec<String>>,
        predicates: Vec<String>,
    },
    /// Rows whose `keys` (columns, or SQL over the columns) appear in the new rows are deleted first; same commit.
    DeleteInsert {
        keys: Vec<String>,
        predicates: Vec<String>,
    },
    /// Rows whose `keys` (columns, or SQL over the columns) have values that the new rows have too are replaced by the new rows,
    /// nulls being a value; without keys, all rows. One commit.
    InsertOverwrite {
        keys: Vec<String>,
    },
    /// Rows for which `replaced` (SQL) holds make place for the new rows for which `taken` holds; same commit.
    ReplaceWhere {
        replaced: String,
        taken: String,
    },
}

/// One thing to do to the database, decided by a materialization, done by an adapter in one atomic step.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    CreateSchema {
        database: Option<String>,
        schema: String,
    },
    /// Create or replace; replaces a table of that name too.
    CreateView {
        relation: Relation,
        sql: String,
        description: Option<String>,
    },
    /// Create or replace.
    CreateFunction {
        relation: Relation,
        function: SqlFunction,
    },
    /// Create or replace atomically from a query; replaces a view of that name too.
    CreateTableAs {
        relation: Relation,
        sql: String,
        options: TableOptions,
    },
    /// Write a query's rows into an existing table.
    Write {
        relation: Relation,
        sql: String,
        write: IncrementalWrite,
    },
    /// Bring a snapshot's table up to date: versions end and begin, columns are added, all in one commit.
    Snapshot {
        relation: Relation,
        /// The changes: `dbt_change_type` (`insert`, or `update` and `delete` for a version that ends), the id and the end of
        /// the version, and for inserts the table's other columns by name.
        sql: String,
        versions: VersionColumns,
    },
    /// Comments on a relation and its columns, where they differ from those it has.
    Describe {
        relation: Relation,
        description: Option<String>,
        column_descriptions: Vec<(String, String)>,
    },
    AddColumns {
        relation: Relation,
        columns: Vec<ColumnType>,
    },
    DropColumns {
        relation: Relation,
        columns: Vec<String>,
    },
    /// Gives columns another type; their values are cast.
    RetypeColumns {
        relation: Relation,
        columns: Vec<ColumnType>,
    },
    /// Create or replace a table from a CSV file; absent column types are inferred.
    LoadSeed {
        relation: Relation,
        file: std::path::PathBuf,
        delimiter: char,
        column_types: Vec<(String, String)>,
        quote_columns: bool,
    },
    /// Create or replace a table that has the rows of another one, without writing them again.
    CloneTable {
        relation: Relation,
        source: Relation,
    },
    Drop {
        relation: Relation,
        relation_type: Option<RelationType>,
    },
    /// A statement as written: hooks, `run_query`, custom SQL.
    Statement {
        sql: String,
    },
}

/// Which columns of a snapshot say which version a row is and when it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionColumns {
    pub id: String,
    pub valid_to: String,
    /// What `valid_to` holds, as SQL, while the version is valid; null counts as that too.
    pub current: Option<String>,
    /// Columns of the changes that the table does not keep.
    pub dropped: Vec<String>,
}

/// Physical layout of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOptions {
    pub partition_by: Vec<String>,
    /// Columns by which the rows of each write are sorted, so that readers can pass over files and row groups.
    pub cluster_by: Vec<String>,
    pub description: Option<String>,
    pub column_descriptions: Vec<(String, String)>,
    /// Held to by this write and all later ones.
    pub constraints: Vec<Constraint>,
}

/// A condition, as SQL, that no row of a table may break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    pub name: String,
    pub expression: String,
}

/// What an operation did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    /// `SELECT 1500`, `CREATE VIEW`, `INSERT 20`, `MERGE 7`: dbt's adapter message.
    pub message: String,
    pub rows_affected: Option<u64>,
}

/// An external table to be known under a relation's name.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalTable {
    pub relation: Relation,
    /// The `external:` block, rendered.
    pub external: serde_json::Map<String, serde_json::Value>,
    /// Declared columns with their types, in order.
    pub columns: Vec<ColumnType>,
    /// Relative locations are below this folder (the project root).
    pub base: std::path::PathBuf,
}

/// What a project says of a relation's columns before the relation exists.
#[derive(Clone, Debug, PartialEq)]
pub enum Declared {
    /// Names and types, as declared or known otherwise.
    Columns(Vec<ColumnType>),
    External(ExternalTable),
    /// A seed: the header of its file, with types given or guessed from its values.
    Seed {
        file: std::path::PathBuf,
        delimiter: char,
        column_types: Vec<(String, String)>,
        quote_columns: bool,
    },
}

/// A query to be planned without running it.
#[derive(Clone, Debug, Default)]
pub struct QueryToPlan<'a> {
    pub sql: &'a str,
    /// Relations that the query may name and what is known of them; nothing where their columns are not known. Other relations
    /// are looked up in the database.
    pub relations: Vec<(Relation, Option<SchemaRef>)>,
    /// CTEs that lineage ends at, as if they were tables.
    pub ends: Vec<String>,
}

/// A query that has been planned.
#[derive(Clone, Debug)]
pub struct PlannedQuery {
    pub columns: SchemaRef,
    /// The columns' types as the engine names them, in the same order.
    pub types: Vec<String>,
    pub lineage: QueryLineage,
}

/// What `catalog.json` needs of one relation.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEntry {
    pub relation: Relation,
    pub relation_type: RelationType,
    pub comment: Option<String>,
    pub owner: Option<String>,
    pub columns: Vec<(ColumnType, Option<String>)>,
    /// `num_rows`, `num_bytes`, `last_modified` …: id, label, value, description.
    pub stats: Vec<(String, String, serde_json::Value, String)>,
}

/// An engine that holds relations and runs SQL. Every method may be called from many tasks at once.
#[async_trait]
pub trait Adapter: Send + Sync {
    fn capabilities(&self) -> Capabilities;
    /// Whether nodes are built by materialization macros, and relations listed and changed by the macros of those names;
    /// otherwise [`Operation`]s do it.
    fn builds_by_macros(&self) -> bool {
        false
    }
    /// A query's rows, at most `limit` of them if given.
    async fn query(&self, sql: &str, limit: Option<usize>) -> Result<Rows, AdapterError>;
    /// A query whose tables are read as they were: `as_of` is a version's number or a moment.
    async fn query_as_of(&self, _sql: &str, _limit: Option<usize>, as_of: &str) -> Result<Rows, AdapterError> {
        Err(AdapterError {
            code: "time-travel-unsupported",
            message: format!("this engine keeps no versions of its tables: nothing can be read as of {as_of}"),
            position: None,
            help: None,
        })
    }
    /// Any statement or several separated by `;`; the last one's rows.
    async fn execute(&self, sql: &str) -> Result<Rows, AdapterError>;
    async fn apply(&self, operation: Operation) -> Result<Effect, AdapterError>;
    /// A connection of its own for one node's work, where the engine has connections: statements see what earlier ones did, and
    /// what is not committed when the last reference goes is undone. None: every call stands for itself.
    fn session(&self) -> Option<Arc<dyn Adapter>> {
        None
    }
    /// Ends this session's work: what is not committed is undone, and its connection is free for the next node.
    async fn end(&self) {}
    /// A result's columns with the types that dbt's driver names, which are coarser: what contracts are compared by.
    fn driver_columns(&self, columns: Vec<ColumnType>) -> Vec<ColumnType> {
        columns
    }
    /// One or more statements with the engine's word on the last one. `begin`: within a transaction that [`commit`](Self::commit)
    /// ends.
    async fn answer(&self, sql: &str, begin: bool) -> Result<Answer, AdapterError> {
        let _ = begin;
        Ok(Answer { message: "OK".to_string(), rows: self.execute(sql).await? })
    }
    /// Appends rows of text, none for null, to a table within this session's transaction.
    async fn load_rows(
        &self,
        relation: &Relation,
        columns: &[String],
        rows: &[Vec<Option<String>>],
    ) -> Result<Answer, AdapterError> {
        let _ = (columns, rows);
        let message = format!("rows cannot be loaded into {relation} here");
        Err(AdapterError { code: "rows-not-loaded", message, position: None, help: None })
    }
    /// Ends the transaction of this session; without one an error, as dbt has it.
    async fn commit(&self) -> Result<(), AdapterError> {
        Ok(())
    }
    /// Ends what is open in this session; each further statement commits itself, as dbt has it around project hooks and
    /// operations.
    async fn clear_transaction(&self) {}
    /// What the relation is, if it exists.
    async fn relation_type(&self, relation: &Relation) -> Result<Option<RelationType>, AdapterError>;
    async fn columns(&self, relation: &Relation) -> Result<Vec<ColumnType>, AdapterError>;
    /// The columns a query would give, without running it.
    async fn query_columns(&self, sql: &str) -> Result<Vec<ColumnType>, AdapterError>;
    /// The columns a seed's file would give as a table, for [`Operation::LoadSeed`]; nothing is written.
    async fn seed_columns(&self, _load: &Operation) -> Result<Vec<ColumnType>, AdapterError> {
        Err(AdapterError {
            code: "seed-columns",
            message: "this engine tells a seed's columns only after it is loaded".to_string(),
            position: None,
            help: Some("run `seed` first".to_string()),
        })
    }
    /// Plans a query over relations that need not exist. Nothing if it cannot be told: a relation's columns are not known, or
    /// the engine does not plan.
    async fn plan(&self, _query: &QueryToPlan<'_>) -> Result<Option<PlannedQuery>, AdapterError> {
        Ok(None)
    }
    /// The columns that a declaration gives, nothing if it says too little; files are read as far as types must be guessed.
    async fn declared_columns(&self, _declared: &Declared) -> Result<Option<SchemaRef>, AdapterError> {
        Ok(None)
    }
    /// The columns of a relation that exists, in the engine's own types; nothing if it does not exist.
    async fn stored_columns(&self, _relation: &Relation) -> Result<Option<SchemaRef>, AdapterError> {
        Ok(None)
    }
    async fn list_relations(&self, schema: &str) -> Result<Vec<(Relation, RelationType)>, AdapterError>;
    async fn list_schemas(&self) -> Result<Vec<String>, AdapterError>;
    async fn rename(&self, from: &Relation, to: &Relation) -> Result<(), AdapterError>;
    /// Registers or refreshes an external table; returns a line for people.
    async fn stage_external(&self, table: &ExternalTable) -> Result<String, AdapterError>;
    async fn catalog(&self, relations: &[Relation]) -> Result<Vec<CatalogEntry>, AdapterError>;
    /// From now on what is done to the relation is seen by this adapter only, until it is published or discarded.
    async fn hold(&self, relation: &Relation) -> Result<(), AdapterError> {
        Err(AdapterError {
            code: "audit-unsupported",
            message: format!("{relation}: this engine cannot hold a version back until it is tested"),
            position: None,
            help: Some("leave out --audit".into()),
        })
    }
    /// Makes what was held back the relation's state for everybody, in one step.
    async fn publish(&self, _relation: &Relation) -> Result<(), AdapterError> {
        Ok(())
    }
    /// Forgets what was held back.
    async fn discard(&self, _relation: &Relation) -> Result<(), AdapterError> {
        Ok(())
    }
    /// The newest value of a source's `loaded_at` expression, as UTC; for `source freshness`.
    async fn max_loaded_at(&self, sql: &str) -> Result<Option<DateTime<Utc>>, AdapterError> {
        let answer = self.query(sql, Some(1)).await?;
        match answer.rows.first().and_then(|row| row.first()) {
            None | Some(Cell::Null) => Ok(None),
            Some(cell) => instant(&cell.display()).map(Some).ok_or_else(|| AdapterError {
                code: "freshness-type",
                message: format!("`{}` is not a timestamp", cell.display()),
                position: None,
                help: Some("`loaded_at_field` must give a timestamp or a date; cast it if it is text".into()),
            }),
        }
    }
}

/// An engine's types as profiles name them, and how it is opened.
pub struct AdapterKind {
    /// `type:` in a profile; the first is the engine's own name.
    pub types: &'static [&'static str],
    connect: fn(&Target<'_>) -> Result<Arc<dyn Adapter>, AdapterError>,
}

/// What an engine is opened with.
pub struct Target<'a> {
    pub database: &'a str,
    pub schema: &'a str,
    pub threads: usize,
    /// The profile's own mapping of the target: `path`, `memory_limit` …
    pub settings: &'a serde_json::Map<String, serde_json::Value>,
    /// The project's folder: relative paths in `settings` start here.
    pub base: &'a Path,
}

/// Every engine there is.
pub const ADAPTERS: &[AdapterKind] = &[
    AdapterKind {
        types: &["datafusion"],
        connect: |target| {
            let Target { database, schema, threads, settings, base } = *target;
            Ok(Arc::new(datafusion::DataFusion::connect(database, schema, threads, settings, base)?))
        },
    },
    AdapterKind {
        types: &["postgres", "redshift"],
        connect: |target| Ok(Arc::new(postgres::Postgres::connect(target.database, target.threads, target.settings)?)),
    },
];

/// Opens the engine that a profile's `type:` names.
///
/// # Errors
/// `adapter-unknown`, and what the engine says of the target.
pub async fn connect(adapter_type: &str, target: &Target<'_>) -> Result<Arc<dyn Adapter>, AdapterError> {
    let known = || ADAPTERS.iter().flat_map(|kind| kind.types);
    let Some(kind) = ADAPTERS.iter().find(|kind| kind.types.contains(&adapter_type)) else {
        let names: Vec<&str> = known().copied().collect();
        let near = crate::diagnostic::nearest(adapter_type, names.iter().copied()).map(|name| format!("did you mean `{name}`? "));
        return Err(AdapterError {
            code: "adapter-unknown",
            message: format!("there is no engine for `type: {adapter_type}`"),
            position: None,
            help: Some(format!("{}known types are {}", near.unwrap_or_default(), names.join(", "))),
        });
    };
    (kind.connect)(target)
}

/// The lake of a target whose tables lie in one.
///
/// # Errors
/// `ingest-target`: the engine keeps its tables itself.
pub fn lake(adapter_type: &str, target: &Target<'_>) -> Result<Lake, AdapterError> {
    if ADAPTERS.first().is_some_and(|kind| kind.types.contains(&adapter_type)) {
        return Ok(Lake::new(datafusion::storage(target.settings, target.base)?.0));
    }
    Err(AdapterError {
        code: "ingest-target",
        message: format!("a target of the type `{adapter_type}` has no lake that sources could be followed into"),
        position: None,
        help: Some(format!("use a target of the type `{}`", ADAPTERS[0].types[0])),
    })
}

/// A seed's rows with the types dbt would give its columns; columns of `given` types are left text.
///
/// # Errors
/// `seed-invalid`: the file is no CSV with a header.
pub fn seed_rows(file: &Path, delimiter: char, given: &[String]) -> Result<Rows, AdapterError> {
    let column_types = given.iter().map(|name| (name.clone(), "text".to_string())).collect();
    let read = read_seed_text(file, &SeedOptions { delimiter, column_types, quote_columns: true })?;
    let cell = |((_, data_type), text): (&(String, String), Option<String>)| match (data_type.as_str(), text) {
        (_, None) => Cell::Null,
        ("integer" | "bigint", Some(text)) => text.parse().map_or_else(|_| Cell::Decimal(text), Cell::Integer),
        ("double precision", Some(text)) => Cell::Decimal(text),
        (_, Some(text)) => Cell::Text(text),
    };
    let rows = read.rows.into_iter().map(|row| read.columns.iter().zip(row).map(cell).collect()).collect();
    let columns = read.columns.iter().map(|(name, data_type)| ColumnType { name: name.clone(), data_type: data_type.clone() });
    Ok(Rows { columns: columns.collect(), rows, rows_affected: None })
}

/// A timestamp or date as shown; without a zone it is UTC.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z").or_else(|_| DateTime::parse_from_rfc3339(text)) {
        return Some(at.with_timezone(&Utc));
    }
    let local =
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"].iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    Some(local.or_else(day)?.and_utc())
}
