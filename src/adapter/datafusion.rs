//! The embedded engine: DataFusion over the lake's Delta tables.

mod catalog;
mod change;
mod columns;
mod constraint;
mod estimate;
mod files;
mod information_schema;
mod offline;
mod rows;
mod session;
mod snapshot;
mod statement;
mod travel;
mod write;

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use serde_json::{Map, Value as Json};

use self::session::{Engine, PlanError, Scope};
use super::{
    Adapter, AdapterError, Capabilities, CatalogEntry, Declared, Effect, ExternalTable, Operation, PlannedQuery, QueryToPlan,
};
use crate::lake::{Entry, ExternalDefinition, Lake, LakeError, Object, SeedOptions, Storage, TableName, read_seed};
use crate::name::{Relation, RelationType};
use crate::rows::{Answer, ColumnType, Rows};
use crate::sql::{self, Dialect, SqlError};

/// Where the warehouse lies if the target names no `path`.
const DEFAULT_PATH: &str = "warehouse";

/// The embedded engine.
pub struct DataFusion {
    engine: Arc<Engine>,
}

impl From<LakeError> for AdapterError {
    fn from(error: LakeError) -> Self {
        Self { code: error.code, message: error.message, position: None, help: error.help }
    }
}

impl From<PlanError> for AdapterError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Sql(error) => error.into(),
            PlanError::Lake(error) => error.into(),
            PlanError::Missing(error, position) => Self { position, ..error.into() },
        }
    }
}

impl From<SqlError> for AdapterError {
    fn from(error: SqlError) -> Self {
        Self { code: error.code, message: error.message, position: error.position, help: error.help }
    }
}

impl From<datafusion::error::DataFusionError> for AdapterError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        LakeError::from(error).into()
    }
}

impl From<arrow::error::ArrowError> for AdapterError {
    fn from(error: arrow::error::ArrowError) -> Self {
        LakeError::from(error).into()
    }
}

impl DataFusion {
    /// Opens the warehouse of a target: `path` (a folder below `base`, or `s3://bucket/prefix`), `memory_limit`
    /// (such as `4GB`), `settings` (the engine's own, by their dotted names), `aws_…`.
    pub fn connect(
        database: &str,
        schema: &str,
        threads: usize,
        settings: &Map<String, Json>,
        base: &Path,
    ) -> Result<Self, AdapterError> {
        let text = |key: &str| text_of(settings, key);
        let (storage, storage_options) = storage(settings, base)?;
        let mut config = config(settings.get("settings"), threads)?.with_create_default_catalog_and_schema(false);
        config.options_mut().catalog.default_catalog = database.to_string();
        config.options_mut().catalog.default_schema = schema.to_string();
        let stands_in_for = text("acts_as").or_else(|| text("type")).unwrap_or_default();
        config.set_extension(Arc::new(Dialect::of(&stands_in_for)));
        let mut runtime = RuntimeEnvBuilder::new();
        if let Some(limit) = text("memory_limit").or_else(|| text("memory_limit_bytes")) {
            let bytes =
                byte_count(&limit).ok_or_else(|| invalid(format!("memory_limit: `{limit}` is not a size such as `4GB`")))?;
            runtime = runtime.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
        }
        let runtime = runtime.build_arc()?;
        if let Some(bucket) = storage.url.host_str().filter(|_| storage.local.is_none()) {
            let url = url::Url::parse(&format!("s3://{bucket}/")).map_err(|error| invalid(error.to_string()))?;
            runtime.register_object_store(&url, Arc::clone(&storage.store));
        }
        let state = SessionStateBuilder::new_with_default_features().with_config(config).with_runtime_env(runtime);
        let context = SessionContext::new_with_state(state.with_statistics_registry(estimate::registry()).build());
        sql::register_functions(&context);
        let engine = Engine {
            lake: Lake::new(storage),
            base: Arc::new(context.state()),
            database: database.to_string(),
            schema: schema.to_string(),
            storage_options,
        };
        Ok(Self { engine: Arc::new(engine) })
    }

    fn name(&self, relation: &Relation) -> TableName {
        self.engine.name(relation.database.as_deref(), relation.schema.as_deref(), &relation.identifier)
    }
}

/// A setting as text, whatever it was written as.
fn text_of(settings: &Map<String, Json>, key: &str) -> Option<String> {
    settings.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_string))
}

/// Where the warehouse lies, and the options by which its store is opened.
pub(super) fn storage(settings: &Map<String, Json>, base: &Path) -> Result<(Storage, Vec<(String, String)>), AdapterError> {
    let options: Vec<(String, String)> = settings
        .keys()
        .filter(|key| key.to_lowercase().starts_with("aws_"))
        .filter_map(|key| Some((key.to_lowercase(), text_of(settings, key)?)))
        .collect();
    let root = text_of(settings, "path").unwrap_or_else(|| DEFAULT_PATH.to_string());
    Ok((Storage::open(&root, base, &options)?, options))
}

