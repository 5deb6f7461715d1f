//! The catalog: one small JSON object a relation that is not simply a Delta table.
//!
//! `<root>/_headwater/catalog/<schema>/<relation>.json` says what a name is, before the table's folder is looked at: a
//! view, an external table, or dropped. An entry is written whole and put in place in one step, so a reader sees the old
//! meaning of a name or the new one. A table made where a view was commits first and then removes the entry; a view made
//! where a table was is just the new entry, and the table's files stay as history behind it until the view is dropped.

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::external::ExternalDefinition;
use super::storage::{PRIVATE, decode, encode};
use super::table::Lake;
use super::{LakeError, LakeResult, TableName};
use crate::sql::SqlFunction;
use deltalake::DeltaTable;

/// How many entries are looked at at once.
const PARALLEL_LOOKS: usize = 16;

/// One look into the store.
type Look<'a, T> = BoxFuture<'a, LakeResult<T>>;

/// A view: the query's text as the user wrote it, planned anew at each use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub sql: String,
    /// Where names without a schema are looked up.
    pub default_schema: String,
    pub description: Option<String>,
    /// Column comments.
    #[serde(default)]
    pub columns: Vec<(String, String)>,
}

/// What the catalog holds under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    View(View),
    External(ExternalDefinition),
    /// The rows that did not fit the external table of the given name, same schema.
    Rejects {
        table: String,
    },
    /// A table is being removed: its folder no longer counts.
    Dropped,
}

/// What a name stands for right now.
#[derive(Clone, Debug)]
pub enum Object {
    Table(DeltaTable),
    View(View),
    External(ExternalDefinition),
    Rejects { table: String },
}

impl Lake {
    pub(super) fn entry_path(&self, name: &TableName) -> LakeResult<Path> {
        let file = format!("{}.json", encode(&name.table)?);
        Ok(self.storage.path(&[PRIVATE, "catalog", &encode(&name.schema)?, &file]))
    }

    fn schema_path(&self, schema: &str) -> LakeResult<Path> {
        let file = format!("{}.json", encode(schema)?);
        Ok(self.storage.path(&[PRIVATE, "schemas", &file]))
    }

    /// The catalog's entry for a name, if it has one.
    pub async fn entry(&self, name: &TableName) -> LakeResult<Option<Entry>> {
        let path = self.entry_path(name)?;
        let Some(content) = self.storage.get(&path).await? else { return Ok(None) };
        let broken = |error| LakeError::new("catalog-broken", format!("catalog entry {path}: {error}"));
        serde_json::from_slice(&content).map(Some).map_err(broken)
    }

    pub(super) async fn put_entry(&self, name: &TableName, entry: &Entry) -> LakeResult<()> {
        let content = serde_json::to_vec_pretty(entry).map_err(|error| LakeError::new("catalog-broken", error.to_string()))?;
        self.storage.put(&self.entry_path(name)?, content).await
    }

    pub(super) async fn delete_entry(&self, name: &TableName) -> LakeResult<()> {
        self.storage.delete(&self.entry_path(name)?).await
    }

    /// What a name stands for, read from storage now.
    pub async fn resolve(&self, name: &TableName) -> LakeResult<Option<Object>> {
        match self.entry(name).await? {
            Some(Entry::View(view)) => Ok(Some(Object::View(view))),
            Some(Entry::External(definition)) => Ok(Some(Object::External(definition))),
            Some(Entry::Rejects { table }) => Ok(Some(Object::Rejects { table })),
            Some(Entry::Dropped) => Ok(None),
            None => Ok(self.open(name).await?.map(Object::Table)),
        }
    }

    /// Creates a view in place of whatever has its name.
    pub async fn put_view(&self, name: &TableName, view: View) -> LakeResult<()> {
        let _guard = self.lock(name).await;
        let old = self.entry(name).await?;
        self.put_entry(name, &Entry::View(view)).await?;
        if matches!(old, Some(Entry::External(_))) { self.forget_external(name).await } else { Ok(()) }
    }

    /// Takes away the view or external table that hides a table just committed under its name.
    pub async fn uncover(&self, name: &TableName) -> LakeResult<()> {
        match self.entry(name).await? {
            None => Ok(()),
            Some(entry) => {
                self.delete_entry(name).await?;
                if matches!(entry, Entry::External(_)) { self.forget_external(name).await } else { Ok(()) }
            }
        }
    }

    /// Removes whatever has this name; false if nothing had.
    pub async fn drop_relation(&self, name: &TableName) -> LakeResult<bool> {
        let _guard = self.lock(name).await;
        let entry = self.entry(name).await?;
        let existed = !matches!(entry, None | Some(Entry::Dropped));
        if let Some(Entry::External(_)) = entry {
            self.forget_external(name).await?;
        }
        if self.open(name).await?.is_none() {
            self.delete_entry(name).await?;
            return Ok(existed);
        }
        self.put_entry(name, &Entry::Dropped).await?;
        self.forget(name)?;
        self.storage.folder(name)?.remove(&self.trash()?).await?;
        self.delete_entry(name).await?;
        Ok(existed || entry.is_none())
    }

