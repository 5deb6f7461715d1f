//! Statements and operations, done: each is one atomic step of the lake.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SQLOptions, SessionContext};
use sqlparser::ast::Expr as SqlExpr;

use super::change::{self, Recipe};
use super::columns::{add_column, alter, drop_columns, retype_columns};
use super::constraint;
use super::run;
use super::session::{Engine, Scope};
use super::write::{Update, delete, incremental, insert, merge_statement, update};
use crate::adapter::{AdapterError, Effect, Operation, TableOptions};
use crate::lake::{LakeError, Object, Replacement, SeedOptions, TableName, TableNotes, View, read_seed, storable, write_streams};
use crate::name::{Relation, RelationType, quote_identifier};
use crate::rows::{Answer, ColumnType, Rows};
use crate::sql::{self, Command, DropKind, Pin};

/// What a step gives.
pub type Done<T> = Result<T, AdapterError>;

/// Runs every statement of a text; the last one's rows.
pub async fn execute(engine: &Arc<Engine>, text: &str) -> Done<Rows> {
    Ok(answer(engine, text).await?.rows)
}

/// Runs every statement of a text; the last one's rows and what was done.
pub async fn answer(engine: &Arc<Engine>, text: &str) -> Done<Answer> {
    let mut last = Answer::default();
    for (command, statement) in sql::command(text)? {
        last = Box::pin(command_answer(engine, command, &statement)).await?;
    }
    Ok(last)
}

fn affected(effect: Effect) -> Answer {
    Answer { message: effect.message, rows: Rows { rows_affected: effect.rows_affected, ..Rows::default() } }
}

fn done(message: &str) -> Effect {
    Effect { message: message.to_string(), rows_affected: None }
}

pub fn counted(verb: &str, count: u64) -> Effect {
    Effect { message: format!("{verb} {count}"), rows_affected: Some(count) }
}

async fn command_answer(engine: &Arc<Engine>, command: Command, text: &str) -> Done<Answer> {
    let place = |relation: &Relation| place(engine, relation);
    let effect = match command {
        Command::Query(_) | Command::Explain { .. } | Command::Show(_) => {
            let (session, plan) = Scope::new(Arc::clone(engine)).plan(text).await?;
            let rows = run(&session, plan, None).await?;
            return Ok(Answer { message: format!("SELECT {}", rows.rows.len()), rows });
        }
        Command::Ignored(_) => Effect::default(),
        Command::CreateSchema { database, schema, .. } => {
            engine.lake.create_schema(&engine.schema_name(database.as_deref(), Some(&schema))).await?;
            done("CREATE SCHEMA")
        }
        Command::CreateTableAs { name, or_replace, if_not_exists, query, .. } => {
            let name = place(&name);
            if stays(engine, &name, or_replace, if_not_exists).await? {
                return Ok(Answer::default());
            }
            create_table_as(engine, &name, &query.to_string(), &TableOptions::default()).await?
        }
        Command::CreateTable { name, or_replace, if_not_exists, columns, .. } => {
            let name = place(&name);
            if stays(engine, &name, or_replace, if_not_exists).await? {
                return Ok(Answer::default());
            }
            let schema = declared_schema(&columns)?;
            replace_table(engine, &name, &schema, &TableOptions::default(), Vec::new()).await?;
            done("CREATE TABLE")
        }
        Command::CreateView { name, or_replace, if_not_exists, columns, sql, .. } => {
            let name = place(&name);
            if stays(engine, &name, or_replace, if_not_exists).await? {
                return Ok(Answer::default());
            }
            create_view(engine, &name, &with_columns(sql, &columns), None).await?
        }
        Command::Drop(drop) => drop_all(engine, &drop).await?,
        other => changed_rows(engine, other).await?,
    };
    Ok(affected(effect))
}

