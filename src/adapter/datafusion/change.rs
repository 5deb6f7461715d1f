//! Changes to rows that are there already: update, delete, merge, delete and insert.
//!
//! Delta files are never changed. A query finds the files that hold a row to change, another gives the rows that take
//! their place, and one commit exchanges the files. If another writer committed meanwhile, the work is done again on what
//! it left.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Column;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlanProperties, execute_stream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use deltalake::kernel::{Add, LogicalFileView};
use futures::StreamExt;

use super::constraint::checked;
use super::files::ParquetFiles;
use super::session::{Engine, Scope, delta_provider, partitioned_file, store_url};
use crate::adapter::{AdapterError, Constraint};
use crate::lake::{Change, Folder, Lake, LakeError, Object, TableName, cast_batch, partition_columns, storable, write_streams};
use crate::name::quote_identifier;

/// New rows up to this size are held in memory; more go to scratch files.
const MEMORY_BYTES: usize = 64 << 20;
/// How often a change is done again because another writer was faster.
pub const MOST_ATTEMPTS: usize = 20;
/// The column that tells a row's file.
const FILE: &str = "__file";

/// A change in SQL. Queries see `__old` (the table, with `__file`), `__touched` (the rows of the files to replace) and
/// what is `given`.
pub struct Recipe {
    pub given: HashMap<String, Arc<dyn TableProvider>>,
    /// Gives `__file, n`: the files to replace and how many of their rows change; absent: all files.
    pub touch: Option<String>,
    /// Gives a row if the change must not be made.
    pub refuse: Option<Refusal>,
    /// Whether `rows` needs `__numbered`: `__touched`, computed once, with a number `__row` for each row.
    pub numbered: bool,
    /// All rows that stand in the replaced files' place, columns in the table's order.
    pub rows: String,
}

/// A query that finds what is wrong, and the error it then is.
pub struct Refusal {
    pub query: String,
    pub error: LakeError,
}

/// What a change did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changed {
    /// Rows found by `touch`.
    pub touched: u64,
}

/// The table of this name, or an error that says what is there instead.
pub async fn table(engine: &Engine, name: &TableName) -> Result<DeltaTable, LakeError> {
    match engine.lake.resolve(name).await? {
        Some(Object::Table(table)) => Ok(table),
        Some(Object::View(_)) => Err(LakeError::new("not-a-table", format!("{name} is a view: its rows cannot be changed"))),
        Some(_) => Err(LakeError::new("not-a-table", format!("{name} is an external table: its rows cannot be changed"))),
        None => Err(LakeError::new("relation-missing", format!("relation {name} does not exist"))),
    }
}

/// A table's columns as they are written.
pub fn table_schema(table: &DeltaTable) -> Result<SchemaRef, LakeError> {
    storable(table.snapshot()?.snapshot().arrow_schema().as_ref())
}

/// A plan whose rows come sorted by these columns, nulls last; columns that it does not give are passed over.
pub fn clustered(plan: LogicalPlan, by: &[String]) -> Result<LogicalPlan, AdapterError> {
    let column = |name: &String| {
        let index = plan.schema().fields().iter().position(|field| field.name() == name)?;
        Some(Expr::Column(Column::from(plan.schema().qualified_field(index))).sort(true, false))
    };
    let sorts: Vec<_> = by.iter().filter_map(column).collect();
    if sorts.is_empty() { Ok(plan) } else { Ok(LogicalPlanBuilder::from(plan).sort(sorts)?.build()?) }
}

/// The constraints that a table's rows are held to.
pub fn rules(table: &DeltaTable) -> Result<Vec<Constraint>, LakeError> {
    let notes = Lake::notes(table)?;
    Ok(notes.constraints.into_iter().map(|(name, expression)| Constraint { name, expression }).collect())
}

/// Streams of a plan's result, one a partition.
pub async fn streams(
    session: &SessionContext,
    plan: &LogicalPlan,
) -> Result<(SchemaRef, Vec<SendableRecordBatchStream>), AdapterError> {
    let physical = session.state().create_physical_plan(plan).await?;
    debug_assert!(physical.output_partitioning().partition_count() > 0);
    let schema = physical.schema();
    Ok((schema, execute_stream_partitioned(physical, session.task_ctx())?))
}

