//! Statements and operations, done: each is one atomic step of the lake.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::change::{self, Recipe, Refusal, column_list};
use super::session::{Engine, Scope};
use super::{rows, run};
use crate::adapter::{AdapterError, CatalogEntry, Effect, IncrementalWrite, Operation, TableOptions};
use crate::lake::{
    Lake, LakeError, Object, Replacement, SeedOptions, TableName, TableNotes, View, partition_columns, read_seed, storable,
    write_streams,
};
use crate::name::{Relation, RelationType, quote_identifier};
use crate::rows::{ColumnType, Rows};
use super::command::{self, Alteration, Command, MergeClause, MergeThen, MergeWhen, Name};
use crate::sql;

/// dbt's names for the two sides of a merge, which projects use in `incremental_predicates`.
const DEST: &str = "DBT_INTERNAL_DEST";
const SOURCE: &str = "DBT_INTERNAL_SOURCE";
/// How often a change of columns is done again because another writer was faster.
const MOST_ATTEMPTS: usize = 20;

type Done<T> = Result<T, AdapterError>;

/// Runs every statement of a text; the last one's rows.
pub async fn execute(engine: &Arc<Engine>, text: &str) -> Done<Rows> {
    let mut last = Rows::default();
    for (command, statement) in command::commands(text)? {
        last = Box::pin(command_rows(engine, command, &statement)).await?;
    }
    Ok(last)
}

fn affected(effect: &Effect) -> Rows {
    Rows { rows_affected: effect.rows_affected, ..Rows::default() }
}

fn done(message: &str) -> Effect {
    Effect { message: message.to_string(), rows_affected: None }
}

fn counted(verb: &str, count: u64) -> Effect {
    Effect { message: format!("{verb} {count}"), rows_affected: Some(count) }
}

async fn command_rows(engine: &Arc<Engine>, command: Command, text: &str) -> Done<Rows> {
    let effect = match command {
        Command::Query | Command::Explain | Command::Show => {
            let (session, plan) = Scope::new(Arc::clone(engine)).plan(text).await?;
            return run(&session, plan, None).await;
        }
        Command::Ignored => Effect::default(),
        Command::CreateSchema { name } => create_schema(engine, &name).await?,
        Command::DropSchema { names, if_exists, cascade } => drop_schemas(engine, &names, if_exists, cascade).await?,
        Command::CreateTableAs { name, query, replace, if_not_exists } => {
            let name = table_name(engine, &name)?;
            if stays(engine, &name, replace, if_not_exists).await? {
                return Ok(Rows::default());
            }
            create_table_as(engine, &name, &query, &TableOptions::default()).await?
        }
        Command::CreateTable { name, columns, replace, if_not_exists } => {
            let name = table_name(engine, &name)?;
            if stays(engine, &name, replace, if_not_exists).await? {
                return Ok(Rows::default());
            }
            let schema = declared_schema(&columns)?;
            replace_table(engine, &name, &schema, &TableOptions::default(), Vec::new()).await?;
            done("CREATE TABLE")
        }
        Command::CreateView { name, columns, query, replace } => {
            let name = table_name(engine, &name)?;
            if stays(engine, &name, replace, false).await? {
                return Ok(Rows::default());
            }
            create_view(engine, &name, &with_columns(query, &columns), None).await?
        }
        Command::DropTable { names, if_exists } => drop_all(engine, &names, if_exists, "table").await?,
        Command::DropView { names, if_exists } => drop_all(engine, &names, if_exists, "view").await?,
        Command::Insert { overwrite: true, .. } => {
            let reason = "`insert overwrite` is not supported";
            return Err(LakeError::new("sql-unsupported", reason).help("use `create or replace table … as`").into());
        }
        Command::Insert { name, columns, query, .. } => insert(engine, &table_name(engine, &name)?, &columns, &query).await?,
        Command::Update { name, alias, assignments, from, selection } => {
            let change = Update { alias, assignments, from, selection };
            update(engine, &table_name(engine, &name)?, &change).await?
        }
        Command::Delete { name, alias, using, selection } => {
            delete(engine, &table_name(engine, &name)?, &alias, using.as_deref(), selection.as_deref()).await?
        }
        Command::Merge { name, alias, source, source_alias, on, clauses } => {
            let merge = Merge { target: &alias, source: &source_alias, on: &on, clauses: &clauses };
            merge_statement(engine, &table_name(engine, &name)?, &source, &merge).await?
        }
        Command::Truncate { names } => {
            for name in &names {
                let nothing = Recipe { given: HashMap::new(), touch: None, refuse: None, rows: "select * from __touched where false".into() };
                change::change(engine, &table_name(engine, name)?, &nothing).await?;
            }
            done("TRUNCATE TABLE")
        }
        Command::AlterTable { name, changes } => {
            for change in changes {
                alter(engine, &table_name(engine, &name)?, change).await?;
            }
            done("ALTER TABLE")
        }
    };
    Ok(affected(&effect))
}