/// The commands that change a table that is there.
async fn changed_rows(engine: &Arc<Engine>, command: Command) -> Done<Effect> {
    match command {
        Command::Insert { table, columns, source, overwrite } => {
            let source = source.ok_or_else(|| LakeError::new("sql-plan", "`insert … default values` is not supported"))?;
            let name = place(engine, &table);
            if overwrite {
                truncate(engine, &name).await?;
            }
            insert(engine, &name, &columns, &source.to_string()).await
        }
        Command::Update { table, alias, assignments, from, selection } => {
            let change = Update {
                alias: alias_of(&table, alias),
                assignments: assignments.into_iter().map(|(column, value)| (column, value.to_string())).collect(),
                from: joined(&from),
                selection: selection.as_ref().map(SqlExpr::to_string),
            };
            update(engine, &place(engine, &table), &change).await
        }
        Command::Delete { table, alias, using, selection } => {
            let (using, selection) = (joined(&using), selection.as_ref().map(SqlExpr::to_string));
            delete(engine, &place(engine, &table), &alias_of(&table, alias), using.as_deref(), selection.as_deref()).await
        }
        Command::Merge(merge) => merge_statement(engine, *merge).await,
        Command::Truncate { tables, if_exists } => {
            for table in &tables {
                let name = place(engine, table);
                if !(if_exists && engine.lake.resolve(&name).await?.is_none()) {
                    truncate(engine, &name).await?;
                }
            }
            Ok(done("TRUNCATE TABLE"))
        }
        Command::Vacuum { table } => vacuum(engine, table.as_ref()).await,
        Command::AlterTable { table, if_exists, changes } => {
            let name = place(engine, &table);
            if if_exists && engine.lake.resolve(&name).await?.is_none() {
                return Ok(done("ALTER TABLE"));
            }
            for change in changes {
                alter(engine, &name, change).await?;
            }
            Ok(done("ALTER TABLE"))
        }
        _ => Err(LakeError::new("sql-plan", "the statement is not supported").into()),
    }
}

pub fn place(engine: &Engine, relation: &Relation) -> TableName {
    engine.name(relation.database.as_deref(), relation.schema.as_deref(), &relation.identifier)
}

/// The name that a statement's own table goes by in it, quoted.
pub fn alias_of(table: &Relation, alias: Option<String>) -> String {
    quote_identifier(alias.as_deref().unwrap_or(&table.identifier))
}

fn joined<T: ToString>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

async fn truncate(engine: &Arc<Engine>, name: &TableName) -> Done<()> {
    let rows = "select * from __touched where false".to_string();
    let nothing = Recipe { given: HashMap::new(), touch: None, refuse: None, numbered: false, rows };
    change::change(engine, name, &nothing).await?;
    Ok(())
}

/// Sweeps one table, or all of the warehouse's; `retain n hours` stands in the name.
async fn vacuum(engine: &Arc<Engine>, table: Option<&Relation>) -> Done<Effect> {
    let identifier = table.map_or(sql::ALL_TABLES, |table| table.identifier.as_str());
    let (identifier, retention) = match sql::pinned(identifier) {
        Some((table, Pin::Retain { hours })) => (table, Some(Duration::from_secs(hours.saturating_mul(3600)))),
        _ => (identifier, None),
    };
    let mut names = Vec::new();
    match table.filter(|_| identifier != sql::ALL_TABLES) {
        Some(table) => names.push(place(engine, &Relation { identifier: identifier.to_string(), ..table.clone() })),
        None => {
            for schema in engine.lake.schemas().await? {
                let listed = engine.lake.list(&schema).await?.into_iter().filter(|(_, entry)| entry.is_none());
                names.extend(listed.map(|(table, _)| TableName::new(schema.as_str(), table)));
            }
        }
    }
    let mut deleted = 0;
    for name in &names {
        change::table(engine, name).await?;
        deleted += engine.lake.sweep_table(name, retention).await?;
    }
    engine.lake.sweep_abandoned().await?;
    Ok(counted("VACUUM", deleted as u64))
}

