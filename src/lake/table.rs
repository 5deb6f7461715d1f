//! Delta tables: opening them fresh, and the three commits there are — replace everything, append, exchange files.
//!
//! Data files are written first and mean nothing until one log entry names them; the entry is put only if its version is
//! free. So each change is one atomic step, and a reader holds the old or the new state.

use std::collections::HashMap;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake::kernel::{Action, Add, Metadata, MetadataExt, Protocol, Remove, StructType, new_metadata};
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use deltalake::protocol::{DeltaOperation, SaveMode};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use parking::Locks;
use uuid::Uuid;

use super::catalog::Entry;
use super::storage::{Folder, PRIVATE};
use super::types::has_local_timestamps;
use super::{LakeError, LakeResult, Storage, TableName, storable, sweep};

/// A checkpoint is written each time the log has grown by so many entries.
const CHECKPOINT_EVERY: u64 = 10;
/// How often a lost race for a version is run again before giving up.
const MOST_ATTEMPTS: usize = 50;
/// A log entry younger than this may belong to a table dropped and made anew under the same name while it was loaded.
const SETTLED: Duration = Duration::from_secs(1);

/// The table property that holds the names of [`TableNotes::cluster_by`], as a JSON list.
const CLUSTER_BY: &str = "headwater.clusterBy";

/// What a table says about itself beside its columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableNotes {
    pub description: Option<String>,
    pub column_descriptions: Vec<(String, String)>,
    /// Columns by which the rows of each write are sorted.
    pub cluster_by: Vec<String>,
    /// Conditions that no row may break: name and SQL. Delta's own check constraints.
    pub constraints: Vec<(String, String)>,
}

/// Files that leave a table and files that enter it, decided on one version of it.
#[derive(Debug)]
pub struct Change {
    pub base: DeltaTable,
    pub removed: Vec<Remove>,
    pub added: Vec<Add>,
}

/// A table as loaded, and the log entry that proves it is still the newest.
struct Known {
    table: DeltaTable,
    entry: ObjectMeta,
}

/// The warehouse: a handle cheap to share, safe to use from many tasks and beside other processes.
pub struct Lake {
    pub(super) storage: Storage,
    known: std::sync::Mutex<HashMap<Path, Known>>,
    locks: Locks,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("root", &self.storage.url.as_str()).finish()
    }
}

impl Lake {
    pub fn new(storage: Storage) -> Self {
        Self { storage, known: std::sync::Mutex::default(), locks: Locks::default() }
    }

    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Holds others of this process off a relation; other processes are held off by the commits themselves.
    pub async fn lock(&self, name: &TableName) -> tokio::sync::OwnedMutexGuard<()> {
        self.locks.take(name).await
    }

    /// A folder that nobody uses yet, for what is about to be deleted.
    pub(super) fn trash(&self) -> LakeResult<Folder> {
        self.storage.folder_at(&[PRIVATE, "trash", &Uuid::new_v4().to_string()])
    }

    /// A folder for a table that lives no longer than its maker. Those of makers that were killed are removed on the way.
    pub async fn scratch(&self) -> LakeResult<Folder> {
        // What cannot be removed now is tried again by the next one.
        let _ = self.sweep_abandoned().await;
        self.storage.folder_at(&[PRIVATE, "scratch", &Uuid::new_v4().to_string()])
    }

