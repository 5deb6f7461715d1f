//! What the database's catalog says: which system it is, its types, and the tables to follow.

use std::collections::HashMap;
use std::sync::Arc;

use super::decode::Kind;
use super::message::RelationColumn;
use super::{literal, quoted};
use crate::ingest::IngestError;
use crate::ingest::config::Feed;
use crate::ingest::rows::{Column, Layout};
use crate::wire::Wire;

/// The first column of the first row of a query.
pub async fn value(sql: &mut Wire, query: &str) -> Result<String, IngestError> {
    let found = maybe(sql, query).await?;
    found.ok_or_else(|| IngestError::new("ingest", format!("the server gives nothing for: {query}")))
}

/// The same, where there may be no row.
pub async fn maybe(sql: &mut Wire, query: &str) -> Result<Option<String>, IngestError> {
    Ok(sql.query(query).await?.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}

/// Whose domain a type is, with that type's modifier.
#[derive(Clone, Copy)]
struct Domain {
    base: u32,
    modifier: i32,
}

/// What is known of the database as a whole.
#[derive(Clone)]
pub struct Catalog {
    /// What tells this database's cluster from every other.
    pub system: String,
    pub version: u32,
    domains: Arc<HashMap<u32, Domain>>,
    labels: Arc<std::collections::HashSet<u32>>,
}

impl Catalog {
    pub async fn read(sql: &mut Wire) -> Result<Self, IngestError> {
        let version = value(sql, "show server_version_num").await?;
        let system = value(sql, "select system_identifier from pg_control_system()").await?;
        let database = value(sql, "select oid from pg_database where datname = current_database()").await?;
        let mut domains = HashMap::new();
        let mut labels = std::collections::HashSet::new();
        let types = "select oid, typtype, typbasetype, typtypmod from pg_type where typtype in ('d', 'e')";
        for row in sql.query(types).await?.rows {
            let number = |at: usize| row.get(at).and_then(Option::as_deref).and_then(|text| text.parse::<i64>().ok());
            let (Some(oid), Some(base), Some(modifier)) = (number(0), number(2), number(3)) else { continue };
            let oid = u32::try_from(oid).unwrap_or_default();
            if row[1].as_deref() == Some("e") {
                labels.insert(oid);
            } else {
                let (base, modifier) = (u32::try_from(base).unwrap_or_default(), i32::try_from(modifier).unwrap_or(-1));
                domains.insert(oid, Domain { base, modifier });
            }
        }
        Ok(Self {
            system: format!("{system}/{database}"),
            version: version.parse().unwrap_or_default(),
            domains: Arc::new(domains),
            labels: Arc::new(labels),
        })
    }

    /// How values of a type are read; domains are what they stand on, enumerations their labels.
    pub fn kind(&self, oid: u32, modifier: i32) -> Kind {
        let (mut oid, mut modifier) = (oid, modifier);
        while let Some(domain) = self.domains.get(&oid) {
            (oid, modifier) = (domain.base, domain.modifier);
        }
        if self.labels.contains(&oid) { Kind::Text } else { Kind::of(oid, modifier) }
    }
}

/// A table to follow.
#[derive(Clone)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub layout: Arc<Layout>,
    /// As many as the layout has columns.
    pub kinds: Vec<Kind>,
    pub key: Vec<String>,
    /// Whether every type can be read in its binary form.
    pub is_binary: bool,
    /// Columns that stay in the source.
    pub exclude: Vec<String>,
    /// Columns whose text is kept.
    pub as_text: Vec<String>,
}

impl Table {
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// How the columns of a relation are read: for each its place in the layout, if it has one, and its kind.
    pub fn read_plan(&self, catalog: &Catalog, columns: &[RelationColumn]) -> (Arc<Layout>, Vec<Option<usize>>, Vec<Kind>) {
        let mut kept = Vec::new();
        let mut kinds = Vec::new();
        let mut places = Vec::with_capacity(columns.len());
        for column in columns {
            if self.exclude.contains(&column.name) {
                places.push(None);
                continue;
            }
            let kind = match self.as_text.contains(&column.name) {
                true => Kind::AsText,
                false => catalog.kind(column.type_oid, column.modifier),
            };
            places.push(Some(kept.len()));
            kept.push(Column { name: column.name.clone(), data_type: kind.data_type() });
            kinds.push(kind);
        }
        let layout = if kept == self.layout.columns { self.layout.clone() } else { Layout::new(kept) };
        (layout, places, kinds)
    }
}