/// Makes a change, again if need be, until it is committed on the version it was worked out on.
pub async fn change(engine: &Arc<Engine>, name: &TableName, recipe: &Recipe) -> Result<Changed, AdapterError> {
    let _guard = engine.lake.lock(name).await;
    let folder = engine.lake.storage().folder(name)?;
    for _ in 0..MOST_ATTEMPTS {
        if let Some(changed) = attempt(engine, name, &folder, recipe).await? {
            return Ok(changed);
        }
    }
    Err(LakeError::new("table-contended", format!("other writers keep changing {name}"))
        .help("run again when they are done")
        .into())
}

async fn attempt(
    engine: &Arc<Engine>,
    name: &TableName,
    folder: &Folder,
    recipe: &Recipe,
) -> Result<Option<Changed>, AdapterError> {
    attempt_on(engine, (name, folder), table(engine, name).await?, (recipe, None)).await
}

/// Makes a change of exactly this version of a table, with its new columns if it gets some; none if another writer was faster.
pub async fn attempt_on(
    engine: &Arc<Engine>,
    (name, folder): (&TableName, &Folder),
    table: DeltaTable,
    (recipe, wider): (&Recipe, Option<&SchemaRef>),
) -> Result<Option<Changed>, AdapterError> {
    let files: Vec<LogicalFileView> = table.snapshot().map_err(LakeError::from)?.log_data().iter().collect();
    let mut given = recipe.given.clone();
    let with_file = table.table_provider().with_session(Arc::clone(&engine.base)).with_file_column(FILE).await?;
    given.insert("__old".into(), with_file);
    let (touched, count) = match &recipe.touch {
        None => (files, 0),
        Some(query) => touched(engine, &given, query, files).await?,
    };
    given.insert("__touched".into(), touched_provider(engine, &table, &touched).await?);
    let numbered = if recipe.numbered { Some(numbered(engine, &given).await?) } else { None };
    given.extend(numbered.iter().map(|rows| ("__numbered".to_string(), Arc::clone(&rows.provider))));
    let scope = Scope::with(Arc::clone(engine), given);
    if let Some(refusal) = &recipe.refuse {
        let (session, plan) = scope.plan(&refusal.query).await?;
        let found = session.execute_logical_plan(plan).await?.limit(0, Some(1))?.collect().await?;
        if let Some(row) = found.iter().find(|batch| batch.num_rows() > 0) {
            let mut error = refusal.error.clone();
            error.message = format!("{}: {}", error.message, shown(row)?);
            return Err(error.into());
        }
    }
    let schema = wider.map_or_else(|| table_schema(&table), |wider| Ok(Arc::clone(wider)))?;
    let (session, plan) = scope.plan(&recipe.rows).await?;
    let (_, streams) = streams(&session, &clustered(plan, &Lake::notes(&table)?.cluster_by)?).await?;
    let streams = checked(engine, name, (&schema, &rules(&table)?), streams).await?;
    let metadata = partition_columns(table.snapshot().map_err(LakeError::from)?.metadata());
    let written = write_streams(folder.log().object_store(None), &schema, &metadata, streams).await?;
    if let Some(numbered) = numbered {
        numbered.discard(engine).await?;
    }
    let removed: Vec<_> = touched.iter().map(|file| file.remove_action(true)).collect();
    let changed = Changed { touched: count };
    if removed.is_empty() && written.files.is_empty() && wider.is_none() {
        return Ok(Some(changed));
    }
    let added = written.files;
    Ok(engine.lake.exchange(folder, Change { base: table, removed, added }, wider).await?.then_some(changed))
}

async fn numbered(engine: &Arc<Engine>, given: &HashMap<String, Arc<dyn TableProvider>>) -> Result<Rows, AdapterError> {
    let query = "select *, row_number() over () as __row from __touched";
    let (session, plan) = Scope::with(Arc::clone(engine), given.clone()).plan(query).await?;
    let schema = storable(plan.schema().as_arrow())?;
    Rows::of(engine, &session, &plan, &schema).await
}

/// The rows for which a condition does not hold (it is false or null), as `select {columns}`.
///
/// The engine's way with `in (select …)` inside `is not true` loses the difference between false and null, so rows are
/// told apart by number where a condition holds a query.
pub fn kept_rows(columns: &str, alias: &str, condition: &str) -> (String, bool) {
    if !condition.to_lowercase().contains("select") {
        return (format!("select {columns} from __touched as {alias} where ({condition}) is not true"), false);
    }
    let hit = format!("select {alias}.__row from __numbered as {alias} where {condition}");
    let kept = format!(
        "select {columns} from __numbered as {alias} where not exists (select 1 from ({hit}) as __hit where __hit.__row = {alias}.__row)"
    );
    (kept, true)
}

