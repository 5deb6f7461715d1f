//! Statements and operations, done: each is one atomic step of the lake.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::change::{self, Action, Pair, Recipe, Refusal, When, column_list};
use super::session::{Engine, Scope};
use super::{rows, run};
use crate::adapter::{AdapterError, CatalogEntry, Effect, IncrementalWrite, Operation, TableOptions};
use crate::lake::{
    Lake, LakeError, Object, Replacement, SeedOptions, TableName, TableNotes, View, partition_columns, read_seed, storable,
    write_streams,
};
use crate::name::{Relation, RelationType, quote_identifier};
use crate::rows::{ColumnType, Rows};
use crate::sql::{self, AlterColumn, Command, DropKind};
use sqlparser::ast::{Assignment, AssignmentTarget, Expr as SqlExpr, MergeAction, MergeClause, MergeClauseKind, MergeInsertKind, TableFactor};

/// dbt's names for the two sides of a merge, which projects use in `incremental_predicates`.
const DEST: &str = "DBT_INTERNAL_DEST";
const SOURCE: &str = "DBT_INTERNAL_SOURCE";
/// How often a change of columns is done again because another writer was faster.
const MOST_ATTEMPTS: usize = 20;

type Done<T> = Result<T, AdapterError>;

/// Runs every statement of a text; the last one's rows.
pub async fn execute(engine: &Arc<Engine>, text: &str) -> Done<Rows> {
    let mut last = Rows::default();
    for (command, statement) in sql::command(text)? {
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
    let place = |relation: &Relation| place(engine, relation);
    let effect = match command {
        Command::Query(_) | Command::Explain { .. } | Command::Show(_) => {
            let (session, plan) = Scope::new(Arc::clone(engine)).plan(text).await?;
            return run(&session, plan, None).await;
        }
        Command::Ignored(_) => Effect::default(),
        Command::CreateSchema { database, schema, .. } => {
            engine.lake.create_schema(&engine.schema_name(database.as_deref(), Some(&schema))).await?;
            done("CREATE SCHEMA")
        }
        Command::CreateTableAs { name, or_replace, if_not_exists, query, .. } => {
            let name = place(&name);
            if stays(engine, &name, or_replace, if_not_exists).await? {
                return Ok(Rows::default());
            }
            create_table_as(engine, &name, &query.to_string(), &TableOptions::default()).await?
        }
        Command::CreateTable { name, or_replace, if_not_exists, columns, .. } => {
            let name = place(&name);
            if stays(engine, &name, or_replace, if_not_exists).await? {
                return Ok(Rows::default());
            }
            let schema = declared_schema(&columns)?;
            replace_table(engine, &name, &schema, &TableOptions::default(), Vec::new()).await?;
            done("CREATE TABLE")
        }
        Command::CreateView { name, or_replace, if_not_exists, columns, sql, .. } => {
            let name = place(&name);
            if stays(engine, &name, or_replace, if_not_exists).await? {
                return Ok(Rows::default());
            }
            create_view(engine, &name, &with_columns(sql, &columns), None).await?
        }
        Command::Drop(drop) => drop_all(engine, &drop).await?,
        other => changed_rows(engine, other).await?,
    };
    Ok(affected(&effect))
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

fn place(engine: &Engine, relation: &Relation) -> TableName {
    engine.name(relation.database.as_deref(), relation.schema.as_deref(), &relation.identifier)
}

/// The name that a statement's own table goes by in it, quoted.
fn alias_of(table: &Relation, alias: Option<String>) -> String {
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

/// Does one operation.
pub async fn apply(engine: &Arc<Engine>, operation: Operation) -> Done<Effect> {
    let named = |relation: &Relation| place(engine, relation);
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
                add_column(engine, &named(&relation), &name, &data_type, false).await?;
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
            return Err(LakeError::new("relation-kind", format!("{name} is not a {expected}")).help(format!("use `drop {kind}`")).into());
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

fn declared_schema(columns: &[sql::Column]) -> Done<SchemaRef> {
    let field = |column: &sql::Column| Ok(Field::new(&column.name, known_type(&column.name, &column.data_type)?, true));
    let fields = columns.iter().map(field).collect::<Done<Vec<_>>>()?;
    Ok(storable(&Schema::new(fields))?)
}

fn known_type(column: &str, type_name: &str) -> Done<DataType> {
    let unknown = || LakeError::new("type-unknown", format!("column \"{column}\": unknown data type `{type_name}`"));
    Ok(sql::arrow_type(type_name).ok_or_else(unknown)?)
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
        When { pair: Pair::Matched, predicate: None, action: Action::Update(assignments) },
        When {
            pair: Pair::OnlySource,
            predicate: None,
            action: Action::Insert { columns: Vec::new(), values: names.iter().map(|name| of_source(name)).collect() },
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
    Recipe { given: HashMap::new(), touch: Some(touch), refuse: None, numbered: false, rows }
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
    let (touch, rows, numbered) = match from {
        None => {
            let (others, numbered) = change::kept_rows(&kept, alias, condition);
            let changed = if numbered { "__numbered" } else { "__touched" };
            (
                format!("select {alias}.__file, count(*) from __old as {alias} where {condition} group by {alias}.__file"),
                format!("select {values} from {changed} as {alias} where {condition} union all {others}"),
                numbered,
            )
        }
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
                false,
            )
        }
    };
    let recipe = Recipe { given: HashMap::new(), touch: Some(touch), refuse: None, numbered, rows };
    Ok(counted("UPDATE", change::change(engine, name, &recipe).await?.touched))
}

async fn delete(engine: &Arc<Engine>, name: &TableName, alias: &str, using: Option<&str>, selection: Option<&str>) -> Done<Effect> {
    let schema = change::table_schema(&change::table(engine, name).await?)?;
    let condition = selection.unwrap_or("true");
    let kept = column_list(&schema, &format!("{alias}."));
    let (goes, (rows, numbered)) = match using {
        None => (condition.to_string(), change::kept_rows(&kept, alias, condition)),
        Some(using) => {
            let exists = format!("exists (select 1 from {using} where {condition})");
            let rows = format!("select {kept} from __touched as {alias} where not {exists}");
            (exists, (rows, false))
        }
    };
    let recipe = Recipe {
        given: HashMap::new(),
        touch: Some(format!("select {alias}.__file, count(*) from __old as {alias} where {goes} group by {alias}.__file")),
        refuse: None,
        numbered,
        rows,
    };
    Ok(counted("DELETE", change::change(engine, name, &recipe).await?.touched))
}

async fn merge_statement(engine: &Arc<Engine>, merge: sql::Merge) -> Done<Effect> {
    let name = place(engine, &merge.table);
    let schema = change::table_schema(&change::table(engine, &name).await?)?;
    let target = alias_of(&merge.table, merge.alias);
    let source = source_alias(&merge.source);
    let on = merge.on.to_string();
    let clauses = merge.clauses.iter().map(when).collect::<Done<Vec<_>>>()?;
    let (session, plan) = query_plan(engine, &format!("select * from {}", merge.source)).await?;
    let given = storable(plan.schema().as_arrow())?;
    let new = change::Rows::of(engine, &session, &plan, &given).await?;
    let mut recipe = change::merge(&schema, &target, &source, &on, &clauses)?;
    if clauses.iter().any(|clause| clause.pair == Pair::Matched) {
        recipe.refuse = Some(duplicate_refusal(change::matched_twice(&target, &source, &on, "count(*) as matches")));
    }
    with_new_rows(engine, &name, new, recipe, "MERGE").await
}

/// The name by which a merge's source is called, as written or quoted.
fn source_alias(source: &TableFactor) -> String {
    let (alias, name) = match source {
        TableFactor::Table { alias, name, .. } => (alias.as_ref(), name.0.last().map(ToString::to_string)),
        TableFactor::Derived { alias, .. } => (alias.as_ref(), None),
        _ => (None, None),
    };
    alias.map(|alias| alias.name.to_string()).or(name).unwrap_or_else(|| "source".to_string())
}

fn when(clause: &MergeClause) -> Done<When> {
    let pair = match clause.clause_kind {
        MergeClauseKind::Matched => Pair::Matched,
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => Pair::OnlySource,
        MergeClauseKind::NotMatchedBySource => Pair::OnlyTarget,
    };
    let unsupported = |what: &str| AdapterError::from(LakeError::new("sql-plan", format!("merge: {what} is not supported")));
    let action = match &clause.action {
        MergeAction::Delete { .. } => Action::Delete,
        MergeAction::Update(update) => Action::Update(update.assignments.iter().map(assigned).collect::<Option<_>>().ok_or_else(|| unsupported("`set (a, b) = …`"))?),
        MergeAction::Insert(insert) => {
            let MergeInsertKind::Values(values) = &insert.kind else { return Err(unsupported("`insert row`")) };
            let row = values.rows.first().ok_or_else(|| unsupported("an insert without values"))?;
            let columns = insert.columns.iter().filter_map(|column| column.0.last()?.as_ident().map(stored)).collect();
            Action::Insert { columns, values: row.iter().map(ToString::to_string).collect() }
        }
    };
    Ok(When { pair, predicate: clause.predicate.as_ref().map(SqlExpr::to_string), action })
}

fn assigned(assignment: &Assignment) -> Option<(String, String)> {
    let AssignmentTarget::ColumnName(column) = &assignment.target else { return None };
    Some((stored(column.0.last()?.as_ident()?), assignment.value.to_string()))
}

/// A name as the catalog has it: unquoted ones in lower case.
fn stored(ident: &sqlparser::ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

async fn alter(engine: &Arc<Engine>, name: &TableName, change: AlterColumn) -> Done<()> {
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
    let name = place(engine, relation);
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