/// Does one operation.
pub async fn apply(engine: &Arc<Engine>, operation: Operation) -> Done<Effect> {
    let named = |relation: &Relation| engine.name(relation.database.as_deref(), relation.schema.as_deref(), &relation.identifier);
    match operation {
        Operation::CreateSchema { database, schema } => {
            engine.lake.create_schema(&engine.schema_name(database.as_deref(), Some(&schema))).await?;
            Ok(done("CREATE SCHEMA"))
        }
        Operation::CreateView { relation, sql, description } => create_view(engine, &named(&relation), &sql, description).await,
        Operation::CreateTableAs { relation, sql, options } => create_table_as(engine, &named(&relation), &sql, &options).await,
        Operation::Write { relation, sql, write } => incremental(engine, &named(&relation), &sql, &write).await,
        Operation::AddColumns { relation, columns } => {
            for ColumnType { name, data_type } in columns {
                let change = Alteration::AddColumn { name, data_type, if_not_exists: false };
                alter(engine, &named(&relation), change).await?;
            }
            Ok(done("ALTER TABLE"))
        }
        Operation::DropColumns { relation, columns } => {
            let dropped = Reshaping { dropped: columns, ..Reshaping::default() };
            reshape(engine, &named(&relation), &dropped).await?;
            Ok(done("ALTER TABLE"))
        }
        Operation::LoadSeed { relation, file, delimiter, column_types, quote_columns } => {
            let options = SeedOptions { delimiter, column_types, quote_columns };
            load_seed(engine, &named(&relation), file, options).await
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

/// The place of a name of one, two or three parts.
fn table_name(engine: &Engine, name: &Name) -> Done<TableName> {
    match name.as_slice() {
        [table] => Ok(engine.name(None, None, table)),
        [schema, table] => Ok(engine.name(None, Some(schema), table)),
        [database, schema, table] => Ok(engine.name(Some(database), Some(schema), table)),
        _ => Err(LakeError::new("sql-plan", format!("`{}` is not a relation's name", name.join("."))).into()),
    }
}

fn schema_name(engine: &Engine, name: &Name) -> String {
    match name.as_slice() {
        [database, schema] => engine.schema_name(Some(database), Some(schema)),
        parts => parts.join("."),
    }
}

async fn create_schema(engine: &Engine, name: &Name) -> Done<Effect> {
    engine.lake.create_schema(&schema_name(engine, name)).await?;
    Ok(done("CREATE SCHEMA"))
}

async fn drop_schemas(engine: &Engine, names: &[Name], if_exists: bool, cascade: bool) -> Done<Effect> {
    for name in names {
        let schema = schema_name(engine, name);
        if !engine.lake.schemas().await?.contains(&schema) {
            if if_exists {
                continue;
            }
            return Err(LakeError::new("schema-missing", format!("schema \"{schema}\" does not exist")).into());
        }
        if !cascade && !engine.lake.list(&schema).await?.is_empty() {
            return Err(LakeError::new("schema-in-use", format!("schema \"{schema}\" is not empty")).help("add `cascade` to drop what is in it").into());
        }
        engine.lake.drop_schema(&schema).await?;
    }
    Ok(done("DROP SCHEMA"))
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

async fn drop_all(engine: &Engine, names: &[Name], if_exists: bool, expected: &str) -> Done<Effect> {
    for name in names {
        let name = table_name(engine, name)?;
        let kind = match engine.lake.resolve(&name).await? {
            None if if_exists => continue,
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
    let (schema, streams) = change::streams(&session, &plan).await?;
    let rows = replace_table(engine, name, &storable(&schema)?, options, streams).await?;
    Ok(counted("SELECT", rows))
}

/// A query's plan; anything but a query is refused.
async fn query_plan(engine: &Arc<Engine>, query: &str) -> Done<(datafusion::prelude::SessionContext, LogicalPlan)> {
    let planned = Scope::new(Arc::clone(engine)).plan(query.trim().trim_end_matches(';')).await?;
    let options = datafusion::prelude::SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&planned.1)?;
    Ok(planned)
}

/// Writes the streams and makes them the whole content of the relation.
async fn replace_table(
    engine: &Engine,
    name: &TableName,
    schema: &SchemaRef,
    options: &TableOptions,
    streams: Vec<SendableRecordBatchStream>,
) -> Done<u64> {
    let partition_by = partition_names(schema, &options.partition_by)?;
    let notes = TableNotes { description: options.description.clone(), column_descriptions: options.column_descriptions.clone() };
    let _guard = engine.lake.lock(name).await;
    let folder = engine.lake.storage().folder(name)?;
    let written = write_streams(folder.log().object_store(None), schema, &partition_by, streams).await?;
    let replacement = Replacement { added: &written.files, notes: &notes, base: None };
    engine.lake.replace(&folder, schema, &partition_by, replacement).await?;
    engine.lake.uncover(name).await?;
    Ok(written.rows)
}

fn partition_names(schema: &SchemaRef, partition_by: &[String]) -> Done<Vec<String>> {
    let find = |name: &String| {
        let field = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
        let missing = || LakeError::new("column-missing", format!("partition_by: the table has no column \"{name}\""));
        Ok(field.ok_or_else(missing)?.name().clone())
    };
    let names = partition_by.iter().map(find).collect::<Result<Vec<_>, LakeError>>()?;
    if !names.is_empty() && names.len() >= schema.fields().len() {
        return Err(LakeError::new("column-missing", "partition_by: at least one column must remain").into());
    }
    Ok(names)
}

fn declared_schema(columns: &[(String, String)]) -> Done<SchemaRef> {
    let field = |(name, type_name): &(String, String)| Ok(Field::new(name, known_type(name, type_name)?, true));
    let fields = columns.iter().map(field).collect::<Done<Vec<_>>>()?;
    Ok(storable(&Schema::new(fields))?)
}

fn known_type(column: &str, type_name: &str) -> Done<DataType> {
    let unknown = || LakeError::new("type-unknown", format!("column \"{column}\": unknown data type `{type_name}`"));
    Ok(sql::types::arrow_type(type_name).ok_or_else(unknown)?)
}

async fn load_seed(engine: &Engine, name: &TableName, file: std::path::PathBuf, options: SeedOptions) -> Done<Effect> {
    let read = tokio::task::spawn_blocking(move || read_seed(&file, &options)).await;
    let seed = read.map_err(|error| LakeError::new("io", error.to_string()))??;
    let batches = futures::stream::iter(seed.batches.into_iter().map(Ok));
    let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&seed.schema), batches));
    let rows = replace_table(engine, name, &seed.schema, &TableOptions::default(), vec![stream]).await?;
    Ok(counted("INSERT", rows))
}

/// A query's columns in a table's order, found by name.
fn by_name(plan: LogicalPlan, schema: &SchemaRef, name: &TableName) -> Done<LogicalPlan> {
    let found = plan.schema().clone();
    let expressions = schema
        .fields()
        .iter()
        .map(|field| {
            let exact = found.fields().iter().position(|other| other.name() == field.name());
            let index = exact.or_else(|| found.fields().iter().position(|other| other.name().eq_ignore_ascii_case(field.name())));
            let index = index.ok_or_else(|| {
                LakeError::new("column-missing", format!("{name} has a column \"{}\" that the query does not give", field.name()))
                    .help("set `on_schema_change`, or rebuild with `--full-refresh`")
            })?;
            Ok(Expr::Column(Column::from(found.qualified_field(index))).alias(field.name()))
        })
        .collect::<Result<Vec<_>, LakeError>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(expressions)?.build()?)
}

async fn incremental(engine: &Arc<Engine>, name: &TableName, query: &str, write: &IncrementalWrite) -> Done<Effect> {
    let table = change::table(engine, name).await?;
    let schema = change::table_schema(&table)?;
    let (session, plan) = query_plan(engine, query).await?;
    let plan = by_name(plan, &schema, name)?;
    match write {
        IncrementalWrite::Append => append(engine, name, &session, &plan).await,
        IncrementalWrite::Merge { keys, update_columns, predicates } => {
            let keys = key_columns(&schema, keys)?;
            let new = change::Rows::of(engine, &session, &plan, &schema).await?;
            let recipe = merge_recipe(&schema, &keys, update_columns.as_deref(), predicates)?;
            with_new_rows(engine, name, new, recipe, "MERGE").await
        }
        IncrementalWrite::DeleteInsert { keys, predicates } => {
            let keys = key_columns(&schema, keys)?;
            let new = change::Rows::of(engine, &session, &plan, &schema).await?;
            with_new_rows(engine, name, new, delete_insert_recipe(&schema, &keys, predicates), "INSERT").await
        }
    }
}

/// Makes the change with the new rows known as `__new`, and frees them whatever came of it.
async fn with_new_rows(engine: &Arc<Engine>, name: &TableName, new: change::Rows, mut recipe: Recipe, verb: &str) -> Done<Effect> {
    recipe.given.insert("__new".into(), Arc::clone(&new.provider));
    let count = new.count;
    let changed = change::change(engine, name, &recipe).await;
    new.discard(engine).await?;
    changed?;
    Ok(counted(verb, count))
}

fn key_columns(schema: &SchemaRef, keys: &[String]) -> Done<Vec<String>> {
    let find = |key: &String| {
        let bare = key.trim().trim_matches('"');
        let field = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(bare));
        let missing = || {
            let error = LakeError::new("column-missing", format!("unique_key: the table has no column \"{bare}\""));
            match crate::diagnostic::nearest(bare, schema.fields().iter().map(|field| field.name().as_str())) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            }
        };
        Ok(field.ok_or_else(missing)?.name().clone())
    };
    let found = keys.iter().map(find).collect::<Result<Vec<_>, LakeError>>()?;
    if found.is_empty() {
        return Err(LakeError::new("key-missing", "this write needs a `unique_key`").into());
    }
    Ok(found)
}