/// Does one operation.
pub async fn apply(engine: &Arc<Engine>, operation: Operation) -> Done<Effect> {
    let named = |relation: &Relation| place(engine, relation);
    match operation {
        Operation::CreateSchema { database, schema } => {
            engine.lake.create_schema(&engine.schema_name(database.as_deref(), Some(&schema))).await?;
            Ok(done("CREATE SCHEMA"))
        }
        Operation::CreateView { relation, sql, description } => create_view(engine, &named(&relation), &sql, description).await,
        Operation::CreateFunction { relation, function } => {
            sql::checked_function(&function)?;
            engine.lake.put_function(&named(&relation), &function).await?;
            Ok(done("CREATE FUNCTION"))
        }
        Operation::CreateTableAs { relation, sql, options } => create_table_as(engine, &named(&relation), &sql, &options).await,
        Operation::Write { relation, sql, write } => incremental(engine, &named(&relation), &sql, &write).await,
        Operation::Snapshot { relation, sql, versions } => {
            super::snapshot::snapshot(engine, &named(&relation), &sql, &versions).await
        }
        Operation::Describe { relation, description, column_descriptions } => {
            engine
                .lake
                .describe(&named(&relation), TableNotes { description, column_descriptions, ..TableNotes::default() })
                .await?;
            Ok(Effect::default())
        }
        Operation::AddColumns { relation, columns } => {
            for ColumnType { name, data_type } in columns {
                add_column(engine, &named(&relation), &name, &data_type, false).await?;
            }
            Ok(done("ALTER TABLE"))
        }
        Operation::DropColumns { relation, columns } => {
            drop_columns(engine, &named(&relation), columns).await?;
            Ok(done("ALTER TABLE"))
        }
        Operation::RetypeColumns { relation, columns } => {
            retype_columns(engine, &named(&relation), &columns).await?;
            Ok(done("ALTER TABLE"))
        }
        Operation::LoadSeed { relation, file, delimiter, column_types, quote_columns } => {
            let options = SeedOptions { delimiter, column_types, quote_columns };
            load_seed(engine, &named(&relation), file, options).await
        }
        Operation::CloneTable { relation, source } => {
            engine.lake.clone_table(&named(&source), &named(&relation)).await?;
            Ok(done("CLONE"))
        }
        Operation::Drop { relation, .. } => {
            engine.lake.drop_relation(&named(&relation)).await?;
            Ok(done("DROP"))
        }
        Operation::Statement { sql } => {
            let rows = execute(engine, &sql).await?;
            Ok(Effect { message: "OK".into(), rows_affected: rows.rows_affected })
        }
    }
}

/// Whether a `create` has nothing to do because the relation is there; an error if it must not be.
async fn stays(engine: &Engine, name: &TableName, replace: bool, if_not_exists: bool) -> Done<bool> {
    if replace || engine.lake.resolve(name).await?.is_none() {
        return Ok(false);
    }
    if if_not_exists {
        return Ok(true);
    }
    Err(LakeError::new("relation-exists", format!("relation {name} already exists")).into())
}

async fn drop_all(engine: &Engine, drop: &sql::Drop) -> Done<Effect> {
    let expected = match drop.what {
        DropKind::Schema => return drop_schemas(engine, drop).await,
        DropKind::Relation(RelationType::Table) => "table",
        DropKind::Relation(_) => "view",
    };
    for name in &drop.names {
        let name = place(engine, name);
        let kind = match engine.lake.resolve(&name).await? {
            None if drop.if_exists => continue,
            None => return Err(LakeError::new("relation-missing", format!("{expected} {name} does not exist")).into()),
            Some(Object::View(_)) => "view",
            Some(_) => "table",
        };
        if kind != expected {
            return Err(LakeError::new("relation-kind", format!("{name} is not a {expected}"))
                .help(format!("use `drop {kind}`"))
                .into());
        }
        engine.lake.drop_relation(&name).await?;
    }
    Ok(done(if expected == "view" { "DROP VIEW" } else { "DROP TABLE" }))
}

async fn drop_schemas(engine: &Engine, drop: &sql::Drop) -> Done<Effect> {
    for name in &drop.names {
        let schema = engine.schema_name(name.schema.as_deref(), Some(&name.identifier));
        if !engine.lake.schemas().await?.contains(&schema) {
            if drop.if_exists {
                continue;
            }
            return Err(LakeError::new("schema-missing", format!("schema \"{schema}\" does not exist")).into());
        }
        if !drop.cascade && !engine.lake.list(&schema).await?.is_empty() {
            let error = LakeError::new("schema-in-use", format!("schema \"{schema}\" is not empty"));
            return Err(error.help("add `cascade` to drop what is in it").into());
        }
        engine.lake.drop_schema(&schema).await?;
    }
    Ok(done("DROP SCHEMA"))
}

fn with_columns(query: String, columns: &[String]) -> String {
    if columns.is_empty() {
        return query;
    }
    let names: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    format!("select * from ({query}) as renamed ({})", names.join(", "))
}

async fn create_view(engine: &Arc<Engine>, name: &TableName, query: &str, description: Option<String>) -> Done<Effect> {
    let query = query.trim().trim_end_matches(';');
    let scope = Scope::new(Arc::clone(engine));
    // Planned once now, so that mistakes show at once; what is kept is the text.
    scope.plan(query).await?;
    if scope.has_read(name) {
        return Err(LakeError::new("view-cycle", format!("view {name} would be defined by way of itself")).into());
    }
    let view = View { sql: query.to_string(), default_schema: engine.schema.clone(), description, columns: Vec::new() };
    engine.lake.put_view(name, view).await?;
    Ok(done("CREATE VIEW"))
}