/// Looks a feed's table up and checks that it can be followed.
pub async fn table(sql: &mut Wire, catalog: &Catalog, feed: &Feed) -> Result<Table, IngestError> {
    let named = &feed.spec.table;
    let query = format!(
        "select c.oid, n.nspname, c.relname, c.relreplident, c.relkind, c.relpersistence from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass({})",
        literal(named)
    );
    let missing = || {
        IngestError::new("ingest-table-missing", format!("`{}`: the source has no table `{named}`", feed.source))
            .help("`table` is the name in the database, as in `from`: schema.table, with quotes where it needs them")
    };
    let found = sql.query(&query).await?.rows.into_iter().next().ok_or_else(missing)?;
    let text = |at: usize| found.get(at).cloned().flatten().unwrap_or_default();
    if !matches!(text(4).as_str(), "r" | "p") || text(5) != "p" {
        let message = format!(
            "`{}`: {named} is no table that PostgreSQL replicates (views, foreign and unlogged tables are not)",
            feed.source
        );
        return Err(IngestError::new("ingest-table-kind", message));
    }
    let oid: u32 = text(0).parse().map_err(|_| missing())?;
    let columns = columns(sql, oid).await?;
    let as_text = overridden(feed)?;
    let empty = Layout::new(Vec::new());
    let mut table = Table {
        oid,
        schema: text(1),
        name: text(2),
        layout: empty,
        kinds: Vec::new(),
        key: Vec::new(),
        is_binary: true,
        exclude: feed.spec.exclude.clone(),
        as_text,
    };
    let (layout, _, kinds) = table.read_plan(catalog, &columns);
    table.is_binary = kinds.iter().all(Kind::is_binary);
    table.layout = layout;
    table.kinds = kinds;
    table.key = key(sql, &table, &text(3), feed).await?;
    Ok(table)
}

/// Types that the user chose; only `text` is offered, which holds everything.
fn overridden(feed: &Feed) -> Result<Vec<String>, IngestError> {
    match feed.spec.types.iter().find(|(_, kind)| !matches!(kind.as_str(), "text" | "string" | "varchar")) {
        None => Ok(feed.spec.types.iter().map(|(column, _)| column.clone()).collect()),
        Some((column, kind)) => {
            let message = format!("`{}`: `types: {{{column}: {kind}}}` is not offered", feed.source);
            Err(IngestError::new("ingest-value", message).help("`text` keeps any value as the server writes it"))
        }
    }
}

async fn columns(sql: &mut Wire, oid: u32) -> Result<Vec<RelationColumn>, IngestError> {
    let query = format!(
        "select attname, atttypid, atttypmod from pg_attribute where attrelid = {oid} and attnum > 0 and not attisdropped \
         and attgenerated = '' order by attnum"
    );
    let column = |row: Vec<Option<String>>| {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        RelationColumn { name: text(0), type_oid: text(1).parse().unwrap_or_default(), modifier: text(2).parse().unwrap_or(-1) }
    };
    Ok(sql.query(&query).await?.rows.into_iter().map(column).collect())
}

/// The columns that tell rows apart: those named in the block, else the replica identity's.
async fn key(sql: &mut Wire, table: &Table, identity: &str, feed: &Feed) -> Result<Vec<String>, IngestError> {
    let which = if identity == "i" { "indisreplident" } else { "indisprimary" };
    let query = format!(
        "select a.attname from pg_index i cross join unnest(i.indkey::int2[]) with ordinality k(attnum, place) \
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
         where i.indrelid = {} and i.{which} and k.place <= i.indnkeyatts order by k.place",
        table.oid
    );
    let own: Vec<String> = sql.query(&query).await?.rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    let chosen = if feed.spec.key.is_empty() { &own } else { &feed.spec.key };
    let has = |name: &String| table.layout.columns.iter().any(|column| column.name == *name);
    if let Some(name) = chosen.iter().find(|name| !has(name)) {
        let message = format!("`{}`: the key column `{name}` is not among the columns that are replicated", feed.source);
        return Err(IngestError::new("ingest-key-missing", message));
    }
    let is_told = identity == "f" || (identity != "n" && chosen.iter().all(|name| own.contains(name)));
    if !chosen.is_empty() && !is_told {
        let message =
            format!("`{}`: updates and deletes of {} do not tell the key {}", feed.source, table.quoted(), chosen.join(", "));
        return Err(IngestError::new("ingest-key-missing", message)
            .help(format!("run in the database: alter table {} replica identity full", table.quoted())));
    }
    Ok(chosen.clone())
}