fn equal_keys(keys: &[String]) -> String {
    let equal = |key: &String| {
        let key = quote_identifier(key);
        format!("{SOURCE}.{key} = {DEST}.{key}")
    };
    keys.iter().map(equal).collect::<Vec<_>>().join(" and ")
}

fn merge_recipe(schema: &SchemaRef, keys: &[String], update: Option<&[String]>, predicates: &[String]) -> Done<Recipe> {
    let mut on = equal_keys(keys);
    predicates.iter().for_each(|predicate| on.push_str(&format!(" and ({predicate})")));
    let of_source = |name: &str| format!("{SOURCE}.{}", quote_identifier(name));
    let updated = |name: &str| update.is_none_or(|columns| columns.iter().any(|column| column.trim_matches('"').eq_ignore_ascii_case(name)));
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let assignments = names.iter().filter(|name| updated(name)).map(|name| ((*name).to_string(), of_source(name))).collect();
    let clauses = [
        MergeClause { when: MergeWhen::Matched, predicate: None, action: MergeThen::Update(assignments) },
        MergeClause {
            when: MergeWhen::NotMatchedByTarget,
            predicate: None,
            action: MergeThen::Insert { columns: Vec::new(), values: names.iter().map(|name| of_source(name)).collect() },
        },
    ];
    let mut recipe = change::merge(schema, DEST, SOURCE, &on, &clauses)?;
    let shown = keys.iter().map(|key| format!("min({DEST}.{0}) as {0}", quote_identifier(key))).collect::<Vec<_>>().join(", ");
    recipe.refuse = Some(duplicate_refusal(change::matched_twice(DEST, SOURCE, &on, &shown)));
    Ok(recipe)
}