    /// Removes a scratch folder.
    pub async fn remove_scratch(&self, folder: &Folder) -> LakeResult<()> {
        self.known().remove(&folder.path);
        folder.remove(&self.trash()?).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Path, Known>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn forget(&self, name: &TableName) -> LakeResult<()> {
        self.known().remove(&self.storage.folder(name)?.path);
        Ok(())
    }

    /// The newest state of a table, by its name; `None` if its folder holds no Delta log.
    pub async fn open(&self, name: &TableName) -> LakeResult<Option<DeltaTable>> {
        self.open_folder(&self.storage.folder(name)?).await
    }

    /// The newest state of the table in a folder.
    ///
    /// A table known already costs two looks at the log: is the entry we know the same file, and is there no next one.
    pub async fn open_folder(&self, folder: &Folder) -> LakeResult<Option<DeltaTable>> {
        let known = self.known().get(&folder.path).map(|known| (known.table.clone(), known.entry.clone()));
        if let Some((mut table, entry)) = known
            && self.head(folder, table.version().unwrap_or_default()).await?.as_ref() == Some(&entry)
        {
            let started = Utc::now();
            if self.head(folder, table.version().unwrap_or_default() + 1).await?.is_none() {
                return Ok(Some(table));
            }
            table.update_state().await?;
            self.remember(folder, &table, started).await?;
            return Ok(Some(table));
        }
        let started = Utc::now();
        let log = folder.log();
        if !log.is_delta_table_location().await? {
            return Ok(None);
        }
        let mut table = DeltaTable::new(log);
        if let Err(error) = table.load().await {
            // Dropped between the look and the load.
            return if folder.log().is_delta_table_location().await? { Err(error.into()) } else { Ok(None) };
        }
        self.remember(folder, &table, started).await?;
        Ok(Some(table))
    }

    /// Keeps a loaded table if its newest log entry surely is the one that was loaded.
    async fn remember(&self, folder: &Folder, table: &DeltaTable, started: DateTime<Utc>) -> LakeResult<()> {
        let version = table.version().unwrap_or_default();
        let Some(entry) = self.head(folder, version).await? else { return Ok(()) };
        let settled = entry.last_modified + SETTLED < started;
        if settled || (version == 0 && self.first_entry_names(folder, table).await?) {
            self.known().insert(folder.path.clone(), Known { table: table.clone(), entry });
        }
        Ok(())
    }

    async fn first_entry_names(&self, folder: &Folder, table: &DeltaTable) -> LakeResult<bool> {
        let content = self.storage.get(&log_entry(folder, 0)).await?.unwrap_or_default();
        let id = table.snapshot()?.metadata().id().to_string();
        Ok(String::from_utf8_lossy(&content).contains(&id))
    }

    async fn head(&self, folder: &Folder, version: u64) -> LakeResult<Option<ObjectMeta>> {
        match self.storage.store.head(&log_entry(folder, version)).await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes `added` the whole content of a table, in one commit: creates it, or replaces content and columns and keeps
    /// the history. `schema` must be [`storable`](super::storable). False if a base is given and is no longer the newest.
    pub async fn replace(
        &self,
        folder: &Folder,
        schema: &SchemaRef,
        partition_by: &[String],
        written: Replacement<'_>,
    ) -> LakeResult<bool> {
        let kernel_schema = kernel_schema(schema, &written.notes.column_descriptions)?;
        for _ in 0..MOST_ATTEMPTS {
            let current = self.open_folder(folder).await?;
            if written.base.is_some_and(|base| current.as_ref().and_then(DeltaTable::version) != Some(base)) {
                return Ok(false);
            }
            let notes = written.notes;
            let constraints = notes.constraints.iter().map(|(name, sql)| (format!("{CONSTRAINT}{name}"), sql.clone()));
            let cluster_by = serde_json::json!(notes.cluster_by).to_string();
            let cluster_by = (!notes.cluster_by.is_empty()).then(|| (CLUSTER_BY.to_string(), cluster_by));
            let ours = [(sweep::OURS.to_string(), "true".to_string())];
            let settings = ours.into_iter().chain(cluster_by).chain(constraints);
            let mut metadata = new_metadata(&kernel_schema, partition_by, settings)?;
            if let Some(description) = &written.notes.description {
                metadata = metadata.with_description(description.clone())?;
            }
            let mut actions = Vec::new();
            if let Some(table) = &current {
                let state = table.snapshot()?;
                metadata = metadata.with_table_id(state.metadata().id().to_string())?;
                let features = features(schema, &written.notes.constraints);
                actions.extend(upgraded_protocol(state.protocol(), features)?.map(Action::Protocol));
                actions.extend(state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
            } else {
                actions.push(Action::Protocol(new_protocol(features(schema, &written.notes.constraints))?));
            }
            actions.push(Action::Metadata(metadata));
            actions.extend(written.added.iter().cloned().map(Action::Add));
            let version = current.as_ref().and_then(DeltaTable::version).map_or(0, |version| version + 1);
            let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
            if self.commit(folder, version, actions, operation).await? {
                return Ok(true);
            }
        }
        Err(contended(folder))
    }

    /// Adds files to a table, whatever others commit meanwhile, as long as its columns stay.
    pub async fn append(&self, folder: &Folder, base: &DeltaTable, added: &[Add]) -> LakeResult<()> {
        for _ in 0..MOST_ATTEMPTS {
            let current = self.open_folder(folder).await?.ok_or_else(|| contended(folder))?;
            if current.snapshot()?.metadata() != base.snapshot()?.metadata() {
                return Err(contended(folder));
            }
            let actions = added.iter().cloned().map(Action::Add).collect();
            let version = current.version().unwrap_or_default() + 1;
            let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
            if self.commit(folder, version, actions, operation).await? {
                return Ok(());
            }
        }
        Err(contended(folder))
    }

    /// Exchanges files of exactly the version that was read; false if somebody committed since, and nothing was done. `wider`
    /// adds nullable columns at the end in the same commit.
    pub async fn exchange(&self, folder: &Folder, change: Change, wider: Option<&SchemaRef>) -> LakeResult<bool> {
        let version = change.base.version().unwrap_or_default() + 1;
        PROTOCOL.can_write_to(change.base.snapshot()?.snapshot()).map_err(|error| LakeError::new("delta", error.to_string()))?;
        let mut actions = match wider {
            Some(schema) => column_actions(&change.base, schema, &Self::notes(&change.base)?)?,
            None => Vec::new(),
        };
        actions.extend(change.removed.into_iter().map(Action::Remove));
        actions.extend(change.added.into_iter().map(Action::Add));
        let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
        self.commit(folder, version, actions, operation).await
    }

    /// Changes a table's columns without touching its rows: `schema` adds nullable columns at the end.
    pub async fn alter(&self, folder: &Folder, base: &DeltaTable, schema: &SchemaRef, notes: &TableNotes) -> LakeResult<bool> {
        let actions = column_actions(base, schema, notes)?;
        let operation = DeltaOperation::AddColumn { fields: Vec::new() };
        self.commit(folder, base.version().unwrap_or_default() + 1, actions, operation).await
    }

    /// Gives a relation comments: those that are given take the place of those it has. Nothing is written where none differs.
    pub async fn describe(&self, name: &TableName, notes: TableNotes) -> LakeResult<()> {
        let _guard = self.lock(name).await;
        if let Some(Entry::View(mut view)) = self.entry(name).await? {
            let known = (view.description.clone(), view.columns.clone());
            view.description = notes.description.or(view.description);
            view.columns = joined(view.columns, notes.column_descriptions);
            return if known == (view.description.clone(), view.columns.clone()) {
                Ok(())
            } else {
                self.put_entry(name, &Entry::View(view)).await
            };
        }
        let folder = self.storage.folder(name)?;
        for _ in 0..MOST_ATTEMPTS {
            let Some(table) = self.open_folder(&folder).await? else { return Ok(()) };
            let known = Self::notes(&table)?;
            let schema = storable(table.snapshot()?.snapshot().arrow_schema().as_ref())?;
            let is_column = |column: &str| schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column));
            let given = notes.column_descriptions.iter().filter(|(column, _)| is_column(column)).cloned().collect();
            let wanted = TableNotes {
                description: notes.description.clone().or_else(|| known.description.clone()),
                column_descriptions: joined(known.column_descriptions.clone(), given),
                cluster_by: known.cluster_by.clone(),
                constraints: known.constraints.clone(),
            };
            if wanted == known || self.alter(&folder, &table, &schema, &wanted).await? {
                return Ok(());
            }
        }
        Err(contended(&folder))
    }

    /// Puts one log entry if its version is free; false if it is taken.
    async fn commit(&self, folder: &Folder, version: u64, actions: Vec<Action>, operation: DeltaOperation) -> LakeResult<bool> {
        if !self.commit_entry(folder, version, actions, operation).await? {
            return Ok(false);
        }
        if (version + 1).is_multiple_of(CHECKPOINT_EVERY) && !self.is_held(&folder.path.clone().join("_delta_log")) {
            checkpoint(folder.log(), version).await;
        }
        Ok(true)
    }

    /// The same without the checkpoint that is due now and then.
    pub(super) async fn commit_entry(
        &self,
        folder: &Folder,
        version: u64,
        actions: Vec<Action>,
        operation: DeltaOperation,
    ) -> LakeResult<bool> {
        let (id, log) = (Uuid::new_v4(), folder.log());
        let engine = HashMap::from([
            ("engineInfo".to_string(), serde_json::json!(concat!("headwater/", env!("CARGO_PKG_VERSION")))),
            ("txnId".to_string(), serde_json::json!(id.to_string())),
        ]);
        let entry = CommitData::new(actions, operation, engine, Vec::new()).get_bytes().map_err(transaction)?;
        match log.write_commit_entry(version, CommitOrBytes::LogBytes(entry.clone()), id).await {
            Ok(()) => {}
            Err(TransactionError::VersionAlreadyExists(_)) => {
                // An object store may have taken an attempt of ours whose answer was lost.
                if log.read_commit_entry(version).await?.is_none_or(|found| found != entry) {
                    return Ok(false);
                }
            }
            Err(error) => return Err(transaction(error)),
        }
        Ok(true)
    }

    /// A table's description and column comments.
    pub fn notes(table: &DeltaTable) -> LakeResult<TableNotes> {
        let state = table.snapshot()?;
        let comment = |field: &deltalake::kernel::StructField| {
            let comment = field.metadata().get("comment")?;
            Some((field.name().to_string(), comment.to_string()))
        };
        let cluster_by = state.metadata().configuration().get(CLUSTER_BY).and_then(|names| serde_json::from_str(names).ok());
        Ok(TableNotes {
            cluster_by: cluster_by.unwrap_or_default(),
            description: state.metadata().description().map(str::to_string),
            column_descriptions: state.schema().fields().filter_map(comment).collect(),
            constraints: constraints(state.metadata()),
        })
    }
}

/// Comments by column, newer ones in the place of older ones.
fn joined(mut comments: Vec<(String, String)>, newer: Vec<(String, String)>) -> Vec<(String, String)> {
    for (column, text) in newer {
        match comments.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&column)) {
            Some((_, known)) => *known = text,
            None => comments.push((column, text)),
        }
    }
    comments
}

