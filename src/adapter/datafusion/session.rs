//! Sessions: how a name in a query becomes a relation of the lake.
//!
//! Each statement gets its own session over the shared engine. Names are looked up when the statement is planned, read
//! fresh from storage, and each at most once per statement, so that a statement sees one version of every table.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemTable, SchemaProvider, TableProvider};
use datafusion::common::{Column, ResolvedTableReference};
use datafusion::datasource::ViewTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::optimizer::analyzer::Analyzer;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};

use super::files::ParquetFiles;
use super::{information_schema, travel};
use crate::lake::{Content, ExternalDefinition, Format, Lake, LakeError, Layout, Location, Object, SourceFile, TableName, View};
use crate::sql::{self, Pin, SqlError, Tables};

/// Views may stand on views so deep.
const DEEPEST_VIEW: usize = 64;

/// What all statements share.
pub struct Engine {
    pub lake: Lake,
    /// Names are looked up in `database` and `schema` where they do not say; it has no tables of its own.
    pub base: Arc<SessionState>,
    /// The one database's name.
    pub database: String,
    pub schema: String,
    /// S3 settings, for external locations too.
    pub storage_options: Vec<(String, String)>,
}

impl Engine {
    /// A relation's place. There is one database; what is declared in another (a source's `database:`) gets schemas of its
    /// own, named `database.schema`, so that such names work and never meet ours.
    pub fn name(&self, database: Option<&str>, schema: Option<&str>, table: &str) -> TableName {
        TableName::new(self.schema_name(database, schema), table)
    }

    /// A schema's name in the lake, as [`name`](Self::name).
    pub fn schema_name(&self, database: Option<&str>, schema: Option<&str>) -> String {
        let schema = schema.unwrap_or(&self.schema);
        match database {
            Some(other) if !other.eq_ignore_ascii_case(&self.database) => format!("{other}.{schema}"),
            _ => schema.to_string(),
        }
    }
}

#[async_trait]
impl sql::FunctionSource for Scope {
    /// Functions are named by their schema, and their database if one was written.
    async fn function(&self, name: &[String]) -> std::result::Result<Option<sql::SqlFunction>, SqlError> {
        let name = match name {
            [schema, function] => self.engine.name(None, Some(schema), function),
            [database, schema, function] => self.engine.name(Some(database), Some(schema), function),
            _ => return Ok(None),
        };
        self.engine.lake.function(&name).await.map_err(|error| SqlError::new(error.message))
    }
}

/// One statement's view of the lake.
pub struct Scope {
    engine: Arc<Engine>,
    resolved: Mutex<HashMap<TableName, Arc<dyn TableProvider>>>,
    /// Relations that exist for this statement only, by bare name.
    given: HashMap<String, Arc<dyn TableProvider>>,
    /// Relations taken to have these columns, whatever the lake holds; nothing where their columns are not known.
    assumed: HashMap<TableName, Option<SchemaRef>>,
    /// Why a name could not be resolved: the planner keeps only the text of it.
    failure: Mutex<Option<LakeError>>,
    /// Tables are read as they were, where a query does not say itself.
    as_of: Option<Pin>,
    /// Names looked for and not found.
    missing: Mutex<Vec<TableName>>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("database", &self.engine.database).finish_non_exhaustive()
    }
}

impl Scope {
    pub fn new(engine: Arc<Engine>) -> Arc<Self> {
        Self::with(engine, HashMap::new())
    }

    pub fn with(engine: Arc<Engine>, given: HashMap<String, Arc<dyn TableProvider>>) -> Arc<Self> {
        Self::build(engine, given, HashMap::new())
    }

    /// For planning only: the relations in `assumed` have the columns given there.
    pub fn assuming(engine: Arc<Engine>, assumed: HashMap<TableName, Option<SchemaRef>>) -> Arc<Self> {
        Self::build(engine, HashMap::new(), assumed)
    }