fn invalid(message: String) -> AdapterError {
    AdapterError { code: "settings-invalid", message, position: None, help: None }
}

/// The engine's configuration: ours, then the target's `settings:`.
fn config(settings: Option<&Json>, threads: usize) -> Result<SessionConfig, AdapterError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut config = SessionConfig::new().with_target_partitions(cores.max(1)).with_information_schema(false);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = false;
    // Text is never a view: what one side of a join holds is one array over the buffers of all its batches, and every batch of
    // the result names all of them again. That grows with the square of the rows.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Which side of a join is held is decided by our own estimates.
    options.optimizer.use_statistics_registry = true;
    // Small results are common, and each of `threads` models runs at once: partitions are for big ones.
    options.execution.planning_concurrency = cores.min(threads.max(1)).max(1);
    options.sql_parser.collect_spans = true;
    if let Some(Json::Object(map)) = settings {
        for (key, value) in map {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
            let key = if key.starts_with("datafusion.") { key.clone() } else { format!("datafusion.{key}") };
            options.set(&key, &text).map_err(|error| invalid(format!("settings: {}", error.strip_backtrace())))?;
        }
    }
    Ok(config)
}

/// `4GB`, `512 MB`, `2g`, `1073741824`: bytes, in powers of 1024.
fn byte_count(text: &str) -> Option<usize> {
    let text = text.trim().to_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let unit = text[digits.len()..].trim();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let value: f64 = digits.parse().ok().filter(|value: &f64| *value > 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive; a size beyond usize saturates"
    )]
    Some((value * 1024_f64.powi(power)) as usize)
}

/// The columns of a relation; external files are only read as far as their columns need.
async fn relation_schema(engine: &Arc<Engine>, name: &TableName) -> Result<SchemaRef, LakeError> {
    if let Some(Object::Table(table)) = engine.lake.resolve(name).await? {
        return Ok(session::delta_provider(engine, &table).await?.schema());
    }
    let scope = Scope::new(Arc::clone(engine));
    let session = scope.session(&engine.schema, Vec::new());
    let reference = datafusion::common::TableReference::partial(name.schema.as_str(), name.table.as_str());
    match session.table_provider(reference).await {
        Ok(provider) => Ok(provider.schema()),
        Err(error) => Err(error.into()),
    }
}

/// Runs a plan that only reads.
async fn run(session: &SessionContext, plan: LogicalPlan, limit: Option<usize>) -> Result<Rows, AdapterError> {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(&plan)?;
    let mut frame = session.execute_logical_plan(plan).await?;
    if let Some(limit) = limit {
        frame = frame.limit(0, Some(limit))?;
    }
    let schema: SchemaRef = Arc::new(arrow_schema(frame.schema()));
    let batches = frame.collect().await?;
    Ok(rows::rows(&schema, &batches)?)
}

/// What failed while a query ran, with its place where it can be told.
fn placed(error: AdapterError, sql: &str) -> AdapterError {
    match sql::failed_cast(&error.message, sql) {
        Some(found) if error.position.is_none() => AdapterError { code: error.code, ..found.into() },
        _ => error,
    }
}

fn arrow_schema(schema: &DFSchema) -> arrow::datatypes::Schema {
    schema.as_arrow().clone()
}

#[async_trait]
impl Adapter for DataFusion {
    fn capabilities(&self) -> Capabilities {
        Capabilities { late_bound_views: true, merge: true, add_column: true, longest_name: None }
    }

    async fn query(&self, sql: &str, limit: Option<usize>) -> Result<Rows, AdapterError> {
        let scope = Scope::new(Arc::clone(&self.engine));
        let (session, plan) = scope.plan(sql).await?;
        run(&session, plan, limit).await.map_err(|error| placed(error, sql))
    }

    async fn query_as_of(&self, sql: &str, limit: Option<usize>, as_of: &str) -> Result<Rows, AdapterError> {
        let scope = Scope::as_of(Arc::clone(&self.engine), travel::as_of(as_of));
        let (session, plan) = scope.plan(sql).await?;
        run(&session, plan, limit).await
    }

    async fn execute(&self, sql: &str) -> Result<Rows, AdapterError> {
        statement::execute(&self.engine, sql).await
    }

    async fn answer(&self, sql: &str, _begin: bool) -> Result<Answer, AdapterError> {
        statement::answer(&self.engine, sql).await
    }

    async fn apply(&self, operation: Operation) -> Result<Effect, AdapterError> {
        let sql = match &operation {
            Operation::CreateTableAs { sql, .. } | Operation::Write { sql, .. } => Some(sql.clone()),
            _ => None,
        };
        statement::apply(&self.engine, operation).await.map_err(|error| match sql {
            Some(sql) => placed(error, &sql),
            None => error,
        })
    }