fn duplicate_refusal(query: String) -> Refusal {
    let error = LakeError::new("merge-duplicate", "more than one new row matches the same row of the table")
        .help("make the query give one row for each `unique_key`");
    Refusal { query, error }
}

fn delete_insert_recipe(schema: &SchemaRef, keys: &[String], predicates: &[String]) -> Recipe {
    let exists = format!("exists (select 1 from __new as {SOURCE} where {})", equal_keys(keys));
    let within = predicates.iter().map(|predicate| format!("({predicate})")).collect::<Vec<_>>().join(" and ");
    let condition = if within.is_empty() { exists.clone() } else { format!("{exists} and {within}") };
    let columns = column_list(schema, "");
    let kept = column_list(schema, &format!("{DEST}."));
    let mut rows = format!("select {kept} from __touched as {DEST} where not {exists}");
    if !within.is_empty() {
        rows.push_str(&format!(" union all select {kept} from __touched as {DEST} where {exists} and ({within}) is not true"));
    }
    rows.push_str(&format!(" union all select {columns} from __new"));
    let touch = format!("select {DEST}.__file, count(*) from __old as {DEST} where {condition} group by {DEST}.__file");
    Recipe { given: HashMap::new(), touch: Some(touch), refuse: None, rows }
}

async fn append(engine: &Engine, name: &TableName, session: &datafusion::prelude::SessionContext, plan: &LogicalPlan) -> Done<Effect> {
    let table = change::table(engine, name).await?;
    let schema = change::table_schema(&table)?;
    let (_, streams) = change::streams(session, plan).await?;
    let folder = engine.lake.storage().folder(name)?;
    let partition_by = partition_columns(table.snapshot().map_err(LakeError::from)?.metadata());
    let written = write_streams(folder.log().object_store(None), &schema, &partition_by, streams).await?;
    if !written.files.is_empty() {
        let _guard = engine.lake.lock(name).await;
        engine.lake.append(&folder, &table, &written.files).await?;
    }
    Ok(counted("INSERT", written.rows))
}

