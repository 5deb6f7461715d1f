//! Rows into tables that are there: incremental writes, `insert`, `update`, `delete`, `merge`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::SessionContext;
use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr as SqlExpr, MergeAction, MergeClause, MergeClauseKind, MergeInsertKind, TableFactor,
};

use super::change::{self, Action, Pair, Recipe, Refusal, When, column_list};
use super::constraint::checked;
use super::session::Engine;
use super::statement::{Done, alias_of, counted, place, query_plan};
use crate::adapter::{AdapterError, Effect, IncrementalWrite};
use crate::lake::{Lake, LakeError, TableName, partition_columns, storable, write_streams};
use crate::name::quote_identifier;
use crate::sql;

/// dbt's names for the two sides of a merge, which projects use in `incremental_predicates`.
const DEST: &str = "DBT_INTERNAL_DEST";
const SOURCE: &str = "DBT_INTERNAL_SOURCE";

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

pub async fn incremental(engine: &Arc<Engine>, name: &TableName, query: &str, write: &IncrementalWrite) -> Done<Effect> {
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
            let same = Same::of(&schema, keys, " = ")?;
            let new = change::Rows::of(engine, &session, &plan, &schema).await?;
            with_new_rows(engine, name, new, delete_insert_recipe(&schema, &same, predicates), "INSERT").await
        }
        IncrementalWrite::InsertOverwrite { keys } => {
            let partitions = partition_columns(table.snapshot().map_err(LakeError::from)?.metadata());
            let recipe = overwrite_recipe(&schema, keys, &partitions)?;
            let new = change::Rows::of(engine, &session, &plan, &schema).await?;
            with_new_rows(engine, name, new, recipe, "INSERT").await
        }
        IncrementalWrite::ReplaceWhere { replaced, taken } => {
            let new = change::Rows::of(engine, &session, &plan, &schema).await?;
            with_new_rows(engine, name, new, replace_recipe(&schema, replaced, taken), "INSERT").await
        }
    }
}

/// Makes the change with the new rows known as `__new`, and frees them whatever came of it.
async fn with_new_rows(
    engine: &Arc<Engine>,
    name: &TableName,
    new: change::Rows,
    mut recipe: Recipe,
    verb: &str,
) -> Done<Effect> {
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
    let updated = |name: &str| {
        update.is_none_or(|columns| columns.iter().any(|column| column.trim_matches('"').eq_ignore_ascii_case(name)))
    };
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

/// Which rows of the table and new rows belong together: those with the same values of the keys.
struct Same {
    /// SQL over either side's columns, for keys that are no column.
    computed: Vec<String>,
    on: String,
}

impl Same {
    /// `keys` are columns, several of them in one text, or SQL; `equals` compares two values.
    fn of(schema: &SchemaRef, keys: &[String], equals: &str) -> Done<Self> {
        let bare = |key: &str| key.trim().trim_matches('"').to_string();
        let known = |key: &String| schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(key));
        let (mut columns, mut computed) = (Vec::new(), Vec::new());
        for key in keys {
            let parts: Vec<String> = key.split(',').map(bare).collect();
            if parts.iter().all(known) || parts.iter().all(|part| part.chars().all(|c| c.is_alphanumeric() || c == '_')) {
                columns.extend(parts);
            } else {
                computed.push(key.clone());
            }
        }
        let columns = if columns.is_empty() && !computed.is_empty() { Vec::new() } else { key_columns(schema, &columns)? };
        let named = columns.iter().map(|column| quote_identifier(column));
        let named = named.chain((0..computed.len()).map(|index| format!("__key{index}")));
        let on = named.map(|key| format!("({SOURCE}.{key}{equals}{DEST}.{key})")).collect::<Vec<_>>().join(" and ");
        Ok(Self { computed, on })
    }

    /// A side of the comparison: `table` with the computed keys beside its columns.
    fn side(&self, table: &str, alias: &str) -> String {
        if self.computed.is_empty() {
            return format!("{table} as {alias}");
        }
        let keys = self.computed.iter().enumerate().map(|(index, key)| format!("({key}) as __key{index}"));
        format!("(select *, {} from {table}) as {alias}", keys.collect::<Vec<_>>().join(", "))
    }

    /// Holds for rows of the table that new rows have the keys of.
    fn exists(&self) -> String {
        format!("exists (select 1 from {} where {})", self.side("__new", SOURCE), self.on)
    }
}