    async fn relation_type(&self, relation: &Relation) -> Result<Option<RelationType>, AdapterError> {
        Ok(match self.engine.lake.resolve(&self.name(relation)).await? {
            None => None,
            Some(Object::View(_)) => Some(RelationType::View),
            Some(Object::External(_)) => Some(RelationType::External),
            Some(Object::Table(_) | Object::Rejects { .. }) => Some(RelationType::Table),
        })
    }

    async fn columns(&self, relation: &Relation) -> Result<Vec<ColumnType>, AdapterError> {
        let name = self.name(relation);
        if self.engine.lake.resolve(&name).await?.is_none() {
            return Ok(Vec::new());
        }
        Ok(rows::column_types(relation_schema(&self.engine, &name).await?.as_ref()))
    }

    async fn query_columns(&self, sql: &str) -> Result<Vec<ColumnType>, AdapterError> {
        let scope = Scope::new(Arc::clone(&self.engine));
        let (session, plan) = scope.plan(sql).await?;
        // Types are final only after coercion.
        let plan = session.state().optimize(&plan)?;
        Ok(rows::column_types(&arrow_schema(plan.schema())))
    }

    async fn seed_columns(&self, load: &Operation) -> Result<Vec<ColumnType>, AdapterError> {
        let Operation::LoadSeed { file, delimiter, column_types, quote_columns, .. } = load.clone() else {
            return Ok(Vec::new());
        };
        let options = SeedOptions { delimiter, column_types, quote_columns };
        let read = tokio::task::spawn_blocking(move || read_seed(&file, &options)).await;
        let seed = read.map_err(|error| LakeError::new("io", error.to_string()))??;
        Ok(rows::column_types(&seed.schema))
    }

    async fn plan(&self, query: &QueryToPlan<'_>) -> Result<Option<PlannedQuery>, AdapterError> {
        offline::plan(&self.engine, query).await
    }

    async fn declared_columns(&self, declared: &Declared) -> Result<Option<SchemaRef>, AdapterError> {
        offline::declared_columns(declared)
    }

    async fn stored_columns(&self, relation: &Relation) -> Result<Option<SchemaRef>, AdapterError> {
        let name = self.name(relation);
        match self.engine.lake.resolve(&name).await? {
            None => Ok(None),
            Some(_) => Ok(Some(relation_schema(&self.engine, &name).await?)),
        }
    }

    async fn list_relations(&self, schema: &str) -> Result<Vec<(Relation, RelationType)>, AdapterError> {
        let listed = self.engine.lake.list(schema).await?;
        let relation = |(table, entry): (String, Option<Entry>)| {
            let kind = match entry {
                Some(Entry::View(_)) => RelationType::View,
                Some(Entry::External(_)) => RelationType::External,
                _ => RelationType::Table,
            };
            (Relation::new(Some(&self.engine.database), Some(schema), &table), kind)
        };
        Ok(listed.into_iter().map(relation).collect())
    }

    async fn list_schemas(&self) -> Result<Vec<String>, AdapterError> {
        Ok(self.engine.lake.schemas().await?)
    }

    async fn rename(&self, from: &Relation, to: &Relation) -> Result<(), AdapterError> {
        Ok(self.engine.lake.rename(&self.name(from), &self.name(to)).await?)
    }

    async fn stage_external(&self, table: &ExternalTable) -> Result<String, AdapterError> {
        let definition = ExternalDefinition {
            external: table.external.clone(),
            columns: table.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect(),
            base: table.base.clone(),
        };
        let name = self.name(&table.relation);
        let staged = self.engine.lake.put_external(&name, definition, &self.engine.storage_options).await?;
        Ok(format!("{name}: {}", staged.summary))
    }

    async fn catalog(&self, relations: &[Relation]) -> Result<Vec<CatalogEntry>, AdapterError> {
        let mut entries = Vec::with_capacity(relations.len());
        for relation in relations {
            if let Some(kind) = self.relation_type(relation).await? {
                entries.extend(catalog::catalog_entry(&self.engine, relation, kind).await?);
            }
        }
        Ok(entries)
    }

    async fn hold(&self, relation: &Relation) -> Result<(), AdapterError> {
        Ok(self.engine.lake.hold(&self.name(relation))?)
    }

    async fn publish(&self, relation: &Relation) -> Result<(), AdapterError> {
        Ok(self.engine.lake.publish(&self.name(relation)).await?)
    }

    async fn discard(&self, relation: &Relation) -> Result<(), AdapterError> {
        Ok(self.engine.lake.discard(&self.name(relation)).await?)
    }
}