/// `insert into name (columns) query`: values by position, absent columns null.
async fn insert(engine: &Arc<Engine>, name: &TableName, columns: &[String], query: &str) -> Done<Effect> {
    let table = change::table(engine, name).await?;
    let schema = change::table_schema(&table)?;
    let (session, plan) = query_plan(engine, query).await?;
    let given = plan.schema().fields().len();
    let expected = if columns.is_empty() { schema.fields().len() } else { columns.len() };
    if given > expected || (given < expected && !columns.is_empty()) {
        return Err(LakeError::new("sql-plan", format!("insert into {name}: {expected} columns are named, the query gives {given}")).into());
    }
    for column in columns {
        if !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column)) {
            return Err(LakeError::new("column-missing", format!("{name} has no column \"{column}\"")).into());
        }
    }
    let source = plan.schema().clone();
    let value = |(position, field): (usize, &Arc<Field>)| {
        let index = if columns.is_empty() {
            Some(position).filter(|position| *position < given)
        } else {
            columns.iter().position(|column| column.eq_ignore_ascii_case(field.name()))
        };
        let value = index.map_or_else(|| lit(ScalarValue::Null), |index| Expr::Column(Column::from(source.qualified_field(index))));
        value.alias(field.name())
    };
    let expressions: Vec<Expr> = schema.fields().iter().enumerate().map(value).collect();
    let plan = LogicalPlanBuilder::from(plan).project(expressions)?.build()?;
    append(engine, name, &session, &plan).await
}

