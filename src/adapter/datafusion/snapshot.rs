//! A snapshot's changes, taken into its table with one commit: readers see all versions as they were, or all as they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;

use super::change::{self, MOST_ATTEMPTS, Recipe};
use super::session::{Engine, Scope};
use super::statement::{Done, counted, query_plan};
use crate::adapter::{Effect, VersionColumns};
use crate::lake::{Folder, LakeError, TableName, storable};
use crate::name::quote_identifier;
use crate::rows::Cell;

/// Ends and begins versions as the query of changes says. Where another writer commits meanwhile, the changes are worked out
/// anew on what it left. The effect counts the versions that begin.
pub async fn snapshot(engine: &Arc<Engine>, name: &TableName, query: &str, versions: &VersionColumns) -> Done<Effect> {
    let _guard = engine.lake.lock(name).await;
    let folder = engine.lake.storage().folder(name)?;
    for _ in 0..MOST_ATTEMPTS {
        if let Some(begun) = attempt(engine, (name, &folder), query, versions).await? {
            return Ok(counted("INSERT", begun));
        }
    }
    Err(LakeError::new("table-contended", format!("other writers keep changing {name}"))
        .help("run again when they are done")
        .into())
}

async fn attempt(
    engine: &Arc<Engine>,
    (name, folder): (&TableName, &Folder),
    query: &str,
    versions: &VersionColumns,
) -> Done<Option<u64>> {
    // Opened before the changes are worked out: if they saw a later version than this, the commit is refused.
    let table = change::table(engine, name).await?;
    let schema = change::table_schema(&table)?;
    let (session, plan) = query_plan(engine, query).await?;
    // Types are final only after coercion.
    let plan = session.state().optimize(&plan)?;
    let given = storable(plan.schema().as_arrow())?;
    let wider = wider(&schema, &given, versions)?;
    let new = change::Rows::of(engine, &session, &plan, &given).await?;
    let recipe = recipe((&schema, &wider, &given), versions, Arc::clone(&new.provider));
    let begun = count_begun(engine, &new.provider).await;
    let columns = (wider.fields().len() > schema.fields().len()).then_some(&wider);
    let changed = change::attempt_on(engine, (name, folder), table, (&recipe, columns)).await;
    new.discard(engine).await?;
    let begun = begun?;
    Ok(changed?.map(|_| begun))
}

async fn count_begun(engine: &Arc<Engine>, new: &Arc<dyn TableProvider>) -> Done<u64> {
    let given = HashMap::from([("__new".to_string(), Arc::clone(new))]);
    let (session, plan) =
        Scope::with(Arc::clone(engine), given).plan("select count(*) from __new where dbt_change_type = 'insert'").await?;
    let rows = super::run(&session, plan, None).await?;
    Ok(rows.rows.first().and_then(|row| row.first()).map(Cell::display).and_then(|count| count.parse().ok()).unwrap_or_default())
}

/// The table's columns and those that only the changes have.
fn wider(schema: &SchemaRef, given: &SchemaRef, versions: &VersionColumns) -> Done<SchemaRef> {
    let is_in = |schema: &SchemaRef, name: &str| schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name));
    let is_dropped = |name: &str| versions.dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case(name));
    let added = given.fields().iter().filter(|field| !is_in(schema, field.name()) && !is_dropped(field.name()));
    let fields: Vec<_> = schema.fields().iter().chain(added).cloned().collect();
    Ok(storable(&Schema::new(fields))?)
}

/// Files with a version that ends are written anew; versions that begin join them. A column that the changes lack is null.
fn recipe(
    (schema, wider, given): (&SchemaRef, &SchemaRef, &SchemaRef),
    versions: &VersionColumns,
    new: Arc<dyn TableProvider>,
) -> Recipe {
    let named = |schema: &SchemaRef, name: &str| {
        schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)).map(|field| quote_identifier(field.name()))
    };
    let own = |name: &str| named(schema, name).unwrap_or_else(|| quote_identifier(name));
    let (id, valid_to) = (own(&versions.id), own(&versions.valid_to));
    let is_valid = match &versions.current {
        Some(current) => format!("(old.{valid_to} is null or old.{valid_to} = {current})"),
        None => format!("old.{valid_to} is null"),
    };
    let (given_id, given_end) = (named(given, &versions.id), named(given, &versions.valid_to));
    let (given_id, given_end) = (given_id.unwrap_or_else(|| id.clone()), given_end.unwrap_or_else(|| valid_to.clone()));
    let ended = format!(
        "(select {given_id} as id, min({given_end}) as ended_at from __new where dbt_change_type in ('update', 'delete') \
         group by {given_id})"
    );
    let kept = wider.fields().iter().map(|field| {
        let column = quote_identifier(field.name());
        if column == valid_to {
            format!("case when ended.id is not null and {is_valid} then ended.ended_at else old.{column} end as {column}")
        } else if named(schema, field.name()).is_some() {
            format!("old.{column}")
        } else {
            format!("null as {column}")
        }
    });
    let begun = wider.fields().iter().map(|field| {
        let column = quote_identifier(field.name());
        named(given, field.name()).map_or_else(|| format!("null as {column}"), |given| format!("{given} as {column}"))
    });
    let (kept, begun) = (kept.collect::<Vec<_>>().join(", "), begun.collect::<Vec<_>>().join(", "));
    Recipe {
        given: HashMap::from([("__new".to_string(), new)]),
        touch: Some(format!(
            "select old.__file, count(*) from __old as old join {ended} as ended on old.{id} = ended.id where {is_valid} group by \
             old.__file"
        )),
        refuse: None,
        numbered: false,
        rows: format!(
            "select {kept} from __touched as old left join {ended} as ended on old.{id} = ended.id union all select {begun} from \
             __new where dbt_change_type = 'insert'"
        ),
    }
}