/// What gives a table other columns or comments.
fn column_actions(base: &DeltaTable, schema: &SchemaRef, notes: &TableNotes) -> LakeResult<Vec<Action>> {
    let state = base.snapshot()?;
    let kernel_schema = kernel_schema(schema, &notes.column_descriptions)?;
    let mut metadata = state.metadata().clone().with_schema(&kernel_schema)?;
    if let Some(description) = &notes.description {
        metadata = metadata.with_description(description.clone())?;
    }
    let mut actions = vec![Action::Metadata(metadata)];
    actions.extend(upgraded_protocol(state.protocol(), features(schema, &[]))?.map(Action::Protocol));
    Ok(actions)
}

/// What [`Lake::replace`] puts in place.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    pub added: &'a [Add],
    pub notes: &'a TableNotes,
    /// The version the rows were made from, if they must replace just that one.
    pub base: Option<u64>,
}

/// A checkpoint only makes reading faster, and old files only take space: that it did not work is no failure of the commit
/// before it.
pub(super) async fn checkpoint(log: LogStoreRef, version: u64) {
    let mut table = DeltaTable::new(log);
    if table.load_version(version).await.is_ok() {
        let _ = deltalake::checkpoints::create_checkpoint(&table, None).await;
    }
    if table.load().await.is_ok() {
        let _ = sweep::expired(table, None).await;
    }
}