/// An `update`.
struct Update {
    alias: String,
    assignments: Vec<(String, String)>,
    from: Option<String>,
    selection: Option<String>,
}

async fn update(engine: &Arc<Engine>, name: &TableName, update: &Update) -> Done<Effect> {
    let schema = change::table_schema(&change::table(engine, name).await?)?;
    let Update { alias, assignments, from, selection } = update;
    for (column, _) in assignments {
        if !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column)) {
            return Err(LakeError::new("column-missing", format!("{name} has no column \"{column}\"")).into());
        }
    }
    let condition = selection.as_deref().unwrap_or("true");
    let value = |field: &Arc<Field>| {
        let column = quote_identifier(field.name());
        let assigned = assignments.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
        let value = assigned.map_or_else(|| format!("{alias}.{column}"), |(_, value)| format!("({value})"));
        format!("{value} as {column}")
    };
    let values = schema.fields().iter().map(value).collect::<Vec<_>>().join(", ");
    let kept = column_list(&schema, &format!("{alias}."));
    let (touch, rows) = match from {
        None => (
            format!("select {alias}.__file, count(*) from __old as {alias} where {condition} group by {alias}.__file"),
            format!(
                "select {values} from __touched as {alias} where {condition} \
                 union all select {kept} from __touched as {alias} where ({condition}) is not true"
            ),
        ),
        Some(from) => {
            let exists = format!("exists (select 1 from {from} where {condition})");
            let columns = column_list(&schema, "");
            (
                format!("select {alias}.__file, count(*) from __old as {alias} where {exists} group by {alias}.__file"),
                // Several matches for a row: one of them counts, as in PostgreSQL.
                format!(
                    "select {columns} from (select {values}, row_number() over (partition by {alias}.__row) as __match \
                     from (select *, row_number() over () as __row from __touched) as {alias}, {from} where {condition}) as matched \
                     where __match = 1 union all select {kept} from __touched as {alias} where not {exists}"
                ),
            )
        }
    };
    let recipe = Recipe { given: HashMap::new(), touch: Some(touch), refuse: None, rows };
    Ok(counted("UPDATE", change::change(engine, name, &recipe).await?.touched))
}

async fn delete(engine: &Arc<Engine>, name: &TableName, alias: &str, using: Option<&str>, selection: Option<&str>) -> Done<Effect> {
    let schema = change::table_schema(&change::table(engine, name).await?)?;
    let condition = selection.unwrap_or("true");
    let kept = column_list(&schema, &format!("{alias}."));
    let (goes, stays) = match using {
        None => (condition.to_string(), format!("({condition}) is not true")),
        Some(using) => {
            let exists = format!("exists (select 1 from {using} where {condition})");
            (exists.clone(), format!("not {exists}"))
        }
    };
    let recipe = Recipe {
        given: HashMap::new(),
        touch: Some(format!("select {alias}.__file, count(*) from __old as {alias} where {goes} group by {alias}.__file")),
        refuse: None,
        rows: format!("select {kept} from __touched as {alias} where {stays}"),
    };
    Ok(counted("DELETE", change::change(engine, name, &recipe).await?.touched))
}

/// A `merge` statement without its relations.
struct Merge<'a> {
    target: &'a str,
    source: &'a str,
    on: &'a str,
    clauses: &'a [MergeClause],
}

async fn merge_statement(engine: &Arc<Engine>, name: &TableName, source: &str, merge: &Merge<'_>) -> Done<Effect> {
    let schema = change::table_schema(&change::table(engine, name).await?)?;
    let (session, plan) = query_plan(engine, &format!("select * from {source}")).await?;
    let given = storable(plan.schema().as_arrow())?;
    let new = change::Rows::of(engine, &session, &plan, &given).await?;
    let mut recipe = change::merge(&schema, merge.target, merge.source, merge.on, merge.clauses)?;
    if merge.clauses.iter().any(|clause| clause.when == MergeWhen::Matched) {
        recipe.refuse = Some(duplicate_refusal(change::matched_twice(merge.target, merge.source, merge.on, "count(*) as matches")));
    }
    with_new_rows(engine, name, new, recipe, "MERGE").await
}