/// A row's values, for a message.
fn shown(batch: &RecordBatch) -> Result<String, AdapterError> {
    let schema = batch.schema();
    let values = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| Ok(format!("{} = {}", field.name(), arrow::util::display::array_value_to_string(column, 0)?)));
    Ok(values.collect::<Result<Vec<_>, AdapterError>>()?.join(", "))
}

/// The files that `query` names, and the sum of its counts.
async fn touched(
    engine: &Arc<Engine>,
    given: &HashMap<String, Arc<dyn TableProvider>>,
    query: &str,
    files: Vec<LogicalFileView>,
) -> Result<(Vec<LogicalFileView>, u64), AdapterError> {
    let scope = Scope::with(Arc::clone(engine), given.clone());
    let (session, plan) = scope.plan(query).await?;
    let mut names = HashSet::new();
    let mut count = 0;
    for batch in session.execute_logical_plan(plan).await?.collect().await? {
        let paths = cast(batch.column(0), &DataType::Utf8)?;
        names.extend(paths.as_string::<i32>().iter().flatten().map(file_name));
        let counts = cast(batch.column(1), &DataType::Int64)?;
        count += counts.as_primitive::<Int64Type>().iter().flatten().map(i64::unsigned_abs).sum::<u64>();
    }
    // Names of data files are unique by their ids; should two be equal, replacing both is right too.
    Ok((files.into_iter().filter(|file| names.contains(&file_name(&file.path()))).collect(), count))
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_string()
}

pub async fn touched_provider(
    engine: &Engine,
    table: &DeltaTable,
    touched: &[LogicalFileView],
) -> Result<Arc<dyn TableProvider>, LakeError> {
    if touched.is_empty() {
        return Ok(Arc::new(EmptyTable::new(delta_provider(engine, table).await?.schema())));
    }
    // By their log paths; the rest of an action is looked up in the snapshot.
    let adds = touched.iter().map(|file| Add { path: file.path().into_owned(), ..Add::default() });
    Ok(table.table_provider().with_session(Arc::clone(&engine.base)).with_adds(adds).await?)
}

/// A query's rows, computed once.
pub struct Rows {
    pub provider: Arc<dyn TableProvider>,
    pub count: u64,
    scratch: Option<Folder>,
}

impl Rows {
    /// Computes a plan's rows in the columns of `schema`, taken by position.
    pub async fn of(
        engine: &Engine,
        session: &SessionContext,
        plan: &LogicalPlan,
        schema: &SchemaRef,
    ) -> Result<Self, AdapterError> {
        let physical = session.state().create_physical_plan(plan).await?;
        let mut stream = execute_stream(physical, session.task_ctx())?;
        let (mut batches, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await {
            let batch = cast_batch(&batch?, schema)?;
            bytes += batch.get_array_memory_size();
            batches.push(batch);
            if bytes > MEMORY_BYTES {
                return Self::spilled(engine, schema, batches, stream).await;
            }
        }
        let count = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let provider = Arc::new(MemTable::try_new(Arc::clone(schema), vec![batches])?);
        Ok(Self { provider, count, scratch: None })
    }

    async fn spilled(
        engine: &Engine,
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        rest: SendableRecordBatchStream,
    ) -> Result<Self, AdapterError> {
        let folder = engine.lake.scratch().await?;
        let target = Arc::clone(schema);
        let rest = rest.map(move |batch| Ok(cast_batch(&batch?, &target)?));
        let all = futures::stream::iter(batches.into_iter().map(Ok)).chain(rest);
        let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), all));
        let written = write_streams(folder.log().object_store(None), schema, &[], vec![stream]).await?;
        let files = written
            .files
            .iter()
            .map(|file| {
                partitioned_file(folder.path.clone().join(file.path.as_str()), file.size.unsigned_abs(), file.modification_time)
            })
            .collect();
        let provider = ParquetFiles {
            store: store_url(&engine.lake.storage().url)?,
            file_schema: Arc::clone(schema),
            partitions: Vec::new(),
            files,
            rows: usize::try_from(written.rows).ok(),
        };
        Ok(Self { provider: Arc::new(provider), count: written.rows, scratch: Some(folder) })
    }

    /// Frees what was kept outside memory.
    pub async fn discard(self, engine: &Engine) -> Result<(), LakeError> {
        match &self.scratch {
            Some(folder) => engine.lake.remove_scratch(folder).await,
            None => Ok(()),
        }
    }
}