fn log_entry(folder: &Folder, version: u64) -> Path {
    folder.path.clone().join("_delta_log").join(format!("{version:020}.json"))
}

fn transaction(error: TransactionError) -> LakeError {
    LakeError::new("delta", error.to_string())
}

fn contended(folder: &Folder) -> LakeError {
    LakeError::new("table-contended", format!("other writers keep changing the table in {}", folder.url))
        .help("run again when they are done")
}

pub(super) fn kernel_schema(schema: &Schema, comments: &[(String, String)]) -> LakeResult<StructType> {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let comment = comments.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
            let metadata = comment.map(|(_, text)| ("comment".to_string(), text.clone())).into_iter().collect();
            field.as_ref().clone().with_metadata(metadata)
        })
        .collect();
    let schema = Schema::new(fields);
    (&schema).try_into_kernel().map_err(|error: arrow::error::ArrowError| error.into())
}

/// The prefix of Delta's table properties that hold constraints.
const CONSTRAINT: &str = "delta.constraints.";

fn constraints(metadata: &Metadata) -> Vec<(String, String)> {
    let named = |(key, sql): (&String, &String)| Some((key.strip_prefix(CONSTRAINT)?.to_string(), sql.clone()));
    let mut constraints: Vec<(String, String)> = metadata.configuration().iter().filter_map(named).collect();
    constraints.sort();
    constraints
}