async fn alter(engine: &Arc<Engine>, name: &TableName, change: Alteration) -> Done<()> {
    let reshaping = match change {
        Alteration::RenameTo(to) => {
            let to = match to.as_slice() {
                [table] => TableName::new(name.schema.as_str(), table.as_str()),
                _ => table_name(engine, &to)?,
            };
            return Ok(engine.lake.rename(name, &to).await?);
        }
        Alteration::AddColumn { name: column, data_type, if_not_exists } => {
            return add_column(engine, name, &column, &data_type, if_not_exists).await;
        }
        Alteration::DropColumn { name: column, if_exists } => {
            let schema = change::table_schema(&change::table(engine, name).await?)?;
            if if_exists && !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(&column)) {
                return Ok(());
            }
            Reshaping { dropped: vec![column], ..Reshaping::default() }
        }
        Alteration::RenameColumn { from, to } => Reshaping { renamed: vec![(from, to)], ..Reshaping::default() },
        Alteration::SetType { name: column, data_type } => {
            let data_type = known_type(&column, &data_type)?;
            Reshaping { typed: vec![(column, data_type)], ..Reshaping::default() }
        }
    };
    reshape(engine, name, &reshaping).await
}

async fn add_column(engine: &Engine, name: &TableName, column: &str, data_type: &str, if_not_exists: bool) -> Done<()> {
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
        let named = self.dropped.iter().chain(self.renamed.iter().map(|(from, _)| from)).chain(self.typed.iter().map(|(column, _)| column));
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
        notes.column_descriptions = notes.column_descriptions.into_iter().filter_map(|(old, text)| Some((renamed(&old)?, text))).collect();
        let old_partitions = partition_columns(table.snapshot().map_err(LakeError::from)?.metadata());
        let partition_by: Vec<String> = old_partitions.iter().filter_map(|old| renamed(old)).collect();
        let given = HashMap::from([("__all".to_string(), super::session::delta_provider(&table).await?)]);
        let columns: Vec<String> = fields.iter().map(|(old, _)| quote_identifier(old)).collect();
        let (session, plan) = Scope::with(Arc::clone(engine), given).plan(&format!("select {} from __all", columns.join(", "))).await?;
        let (_, streams) = change::streams(&session, &plan).await?;
        let written = write_streams(folder.log().object_store(None), &schema, &partition_by, streams).await?;
        let replacement = Replacement { added: &written.files, notes: &notes, base: table.version() };
        if engine.lake.replace(&folder, &schema, &partition_by, replacement).await? {
            return Ok(());
        }
    }
    Err(LakeError::new("table-contended", format!("other writers keep changing {name}")).into())
}

/// What the catalog tells of a relation.
pub async fn catalog_entry(engine: &Arc<Engine>, relation: &Relation, relation_type: RelationType) -> Done<Option<CatalogEntry>> {
    let name = engine.name(relation.database.as_deref(), relation.schema.as_deref(), &relation.identifier);
    let (notes, stats) = match engine.lake.resolve(&name).await? {
        None => return Ok(None),
        Some(Object::Table(table)) => (Lake::notes(&table)?, table_stats(&table)?),
        Some(Object::View(view)) => (TableNotes { description: view.description, column_descriptions: view.columns }, Vec::new()),
        Some(_) => (TableNotes::default(), Vec::new()),
    };
    // A view whose parent is gone is still in the catalog, without columns.
    let columns = match super::relation_schema(engine, &name).await {
        Ok(schema) => rows::column_types(&schema),
        Err(_) => Vec::new(),
    };
    let comment = |column: &ColumnType| notes.column_descriptions.iter().find(|(name, _)| *name == column.name).map(|(_, text)| text.clone());
    Ok(Some(CatalogEntry {
        relation: relation.clone(),
        relation_type,
        comment: notes.description.clone(),
        owner: None,
        columns: columns.into_iter().map(|column| (comment(&column), column)).map(|(comment, column)| (column, comment)).collect(),
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