/// `"a", "b"`, each after `qualifier`.
pub fn column_list(schema: &SchemaRef, qualifier: &str) -> String {
    let column = |field: &Arc<arrow::datatypes::Field>| format!("{qualifier}{}", quote_identifier(field.name()));
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

/// One `when` of a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    pub pair: Pair,
    /// A further condition.
    pub predicate: Option<String>,
    pub action: Action,
}

/// Which rows a `when` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    Matched,
    /// A source row without a row of the table.
    OnlySource,
    /// A row of the table without a source row.
    OnlyTarget,
}

/// What becomes of them; values are SQL.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Update(Vec<(String, String)>),
    Delete,
    /// Without columns, the table's own in order.
    Insert {
        columns: Vec<String>,
        values: Vec<String>,
    },
}

/// A merge as a recipe: a full join of the touched rows with the source, an action chosen for each pair.
pub fn merge(schema: &SchemaRef, target: &str, source: &str, on: &str, clauses: &[When]) -> Result<Recipe, LakeError> {
    let conditions: Vec<String> = clauses.iter().map(|clause| condition(clause, target, source)).collect();
    let mut columns = Vec::new();
    for field in schema.fields() {
        let mut case = String::new();
        for (clause, condition) in clauses.iter().zip(&conditions) {
            if let Some(value) = value(clause, field.name(), schema)? {
                case.push_str(&format!(" when {condition} then {value}"));
            }
        }
        let name = quote_identifier(field.name());
        let kept = format!("{target}.{name}");
        columns.push(if case.is_empty() { format!("{kept} as {name}") } else { format!("case{case} else {kept} end as {name}") });
    }
    let stays: String = clauses
        .iter()
        .zip(&conditions)
        .map(|(clause, condition)| format!(" when {condition} then {}", clause.action != Action::Delete))
        .collect();
    let kept = format!("{target}.__is_old is not null");
    let stays = if stays.is_empty() { kept } else { format!("case{stays} else {kept} end") };
    let rows = format!(
        "select {} from (select *, true as __is_old from __touched) as {target} \
         full join (select *, true as __is_new from __new) as {source} on ({on}) where {stays}",
        columns.join(", ")
    );
    let whole = clauses.iter().any(|clause| clause.pair == Pair::OnlyTarget);
    let touch = format!(
        "select {target}.{FILE}, count(*) from __old as {target} join __new as {source} on ({on}) group by {target}.{FILE}"
    );
    Ok(Recipe { given: HashMap::new(), touch: (!whole).then_some(touch), refuse: None, numbered: false, rows })
}

/// A query that gives a row of the table that more than one source row matches.
pub fn matched_twice(target: &str, source: &str, on: &str, shown: &str) -> String {
    format!(
        "select {shown} from (select *, row_number() over () as __row from __touched) as {target} \
         join __new as {source} on ({on}) group by {target}.__row having count(*) > 1 limit 1"
    )
}

fn condition(clause: &When, target: &str, source: &str) -> String {
    let state = match clause.pair {
        Pair::Matched => format!("{target}.__is_old is not null and {source}.__is_new is not null"),
        Pair::OnlySource => format!("{target}.__is_old is null"),
        Pair::OnlyTarget => format!("{source}.__is_new is null"),
    };
    match &clause.predicate {
        Some(predicate) => format!("({state} and ({predicate}))"),
        None => format!("({state})"),
    }
}

/// What a clause sets a column to; `None` where the row's own value stays.
fn value(clause: &When, column: &str, schema: &SchemaRef) -> Result<Option<String>, LakeError> {
    match &clause.action {
        Action::Delete => Ok(None),
        Action::Update(assignments) => {
            let found = assignments.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
            Ok(found.map(|(_, value)| format!("({value})")))
        }
        Action::Insert { columns, values } => {
            let count = if columns.is_empty() { schema.fields().len() } else { columns.len() };
            if values.len() != count {
                let message = format!("the insert names {count} columns and gives {} values", values.len());
                return Err(LakeError::new("sql-plan", message));
            }
            let index = if columns.is_empty() {
                schema.index_of(column).ok()
            } else {
                columns.iter().position(|name| name.eq_ignore_ascii_case(column))
            };
            Ok(Some(index.map_or_else(|| "null".to_string(), |index| format!("({})", values[index]))))
        }
    }
}