async fn create_table_as(engine: &Arc<Engine>, name: &TableName, query: &str, options: &TableOptions) -> Done<Effect> {
    let (session, plan) = query_plan(engine, query).await?;
    let cluster_by = column_names(&storable(plan.schema().as_arrow())?, &options.cluster_by, "cluster_by")?;
    let (schema, streams) = change::streams(&session, &change::clustered(plan, &cluster_by)?).await?;
    let options = &TableOptions { cluster_by, ..options.clone() };
    let rows = replace_table(engine, name, &storable(&schema)?, options, streams).await?;
    Ok(counted("SELECT", rows))
}

/// A query's plan; anything but a query is refused.
pub async fn query_plan(engine: &Arc<Engine>, query: &str) -> Done<(SessionContext, LogicalPlan)> {
    let planned = Scope::new(Arc::clone(engine)).plan(query.trim().trim_end_matches(';')).await?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&planned.1)?;
    Ok(planned)
}

/// Writes the streams and makes them the whole content of the relation.
async fn replace_table(
    engine: &Arc<Engine>,
    name: &TableName,
    schema: &SchemaRef,
    options: &TableOptions,
    streams: Vec<SendableRecordBatchStream>,
) -> Done<u64> {
    let partition_by = partition_names(schema, &options.partition_by)?;
    let notes = TableNotes {
        description: options.description.clone(),
        column_descriptions: options.column_descriptions.clone(),
        cluster_by: options.cluster_by.clone(),
        constraints: options.constraints.iter().map(|rule| (rule.name.clone(), rule.expression.clone())).collect(),
    };
    let streams = constraint::checked(engine, name, (schema, &options.constraints), streams).await?;
    let _guard = engine.lake.lock(name).await;
    let folder = engine.lake.storage().folder(name)?;
    let written = write_streams(folder.log().object_store(None), schema, &partition_by, streams).await?;
    let replacement = Replacement { added: &written.files, notes: &notes, base: None };
    engine.lake.replace(&folder, schema, &partition_by, replacement).await?;
    engine.lake.uncover(name).await?;
    Ok(written.rows)
}

/// The columns that a config of the layout names, as the table spells them.
fn column_names(schema: &SchemaRef, wanted: &[String], config: &str) -> Done<Vec<String>> {
    let find = |name: &String| {
        let field = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        let missing = || {
            let error = LakeError::new("column-missing", format!("{config}: the table has no column \"{name}\""));
            match crate::diagnostic::nearest(name, schema.fields().iter().map(|field| field.name().as_str())) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            }
        };
        Ok(field.ok_or_else(missing)?.name().clone())
    };
    Ok(wanted.iter().map(find).collect::<Result<Vec<_>, LakeError>>()?)
}

fn partition_names(schema: &SchemaRef, partition_by: &[String]) -> Done<Vec<String>> {
    let names = column_names(schema, partition_by, "partition_by")?;
    if !names.is_empty() && names.len() >= schema.fields().len() {
        return Err(LakeError::new("column-missing", "partition_by: at least one column must remain").into());
    }
    Ok(names)
}

fn declared_schema(columns: &[sql::Column]) -> Done<SchemaRef> {
    let field = |column: &sql::Column| Ok(Field::new(&column.name, known_type(&column.name, &column.data_type)?, true));
    let fields = columns.iter().map(field).collect::<Done<Vec<_>>>()?;
    Ok(storable(&Schema::new(fields))?)
}

pub fn known_type(column: &str, type_name: &str) -> Done<DataType> {
    let unknown = || LakeError::new("type-unknown", format!("column \"{column}\": unknown data type `{type_name}`"));
    Ok(sql::arrow_type(type_name).ok_or_else(unknown)?)
}

async fn load_seed(engine: &Arc<Engine>, name: &TableName, file: std::path::PathBuf, options: SeedOptions) -> Done<Effect> {
    let read = tokio::task::spawn_blocking(move || read_seed(&file, &options)).await;
    let seed = read.map_err(|error| LakeError::new("io", error.to_string()))??;
    let batches = futures::stream::iter(seed.batches.into_iter().map(Ok));
    let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&seed.schema), batches));
    let rows = replace_table(engine, name, &seed.schema, &TableOptions::default(), vec![stream]).await?;
    Ok(counted("INSERT", rows))
}
