//! Tables as they were, and what commits changed.
//!
//! Changes are worked out from files: the rows of those that a commit added less the rows of those that it removed. A commit that
//! only rewrites files changes nothing, then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use deltalake::DeltaTable;
use deltalake::kernel::LogicalFileView;

use super::change::{self, touched_provider};
use super::session::{Engine, Scope, delta_provider};
use crate::adapter::AdapterError;
use crate::adapter::instant;
use crate::lake::{LakeError, TableName};
use crate::name::quote_identifier;
use crate::sql::Pin;

/// A relation pinned by a query.
pub async fn provider(engine: &Arc<Engine>, name: &TableName, pin: &Pin) -> Result<Arc<dyn TableProvider>, LakeError> {
    // Says what is there instead, if it is no table.
    change::table(engine, name).await.map_err(|error| match error.code {
        "not-a-table" => LakeError::new("not-a-table", format!("{name} is no table of the warehouse: it has no versions")),
        _ => error,
    })?;
    match pin {
        Pin::Version(_) | Pin::Timestamp(_) => {
            let version = version(engine, name, pin).await?;
            delta_provider(engine, &engine.lake.open_version(name, version).await?).await
        }
        Pin::Changes { from, to, keys } => changes(engine, name, (*from, *to), keys).await,
        Pin::Retain { .. } => Err(LakeError::new("sql-plan", "`retain` belongs to `vacuum`")),
    }
}

async fn version(engine: &Engine, name: &TableName, pin: &Pin) -> Result<u64, LakeError> {
    match pin {
        Pin::Version(version) => Ok(*version),
        Pin::Timestamp(text) => {
            let at = instant(text).ok_or_else(|| {
                LakeError::new("sql-plan", format!("`timestamp as of '{text}'` is no timestamp"))
                    .help("expected a form like '2024-09-17 10:00:00', in UTC if it names no zone")
            })?;
            engine.lake.version_at(name, at).await
        }
        Pin::Changes { .. } | Pin::Retain { .. } => Err(LakeError::new("sql-plan", "a version was expected")),
    }
}

/// Reads `--as-of`: a version's number, or a moment.
pub fn as_of(text: &str) -> Pin {
    text.trim().parse().map_or_else(|_| Pin::Timestamp(text.trim().to_string()), Pin::Version)
}

async fn changes(
    engine: &Arc<Engine>,
    name: &TableName,
    (from, to): (u64, Option<u64>),
    keys: &[String],
) -> Result<Arc<dyn TableProvider>, LakeError> {
    let times: HashMap<u64, _> = engine.lake.versions(name).await?.into_iter().collect();
    let newest = times.keys().max().copied().unwrap_or_default();
    let to = to.unwrap_or(newest);
    let last = engine.lake.open_version(name, to).await?;
    let schema = change::table_schema(&last)?;
    let mut given = HashMap::from([("__none".to_string(), delta_provider(engine, &last).await?)]);
    let (columns, none) = (change::column_list(&schema, ""), " where false");
    let mut parts = vec![format!(
        "select {columns}, 'insert' as _change_type, cast(0 as bigint) as _commit_version, \
         timestamp '1970-01-01' as _commit_timestamp from __none{none}"
    )];
    let mut before = match from.checked_sub(1) {
        Some(version) => Some(engine.lake.open_version(name, version).await?),
        None => None,
    };
    for version in from..=to {
        let after = engine.lake.open_version(name, version).await?;
        let (added, removed) = difference(before.as_ref(), &after)?;
        let sides = [("added", &after, added), ("removed", before.as_ref().unwrap_or(&after), removed)];
        let mut rows = Vec::new();
        for (side, table, files) in sides {
            let sign = if side == "added" { 1 } else { -1 };
            rows.push(format!("select {}, {sign} as __sign from __{side}{version}", available(&schema, table)?));
            given.insert(format!("__{side}{version}"), touched_provider(engine, table, &files).await?);
        }
        let at = times.get(&version).map(|at| at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()).unwrap_or_default();
        parts.push(format!(
            "select {columns}, case when __n > 0 then 'insert' else 'delete' end as _change_type, cast({version} as bigint) as \
             _commit_version, timestamp '{at}' as _commit_timestamp from (select {columns}, __n, unnest(generate_series(1, abs(__n))) as __i \
             from (select {columns}, sum(__sign) as __n from ({}) as __both group by {columns} having sum(__sign) <> 0) as __net) as __each",
            rows.join(" union all ")
        ));
        before = Some(after);
    }
    let text = paired(&columns, &parts.join(" union all "), keys);
    let planned = Scope::with(Arc::clone(engine), given).plan(&text).await;
    let (_, plan) = planned.map_err(|error| {
        let error = AdapterError::from(error);
        LakeError { code: error.code, message: error.message, help: error.help }
    })?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Rows that went and came under the same keys in one commit are one row before and after its update.
fn paired(columns: &str, changes: &str, keys: &[String]) -> String {
    if keys.is_empty() {
        return changes.to_string();
    }
    let keys = keys.iter().map(|key| quote_identifier(key.trim_matches('"'))).collect::<Vec<_>>().join(", ");
    let seen = |kind: &str| {
        format!("max(case when _change_type = '{kind}' then 1 else 0 end) over (partition by _commit_version, {keys})")
    };
    format!(
        "select {columns}, case when __came = 1 and __went = 1 and _change_type = 'insert' then 'update_postimage' \
         when __came = 1 and __went = 1 then 'update_preimage' else _change_type end as _change_type, _commit_version, _commit_timestamp \
         from (select *, {} as __came, {} as __went from ({changes}) as __changes) as __paired",
        seen("insert"),
        seen("delete"),
    )
}

/// The files that came and those that went between two versions.
fn difference(
    before: Option<&DeltaTable>,
    after: &DeltaTable,
) -> Result<(Vec<LogicalFileView>, Vec<LogicalFileView>), LakeError> {
    let files = |table: &DeltaTable| Ok::<Vec<LogicalFileView>, LakeError>(table.snapshot()?.log_data().iter().collect());
    let (old, new) = (before.map(files).transpose()?.unwrap_or_default(), files(after)?);
    let paths = |files: &[LogicalFileView]| files.iter().map(|file| file.path().into_owned()).collect::<HashSet<_>>();
    let (old_paths, new_paths) = (paths(&old), paths(&new));
    let added = new.into_iter().filter(|file| !old_paths.contains(&*file.path())).collect();
    let removed = old.into_iter().filter(|file| !new_paths.contains(&*file.path())).collect();
    Ok((added, removed))
}

/// The columns of `schema` as a version of the table has them: null where it has not.
fn available(schema: &SchemaRef, table: &DeltaTable) -> Result<String, LakeError> {
    let own = change::table_schema(table)?;
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let name = quote_identifier(field.name());
        if own.field_with_name(field.name()).is_ok() { name } else { format!("null as {name}") }
    };
    Ok(schema.fields().iter().map(column).collect::<Vec<_>>().join(", "))
}