    fn build(
        engine: Arc<Engine>,
        given: HashMap<String, Arc<dyn TableProvider>>,
        assumed: HashMap<TableName, Option<SchemaRef>>,
    ) -> Arc<Self> {
        let (resolved, failure, missing) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { engine, resolved, given, assumed, failure, as_of: None, missing })
    }

    /// A statement for which all tables are as they were.
    pub fn as_of(engine: Arc<Engine>, pin: Pin) -> Arc<Self> {
        let (resolved, failure, missing) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (given, assumed) = (HashMap::new(), HashMap::new());
        Arc::new(Self { engine, resolved, given, assumed, failure, as_of: Some(pin), missing })
    }

    /// The relations looked for and not found, since last asked.
    pub fn take_missing(&self) -> Vec<TableName> {
        std::mem::take(&mut *self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// A session in which names without schema are looked up in `schema`; `within` are the views being planned.
    pub fn session(self: &Arc<Self>, schema: &str, within: Vec<TableName>) -> SessionContext {
        let catalogs = Catalogs { scope: Arc::clone(self), within, database: self.engine.database.clone() };
        // A copy shares the functions; building a state anew registers every one of them again, which costs more than planning.
        let mut state = SessionState::clone(&self.engine.base);
        state.register_catalog_list(Arc::new(catalogs));
        if schema != self.engine.schema {
            state.config_mut().options_mut().catalog.default_schema = schema.to_string();
        }
        let functions = Arc::new(sql::Functions(Arc::clone(self) as Arc<dyn sql::FunctionSource>));
        state.config_mut().set_extension(functions);
        SessionContext::new_with_state(state)
    }

    /// Plans a query; relations are read from the lake as they are now.
    pub async fn plan(self: &Arc<Self>, text: &str) -> std::result::Result<(SessionContext, LogicalPlan), PlanError> {
        let session = self.session(&self.engine.schema, Vec::new());
        match sql::plan(&session, text).await {
            Ok(plan) => Ok((session, plan)),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// The reason behind a planning error, with the nearest names if a relation was missing.
    async fn explain(&self, error: SqlError) -> PlanError {
        if let Some(failure) = take(&self.failure) {
            return PlanError::Lake(failure);
        }
        let missing = self.take_missing();
        let Some(name) =
            missing.into_iter().find(|name| error.message.starts_with("relation") && error.message.contains(name.table.as_str()))
        else {
            return PlanError::Sql(error);
        };
        let mut failure = LakeError::new("relation-missing", format!("relation {name} does not exist"));
        let others = self.engine.lake.list(&name.schema).await.unwrap_or_default();
        if let Some(near) = crate::diagnostic::nearest(&name.table, others.iter().map(|(other, _)| other.as_str())) {
            failure = failure.help(format!("did you mean \"{}\".\"{near}\"?", name.schema));
        }
        PlanError::Missing(failure, error.position)
    }

    /// Whether planning came by this relation, at any depth.
    pub fn has_read(&self, name: &TableName) -> bool {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// What a name in a query means; `within` are the views being planned.
    async fn table(
        self: &Arc<Self>,
        database: &str,
        (schema, name): (&str, &str),
        within: &[TableName],
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        if schema == self.engine.schema
            && let Some(given) = self.given.get(name)
        {
            return Ok(Some(Arc::clone(given)));
        }
        if schema == "information_schema" {
            let batch = information_schema::table(self, name).await?;
            return batch.map(|batch| Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?) as _)).transpose();
        }
        let name = self.engine.name(Some(database), Some(schema), name);
        match self.relation(&name, within).await {
            Ok(found) => Ok(found),
            Err(error) => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error.clone());
                Err(DataFusionError::from(error))
            }
        }
    }

    fn remember(&self, name: &TableName, provider: &Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(resolved.entry(name.clone()).or_insert_with(|| Arc::clone(provider)))
    }

    /// A relation's provider; views plan further relations, so the future is boxed.
    fn relation<'a>(
        self: &'a Arc<Self>,
        name: &'a TableName,
        within: &'a [TableName],
    ) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>, LakeError>> {
        Box::pin(self.look_up(name, within))
    }

    async fn look_up(
        self: &Arc<Self>,
        name: &TableName,
        within: &[TableName],
    ) -> Result<Option<Arc<dyn TableProvider>>, LakeError> {
        let known = self.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if known.is_some() {
            return Ok(known);
        }
        if let Some((table, pin)) = sql::pinned(&name.table) {
            let table = TableName::new(name.schema.as_str(), table);
            let provider = travel::provider(&self.engine, &table, &pin).await?;
            return Ok(Some(self.remember(name, &provider)));
        }
        if let Some(assumed) = self.assumed.get(name) {
            let Some(schema) = assumed else {
                self.missing.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                return Ok(None);
            };
            let provider: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(schema)));
            return Ok(Some(self.remember(name, &provider)));
        }
        let provider = match (self.engine.lake.resolve(name).await?, &self.as_of) {
            (Some(Object::Table(_)), Some(pin)) => travel::provider(&self.engine, name, pin).await?,
            (found, _) => match found {
                Some(Object::Table(table)) => delta_provider(&self.engine, &table).await?,
                Some(Object::View(view)) => self.view(name, &view, within).await?,
                Some(Object::External(definition)) => self.external(name, &definition, false).await?,
                Some(Object::Rejects { table }) => {
                    let parent = TableName::new(name.schema.as_str(), table);
                    match self.engine.lake.resolve(&parent).await? {
                        Some(Object::External(definition)) => self.external(&parent, &definition, true).await?,
                        _ => return Ok(None),
                    }
                }
                None => {
                    self.missing.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                    return Ok(None);
                }
            },
        };
        Ok(Some(self.remember(name, &provider)))
    }

    async fn view(
        self: &Arc<Self>,
        name: &TableName,
        view: &View,
        within: &[TableName],
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        if within.contains(name) {
            return Err(LakeError::new("view-cycle", format!("view {name} is defined by way of itself")));
        }
        if within.len() >= DEEPEST_VIEW {
            return Err(LakeError::new("view-depth", format!("views nest more than {DEEPEST_VIEW} deep at {name}")));
        }
        let mut inside = within.to_vec();
        inside.push(name.clone());
        let session = self.session(&view.default_schema, inside);
        let planned = Box::pin(sql::plan(&session, &view.sql)).await;
        let plan = planned.map_err(|error| {
            let first = take(&self.failure).unwrap_or_else(|| LakeError::new("sql-plan", error.message));
            first.context(&format!("view {name}"))
        })?;
        let plan = Analyzer::with_rules(vec![Arc::new(TypeCoercion::new())]).execute_and_check(
            plan,
            session.state().config_options(),
            |_, _| {},
        )?;
        Ok(Arc::new(ViewTable::new(plan, Some(view.sql.clone()))))
    }

    async fn external(
        self: &Arc<Self>,
        name: &TableName,
        definition: &ExternalDefinition,
        rejects: bool,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        let staged = self.engine.lake.stage(name, definition, &self.engine.storage_options).await?;
        let content = if rejects { staged.rejects } else { Some(staged.rows) };
        let content = content.ok_or_else(|| LakeError::new("relation-missing", format!("{name} keeps no rejected rows")))?;
        match content {
            Content::Cached { schema, folder, files } => {
                let store = self.engine.lake.storage();
                let rows = files
                    .iter()
                    .map(|file| file.get_stats().ok().flatten().map(|stats| usize::try_from(stats.num_records).unwrap_or(0)))
                    .sum();
                let files = files
                    .iter()
                    .map(|file| {
                        partitioned_file(
                            folder.path.clone().join(file.path.as_str()),
                            file.size.unsigned_abs(),
                            file.modification_time,
                        )
                    })
                    .collect();
                Ok(Arc::new(ParquetFiles {
                    store: store_url(&store.url)?,
                    file_schema: schema,
                    partitions: Vec::new(),
                    files,
                    rows,
                }))
            }
            Content::InPlace { layout, files } => self.in_place(&layout, &files, definition).await,
        }
    }

    async fn in_place(
        &self,
        layout: &Layout,
        files: &[SourceFile],
        definition: &ExternalDefinition,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        let location = Location::open(&layout.location, &definition.base, &self.engine.storage_options)?;
        let provider = match layout.format {
            Format::Delta => {
                let url = location.url()?;
                let options = self.engine.storage_options.iter().cloned().collect();
                let table = deltalake::open_table_with_storage_options(url, options).await;
                delta_provider(&self.engine, &table.map_err(|error| LakeError::from(error).context(&layout.location))?).await?
            }
            _ => self.parquet(layout, files, &location).await?,
        };
        declared(layout, provider)
    }

    async fn parquet(
        &self,
        layout: &Layout,
        files: &[SourceFile],
        location: &Location,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        let (url, store, paths) = location_store(location, files)?;
        self.engine.base.runtime_env().register_object_store(url.as_ref(), Arc::clone(&store));
        if files.is_empty() && layout.columns.is_empty() {
            return Err(LakeError::new(
                "external-column",
                format!("`{}` holds no files and no columns are declared", layout.location),
            ));
        }
        let mut objects = Vec::with_capacity(paths.len());
        for path in &paths {
            objects.push(store.head(path).await?);
        }
        let file_schema = if objects.is_empty() {
            Arc::new(arrow::datatypes::Schema::new(
                layout
                    .columns
                    .iter()
                    .map(|c| arrow::datatypes::Field::new(&c.name, c.data_type.clone(), true))
                    .collect::<Vec<_>>(),
            ))
        } else {
            ParquetFormat::default().infer_schema(self.engine.base.as_ref(), &store, &objects).await?
        };
        let partitions = layout
            .partitions
            .iter()
            .map(|column| Arc::new(arrow::datatypes::Field::new(&column.name, column.data_type.clone(), true)))
            .collect();
        let files = objects
            .into_iter()
            .zip(files)
            .map(|(object, file)| {
                let values = crate::lake::partition_scalars(layout, file)?;
                Ok(PartitionedFile::new_from_meta(object).with_partition_values(values))
            })
            .collect::<Result<Vec<_>, LakeError>>()?;
        Ok(Arc::new(ParquetFiles { store: url, file_schema, partitions, files, rows: None }))
    }
}