/// New rows in place of the partitions they are in. Where the partitions are folders of the table, whole files go.
fn overwrite_recipe(schema: &SchemaRef, keys: &[String], partitions: &[String]) -> Done<Recipe> {
    let mut recipe = Recipe { given: HashMap::new(), touch: None, refuse: None, numbered: false, rows: String::new() };
    let columns = column_list(schema, "");
    recipe.rows = format!("select {columns} from __new");
    if keys.is_empty() {
        return Ok(recipe);
    }
    let same = Same::of(schema, keys, " is not distinct from ")?;
    let exists = same.exists();
    let from = same.side("__old", DEST);
    recipe.touch = Some(format!("select {DEST}.__file, count(*) from {from} where {exists} group by {DEST}.__file"));
    let is_partition = |key: &String| partitions.iter().any(|name| name.eq_ignore_ascii_case(key.trim().trim_matches('"')));
    if !keys.iter().all(is_partition) {
        let kept = column_list(schema, &format!("{DEST}."));
        let touched = same.side("__touched", DEST);
        recipe.rows = format!("select {kept} from {touched} where not {exists} union all {}", recipe.rows);
    }
    Ok(recipe)
}

/// New rows for which `taken` holds in place of old ones for which `replaced` does.
fn replace_recipe(schema: &SchemaRef, replaced: &str, taken: &str) -> Recipe {
    let columns = column_list(schema, "");
    let (kept, numbered) = change::kept_rows(&column_list(schema, &format!("{DEST}.")), DEST, replaced);
    Recipe {
        given: HashMap::new(),
        touch: Some(format!("select {DEST}.__file, count(*) from __old as {DEST} where {replaced} group by {DEST}.__file")),
        refuse: None,
        numbered,
        rows: format!("{kept} union all select {columns} from __new where {taken}"),
    }
}

fn delete_insert_recipe(schema: &SchemaRef, same: &Same, predicates: &[String]) -> Recipe {
    let exists = same.exists();
    let within = predicates.iter().map(|predicate| format!("({predicate})")).collect::<Vec<_>>().join(" and ");
    let condition = if within.is_empty() { exists.clone() } else { format!("{exists} and {within}") };
    let columns = column_list(schema, "");
    let kept = column_list(schema, &format!("{DEST}."));
    let touched = same.side("__touched", DEST);
    let mut rows = format!("select {kept} from {touched} where not {exists}");
    if !within.is_empty() {
        rows.push_str(&format!(" union all select {kept} from {touched} where {exists} and ({within}) is not true"));
    }
    rows.push_str(&format!(" union all select {columns} from __new"));
    let touch =
        format!("select {DEST}.__file, count(*) from {} where {condition} group by {DEST}.__file", same.side("__old", DEST));
    Recipe { given: HashMap::new(), touch: Some(touch), refuse: None, numbered: false, rows }
}

async fn append(engine: &Arc<Engine>, name: &TableName, session: &SessionContext, plan: &LogicalPlan) -> Done<Effect> {
    let table = change::table(engine, name).await?;
    let schema = change::table_schema(&table)?;
    let plan = change::clustered(plan.clone(), &Lake::notes(&table)?.cluster_by)?;
    let (_, streams) = change::streams(session, &plan).await?;
    let streams = checked(engine, name, (&schema, &change::rules(&table)?), streams).await?;
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
pub async fn insert(engine: &Arc<Engine>, name: &TableName, columns: &[String], query: &str) -> Done<Effect> {
    let table = change::table(engine, name).await?;
    let schema = change::table_schema(&table)?;
    let (session, plan) = query_plan(engine, query).await?;
    let given = plan.schema().fields().len();
    let expected = if columns.is_empty() { schema.fields().len() } else { columns.len() };
    if given > expected || (given < expected && !columns.is_empty()) {
        return Err(LakeError::new(
            "sql-plan",
            format!("insert into {name}: {expected} columns are named, the query gives {given}"),
        )
        .into());
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
        let value =
            index.map_or_else(|| lit(ScalarValue::Null), |index| Expr::Column(Column::from(source.qualified_field(index))));
        value.alias(field.name())
    };
    let expressions: Vec<Expr> = schema.fields().iter().enumerate().map(value).collect();
    let plan = LogicalPlanBuilder::from(plan).project(expressions)?.build()?;
    append(engine, name, &session, &plan).await
}

/// An `update`.
pub struct Update {
    pub alias: String,
    pub assignments: Vec<(String, String)>,
    pub from: Option<String>,
    pub selection: Option<String>,
}

pub async fn update(engine: &Arc<Engine>, name: &TableName, update: &Update) -> Done<Effect> {
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

pub async fn delete(
    engine: &Arc<Engine>,
    name: &TableName,
    alias: &str,
    using: Option<&str>,
    selection: Option<&str>,
) -> Done<Effect> {
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

pub async fn merge_statement(engine: &Arc<Engine>, merge: sql::Merge) -> Done<Effect> {
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
        MergeAction::Update(update) => Action::Update(
            update.assignments.iter().map(assigned).collect::<Option<_>>().ok_or_else(|| unsupported("`set (a, b) = …`"))?,
        ),
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