    /// Gives a relation another name, in place of what had that name.
    pub async fn rename(&self, from: &TableName, to: &TableName) -> LakeResult<()> {
        let missing = || LakeError::new("relation-missing", format!("relation {from} does not exist"));
        if from == to {
            return Ok(());
        }
        let entry = self.entry(from).await?;
        match entry {
            Some(Entry::Dropped) => return Err(missing()),
            Some(entry) => {
                self.drop_relation(to).await?;
                self.put_entry(to, &entry).await?;
                self.drop_relation(from).await?;
            }
            None => {
                self.open(from).await?.ok_or_else(missing)?;
                self.drop_relation(to).await?;
                self.storage.folder(from)?.rename(&self.storage.folder(to)?).await?;
                self.forget(from)?;
            }
        }
        Ok(())
    }

    fn function_path(&self, name: &TableName) -> LakeResult<Path> {
        let file = format!("{}.json", encode(&name.table)?);
        Ok(self.storage.path(&[PRIVATE, "functions", &encode(&name.schema)?, &file]))
    }

    /// Creates a function in place of one of its name; functions and relations have names of their own.
    pub async fn put_function(&self, name: &TableName, function: &SqlFunction) -> LakeResult<()> {
        let content = serde_json::to_vec_pretty(function).map_err(|error| LakeError::new("catalog-broken", error.to_string()))?;
        self.storage.put(&self.function_path(name)?, content).await
    }

    /// The function of that name, if there is one.
    pub async fn function(&self, name: &TableName) -> LakeResult<Option<SqlFunction>> {
        let path = self.function_path(name)?;
        let Some(content) = self.storage.get(&path).await? else { return Ok(None) };
        let broken = |error| LakeError::new("catalog-broken", format!("catalog entry {path}: {error}"));
        serde_json::from_slice(&content).map(Some).map_err(broken)
    }

    pub async fn create_schema(&self, schema: &str) -> LakeResult<()> {
        self.storage.put(&self.schema_path(schema)?, b"{}".to_vec()).await
    }

    /// Removes a schema and all in it.
    pub async fn drop_schema(&self, schema: &str) -> LakeResult<()> {
        for (table, _) in self.list(schema).await? {
            self.drop_relation(&TableName::new(schema, table)).await?;
        }
        self.storage.delete(&self.schema_path(schema)?).await?;
        let folder = encode(schema)?;
        self.storage.folder_at(&[PRIVATE, "catalog", &folder])?.remove(&self.trash()?).await?;
        self.storage.folder_at(&[PRIVATE, "functions", &folder])?.remove(&self.trash()?).await?;
        self.storage.folder_at(&[&folder])?.remove(&self.trash()?).await
    }

    /// The schemas that were created or hold something, sorted.
    pub async fn schemas(&self) -> LakeResult<Vec<String>> {
        let marked = self.storage.list(&self.storage.path(&[PRIVATE, "schemas"])).await?.0;
        let catalogued = self.storage.list(&self.storage.path(&[PRIVATE, "catalog"])).await?.1;
        let folders = self.storage.list(&self.storage.path(&[])).await?.1;
        let names = marked.iter().filter_map(|file| file.strip_suffix(".json")).map(str::to_string);
        let mut schemas: Vec<String> = names
            .chain(catalogued)
            .chain(folders.into_iter().filter(|folder| folder != PRIVATE))
            .filter_map(|folder| decode(&folder))
            .collect();
        schemas.sort();
        schemas.dedup();
        Ok(schemas)
    }

    /// The relations of a schema, sorted by name; the entry is `None` for a plain table.
    pub async fn list(&self, schema: &str) -> LakeResult<Vec<(String, Option<Entry>)>> {
        let folder = encode(schema)?;
        let files = self.storage.list(&self.storage.path(&[PRIVATE, "catalog", &folder])).await?.0;
        let names: Vec<String> = files.iter().filter_map(|file| decode(file.strip_suffix(".json")?)).collect();
        let mut looks: Vec<Look<'_, (String, Option<Entry>)>> = Vec::with_capacity(names.len());
        for name in names {
            looks.push(Box::pin(async move {
                let entry = self.entry(&TableName::new(schema, name.as_str())).await?;
                Ok((name, entry))
            }));
        }
        let entries: Vec<(String, Option<Entry>)> = futures::stream::iter(looks).buffered(PARALLEL_LOOKS).try_collect().await?;
        let folders = self.storage.list(&self.storage.path(&[&folder])).await?.1;
        let mut relations: std::collections::BTreeMap<String, Option<Entry>> = std::collections::BTreeMap::new();
        for table in self.delta_folders(&folder, folders).await? {
            relations.insert(table, None);
        }
        for (name, entry) in entries {
            match entry {
                Some(Entry::Dropped) => relations.remove(&name),
                // The entry went away while we read: what is left is the table, if there is one.
                None => continue,
                entry => relations.insert(name, entry),
            };
        }
        Ok(relations.into_iter().collect())
    }

    /// Those of a schema's folders that hold a Delta log.
    async fn delta_folders(&self, schema_folder: &str, folders: Vec<String>) -> LakeResult<Vec<String>> {
        let mut looks: Vec<Look<'_, Option<String>>> = Vec::with_capacity(folders.len());
        for folder in folders {
            looks.push(Box::pin(async move {
                let log = self.storage.path(&[schema_folder, &folder, "_delta_log"]);
                let first = self.storage.store.list(Some(&log)).next().await.transpose()?;
                Ok(first.and_then(|_| decode(&folder)))
            }));
        }
        let found: Vec<Option<String>> = futures::stream::iter(looks).buffered(PARALLEL_LOOKS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}