/// The declared columns of a table that lies elsewhere, in the declared types.
fn declared(layout: &Layout, provider: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>, LakeError> {
    if layout.columns.is_empty() {
        return Ok(provider);
    }
    let schema = provider.schema();
    let find = |name: &str| {
        let exact = schema.fields().iter().find(|field| field.name() == name);
        exact.or_else(|| schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)))
    };
    let expressions = layout
        .columns
        .iter()
        .chain(&layout.partitions)
        .map(|column| {
            let field = find(&column.name).ok_or_else(|| {
                let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                LakeError::new("external-column", format!("{}: there is no column \"{}\"", layout.location, column.name))
                    .help(format!("its columns are {}", found.join(", ")))
            })?;
            let value = Expr::Column(Column::new_unqualified(field.name()));
            let value = if field.data_type() == &column.data_type { value } else { cast(value, column.data_type.clone()) };
            Ok(value.alias(&column.name))
        })
        .collect::<Result<Vec<_>, LakeError>>()?;
    let plan = LogicalPlanBuilder::scan("external", provider_as_source(provider), None)?.project(expressions)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A store, the name the engine knows it by, and the files' paths in it.
type LocatedFiles = (ObjectStoreUrl, Arc<dyn object_store::ObjectStore>, Vec<Path>);

