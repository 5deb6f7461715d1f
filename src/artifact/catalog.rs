//! `catalog.json`, schema v1: the columns and statistics that the database has for the project's relations.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{ArtifactMetadata, Header};
use crate::adapter::CatalogEntry;
use crate::manifest::{Manifest, Node};
use crate::name::{Relation, RelationType, ResourceType, UniqueId};

/// The file's content as a value; relations that belong to no node or source are left out.
pub fn catalog_json(manifest: &Manifest, entries: &[CatalogEntry], metadata: &ArtifactMetadata) -> Json {
    super::to_json(&Catalog::new(manifest, entries, metadata))
}

/// Writes `catalog.json` to `path`, all or nothing.
pub fn write_catalog(path: &Path, manifest: &Manifest, entries: &[CatalogEntry], metadata: &ArtifactMetadata) -> io::Result<()> {
    super::write_json(path, &Catalog::new(manifest, entries, metadata))
}

#[derive(Serialize)]
struct Catalog<'a> {
    metadata: Header<'a>,
    nodes: BTreeMap<&'a UniqueId, Table<'a>>,
    sources: BTreeMap<&'a UniqueId, Table<'a>>,
    errors: Option<Vec<String>>,
}

impl<'a> Catalog<'a> {
    fn new(manifest: &'a Manifest, entries: &'a [CatalogEntry], metadata: &'a ArtifactMetadata) -> Self {
        let by_relation: HashMap<_, _> = entries.iter().map(|entry| (key(&entry.relation), entry)).collect();
        let table =
            |id: &'a UniqueId, relation: Relation| by_relation.get(&key(&relation)).map(|entry| (id, Table::new(id, entry)));
        let nodes = manifest.nodes.values().filter(|node| has_relation(node));
        Self {
            metadata: metadata.header("catalog", 1),
            nodes: nodes.filter_map(|node| table(&node.unique_id, node.relation())).collect(),
            sources: manifest.sources.values().filter_map(|source| table(&source.unique_id, source.relation())).collect(),
            errors: None,
        }
    }
}

/// Names compare without regard to case, as databases fold it one way or the other.
fn key(relation: &Relation) -> (String, String, String) {
    let lower = |part: &Option<String>| part.as_deref().unwrap_or_default().to_lowercase();
    (lower(&relation.database), lower(&relation.schema), relation.identifier.to_lowercase())
}

fn has_relation(node: &Node) -> bool {
    matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot) && !node.is_ephemeral()
}

#[derive(Serialize)]
struct Table<'a> {
    metadata: Json,
    columns: IndexMap<&'a str, Json>,
    stats: IndexMap<&'a str, Json>,
    unique_id: &'a UniqueId,
}

impl<'a> Table<'a> {
    fn new(unique_id: &'a UniqueId, entry: &'a CatalogEntry) -> Self {
        let Relation { database, schema, identifier } = &entry.relation;
        let metadata = json!({
            "type": type_name(entry.relation_type),
            "schema": schema,
            "name": identifier,
            "database": database,
            "comment": entry.comment,
            "owner": entry.owner,
        });
        let column = |(at, (column, comment)): (usize, &'a (crate::rows::ColumnType, Option<String>))| {
            let row = json!({"type": column.data_type, "index": at + 1, "name": column.name, "comment": comment});
            (column.name.as_str(), row)
        };
        Self { metadata, columns: entry.columns.iter().enumerate().map(column).collect(), stats: stats(entry), unique_id }
    }
}

fn stats(entry: &CatalogEntry) -> IndexMap<&str, Json> {
    let mut stats: IndexMap<&str, Json> = IndexMap::new();
    for (id, label, value, description) in &entry.stats {
        let row = json!({"id": id, "label": label, "value": value, "include": true, "description": description});
        stats.insert(id, row);
    }
    let has_stats = json!({
        "id": "has_stats",
        "label": "Has Stats?",
        "value": !entry.stats.is_empty(),
        "include": false,
        "description": "Indicates whether there are statistics for this table",
    });
    stats.insert("has_stats", has_stats);
    stats
}

/// The type as information schemas spell it.
fn type_name(relation_type: RelationType) -> &'static str {
    match relation_type {
        RelationType::Table => "BASE TABLE",
        RelationType::View => "VIEW",
        RelationType::MaterializedView => "MATERIALIZED VIEW",
        RelationType::External => "EXTERNAL TABLE",
        RelationType::Cte => "CTE",
        RelationType::Ephemeral => "EPHEMERAL",
    }
}