/// What a table needs of its readers and writers; all else we write is in the oldest protocol.
#[derive(Clone, Copy, Debug)]
struct Features {
    local_timestamps: bool,
    constraints: bool,
    deletion_vectors: bool,
}

impl Features {
    /// Whether the oldest protocols do not do.
    fn are_named(self) -> bool {
        self.local_timestamps || self.deletion_vectors
    }

    /// Those a reader must know, and those a writer must know.
    fn names(self) -> [Vec<&'static str>; 2] {
        let vectors = self.deletion_vectors.then_some("deletionVectors");
        let both = vectors.into_iter().chain(self.local_timestamps.then_some("timestampNtz"));
        let constraints = self.constraints.then_some("checkConstraints");
        [both.clone().collect(), both.chain(constraints).collect()]
    }
}

fn features(schema: &Schema, constraints: &[(String, String)]) -> Features {
    Features { local_timestamps: has_local_timestamps(schema), constraints: !constraints.is_empty(), deletion_vectors: false }
}

/// What a table with these columns and with deletion vectors needs that it does not have yet.
pub(super) fn protocol_actions(current: Option<&DeltaTable>, schema: &Schema) -> LakeResult<Vec<Action>> {
    let features = Features { deletion_vectors: true, ..features(schema, &[]) };
    let protocol = match current {
        Some(table) => upgraded_protocol(table.snapshot()?.protocol(), features)?,
        None => Some(new_protocol(features)?),
    };
    Ok(protocol.map(Action::Protocol).into_iter().collect())
}

/// Features are named from reader version 3 and writer version 7 on; constraints alone are known since writer version 3.
fn new_protocol(features: Features) -> LakeResult<Protocol> {
    let [readers, writers] = features.names();
    let protocol = if features.are_named() {
        serde_json::json!({
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": writers,
        })
    } else {
        serde_json::json!({"minReaderVersion": 1, "minWriterVersion": if features.constraints { 3 } else { 2 }})
    };
    serde_json::from_value(protocol).map_err(|error| LakeError::new("delta", error.to_string()))
}

/// The protocol that a table needs beyond what it has, if any.
fn upgraded_protocol(current: &Protocol, features: Features) -> LakeResult<Option<Protocol>> {
    let broken = |error: serde_json::Error| LakeError::new("delta", error.to_string());
    let before = serde_json::to_value(current).map_err(broken)?;
    let mut protocol = before.clone();
    let writer = protocol["minWriterVersion"].as_i64().unwrap_or_default();
    if writer < 7 && !features.are_named() {
        if features.constraints && writer < 3 {
            protocol["minWriterVersion"] = 3.into();
        }
    } else {
        let [readers, mut writers] = features.names();
        if (3..7).contains(&writer) {
            // What its version meant without saying so.
            writers.push("checkConstraints");
        }
        add_features(&mut protocol, ("readerFeatures", "minReaderVersion", 3), &readers);
        add_features(&mut protocol, ("writerFeatures", "minWriterVersion", 7), &writers);
    }
    if protocol == before {
        return Ok(None);
    }
    serde_json::from_value(protocol).map(Some).map_err(broken)
}

fn add_features(protocol: &mut serde_json::Value, (key, version, least): (&str, &str, i64), wanted: &[&str]) {
    let mut features = protocol[key].as_array().cloned().unwrap_or_default();
    let known = features.len();
    for feature in wanted {
        if !features.iter().any(|known| known == feature) {
            features.push((*feature).into());
        }
    }
    if features.len() > known {
        protocol[key] = features.into();
        protocol[version] = least.into();
    }
}

/// The metadata's parts that a table's readers see.
pub fn partition_columns(metadata: &Metadata) -> Vec<String> {
    metadata.partition_columns().iter().map(ToString::to_string).collect()
}

mod parking {
    //! One mutex a relation, made when first needed.

    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::TableName;

    #[derive(Default)]
    pub struct Locks(Mutex<HashMap<TableName, Arc<tokio::sync::Mutex<()>>>>);

    impl Locks {
        pub async fn take(&self, name: &TableName) -> tokio::sync::OwnedMutexGuard<()> {
            let lock = {
                let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(locks.entry(name.clone()).or_default())
            };
            lock.lock_owned().await
        }
    }
}