fn location_store(location: &Location, files: &[SourceFile]) -> Result<LocatedFiles, LakeError> {
    let broken = |error: object_store::path::Error| LakeError::new("io", error.to_string());
    match location {
        Location::Local(_) => {
            let paths =
                files.iter().map(|file| Path::from_absolute_path(&file.name)).collect::<Result<_, _>>().map_err(broken)?;
            Ok((ObjectStoreUrl::local_filesystem(), Arc::new(object_store::local::LocalFileSystem::new()), paths))
        }
        Location::Bucket { store, url } => {
            let prefix = format!("s3://{}/", url.host_str().unwrap_or_default());
            let paths = files.iter().map(|file| Path::parse(file.name.trim_start_matches(&prefix))).collect::<Result<_, _>>();
            Ok((store_url(url)?, Arc::clone(store), paths.map_err(broken)?))
        }
    }
}

pub fn partitioned_file(location: Path, size: u64, modified_ms: i64) -> PartitionedFile {
    let last_modified = chrono::DateTime::from_timestamp_millis(modified_ms).unwrap_or_default();
    PartitionedFile::new_from_meta(ObjectMeta { location, last_modified, size, e_tag: None, version: None })
}

pub fn store_url(url: &url::Url) -> Result<ObjectStoreUrl, LakeError> {
    Ok(ObjectStoreUrl::parse(&url[..url::Position::BeforePath])?)
}

/// A Delta table at the version it was opened at.
pub fn delta_provider(engine: &Engine, table: &DeltaTable) -> BoxFuture<'static, Result<Arc<dyn TableProvider>, LakeError>> {
    let building = table.table_provider().with_session(Arc::clone(&engine.base)).into_future();
    Box::pin(async move { Ok(building.await?) })
}

fn take(failure: &Mutex<Option<LakeError>>) -> Option<LakeError> {
    failure.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Why a statement could not be planned.
#[derive(Debug)]
pub enum PlanError {
    Sql(SqlError),
    Lake(LakeError),
    /// A relation does not exist; with the place where it is named, if known.
    Missing(LakeError, Option<(u32, u32)>),
}

/// For planning without a session of one's own.
#[async_trait]
impl sql::FunctionSource for Arc<Scope> {
    async fn function(&self, name: &[String]) -> std::result::Result<Option<sql::SqlFunction>, SqlError> {
        sql::FunctionSource::function(self.as_ref(), name).await
    }
}

#[async_trait]
impl Tables for Arc<Scope> {
    async fn table(&self, name: &ResolvedTableReference) -> Result<Option<Arc<dyn TableProvider>>> {
        Scope::table(self, &name.catalog, (&name.schema, &name.table), &[]).await
    }
}

/// The warehouse as a database; see [`Engine::name`] for other databases' names.
#[derive(Clone, Debug)]
struct Catalogs {
    scope: Arc<Scope>,
    within: Vec<TableName>,
    database: String,
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.scope.engine.database.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        Some(Arc::new(Self { database: name.to_string(), ..self.clone() }))
    }
}

impl CatalogProvider for Catalogs {
    fn schema_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Relations { catalogs: self.clone(), schema: name.to_string() }))
    }
}

/// One schema's relations, looked up when asked for.
#[derive(Debug)]
struct Relations {
    catalogs: Catalogs,
    schema: String,
}

#[async_trait]
impl SchemaProvider for Relations {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.catalogs.scope.table(&self.catalogs.database, (&self.schema, name), &self.catalogs.within).await
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}
