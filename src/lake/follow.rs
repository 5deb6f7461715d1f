//! Tables that follow a source: rows and the source's position in one commit, updates and deletes by deletion vectors.
//!
//! A [`Follower`] is the only writer of its table. It knows the table's files and where the row of each key lies, so that a
//! commit costs what it changes: one new file, one file of deletion vectors, one log entry, put if its version is free. A version
//! that somebody else took means that what is known here is old: the commit fails, and the follower has to be opened anew.

mod compact;
mod data_file;
mod deletion;
mod durable;
mod failpoint;
mod index;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::DeltaTable;
use deltalake::kernel::{Action, Add, MetadataExt, Remove, Transaction, new_metadata};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::Stream;
use object_store::ObjectStoreExt as _;
use roaring::RoaringTreemap;

use self::deletion::VectorFile;
pub use self::failpoint::reached;
pub use self::index::{KeyHash, KeyMap, Keys, Place};
use super::storage::Folder;
use super::table::{checkpoint, kernel_schema, protocol_actions};
use super::{Lake, LakeError, LakeResult, TableName, storable, sweep, write_streams};

/// The part of a position is told apart in a `txn` action's application id behind this.
const APPLICATION: &str = "headwater/ingest/";
/// The table property that says what the table follows.
const FOLLOWS: &str = "headwater.ingest";
/// A checkpoint is written each time the log has grown by so many entries.
const CHECKPOINT_EVERY: u64 = 50;

/// How far a table has come, by parts of the source that count for themselves (one for PostgreSQL, a topic's partitions).
pub type Position = BTreeMap<String, i64>;

/// A data file of the newest version, and which of its rows are gone.
struct DataFile {
    add: Add,
    rows: u64,
    deleted: RoaringTreemap,
}

/// A table that one source's changes go into.
pub struct Follower {
    lake: Arc<Lake>,
    name: TableName,
    folder: Folder,
    /// None: there is no table yet.
    version: Option<u64>,
    schema: SchemaRef,
    files: Vec<Option<DataFile>>,
    keys: Keys,
    places: KeyMap<Place>,
    position: Position,
    follows: Option<String>,
}

/// What one commit does to the rows.
#[derive(Default)]
pub struct Step {
    pub added: Vec<Add>,
    /// The keys of the added rows, in their order, where the table has a key.
    pub keys: Vec<KeyHash>,
    /// Keys whose rows go; those that are added anew among them. Keys that the table does not have are passed over.
    pub replaced: Vec<KeyHash>,
    /// All rows that were there go.
    pub clears: bool,
    /// More columns than before.
    pub wider: Option<SchemaRef>,
}

impl Follower {
    /// Opens a table; one that does not exist yet has no version. `parts` are the position's.
    pub async fn open(lake: &Arc<Lake>, name: &TableName, keys: Vec<String>, parts: &[&str]) -> LakeResult<Self> {
        let mut follower = Self {
            lake: Arc::clone(lake),
            name: name.clone(),
            folder: lake.storage().folder(name)?,
            version: None,
            schema: Arc::new(Schema::empty()),
            files: Vec::new(),
            keys: Keys::new(keys),
            places: KeyMap::default(),
            position: Position::new(),
            follows: None,
        };
        if let Some(table) = lake.open(name).await? {
            follower.load(&table, parts).await?;
        }
        Ok(follower)
    }

    #[expect(deprecated, reason = "the one way to keep every statistic of a file as it is")]
    async fn load(&mut self, table: &DeltaTable, parts: &[&str]) -> LakeResult<()> {
        let state = table.snapshot()?;
        self.version = table.version();
        self.schema = storable(state.snapshot().arrow_schema().as_ref())?;
        self.follows = state.metadata().configuration().get(FOLLOWS).cloned();
        for part in parts {
            let log = table.log_store();
            let found = state.snapshot().transaction_version(log.as_ref(), format!("{APPLICATION}{part}")).await?;
            self.position.extend(found.map(|found| ((*part).to_string(), found)));
        }
        for add in state.log_data().iter().map(|file| file.add_action()) {
            let deleted = match &add.deletion_vector {
                Some(descriptor) => deletion::read(&self.folder, descriptor).await?,
                None => RoaringTreemap::new(),
            };
            self.files.push(Some(DataFile { rows: rows_of(&add)?, add, deleted }));
        }
        Ok(())
    }

    /// Reads where the row of each key lies. Has to be called before the first step that replaces rows.
    pub async fn index(&mut self) -> LakeResult<()> {
        self.places.clear();
        if self.keys.columns().is_empty() || self.version.is_none() {
            return Ok(());
        }
        for file in 0..self.files.len() {
            self.index_file(file).await?;
        }
        Ok(())
    }

    async fn index_file(&mut self, file: usize) -> LakeResult<()> {
        let Some(data) = &self.files[file] else { return Ok(()) };
        let wanted = self.projected(self.keys.columns())?;
        let mut row = 0_u32;
        for batch in data_file::read(&self.folder, &data.add, &wanted, None).await? {
            for hash in self.keys.hashes(&batch?)? {
                if !data.deleted.contains(u64::from(row)) {
                    self.places.insert(hash, Place { file: slot(file), row });
                }
                row += 1;
            }
        }
        Ok(())
    }

    fn projected(&self, columns: &[String]) -> LakeResult<SchemaRef> {
        let indices: Result<Vec<usize>, _> = columns.iter().map(|name| self.schema.index_of(name)).collect();
        let indices = indices.map_err(|error| LakeError::new("ingest-key-missing", format!("{}: {error}", self.name)))?;
        Ok(Arc::new(self.schema.project(&indices)?))
    }

    pub fn name(&self) -> &TableName {
        &self.name
    }

    pub fn exists(&self) -> bool {
        self.version.is_some()
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn position(&self) -> &Position {
        &self.position
    }

    /// What the table follows, as the one who made it wrote it; none for a table of somebody else.
    pub fn follows(&self) -> Option<&str> {
        self.follows.as_deref()
    }

    /// Rows of the newest version.
    pub fn rows(&self) -> u64 {
        self.files.iter().flatten().map(|file| file.rows - file.deleted.len()).sum()
    }

    /// The columns that tell rows apart; none if rows are only added.
    pub fn key(&self) -> &[String] {
        self.keys.columns()
    }

    /// The key columns of rows from elsewhere, in the table's types.
    pub fn key_batch(&self, batch: &RecordBatch) -> LakeResult<RecordBatch> {
        let indices: Result<Vec<usize>, _> = self.key().iter().map(|name| batch.schema_ref().index_of(name)).collect();
        let indices = indices.map_err(|error| LakeError::new("ingest-key-missing", format!("{}: {error}", self.name)))?;
        super::cast_batch(&batch.project(&indices)?, &self.projected(self.key())?)
    }

    pub fn hashes(&mut self, batch: &RecordBatch) -> LakeResult<Vec<KeyHash>> {
        self.keys.hashes(batch)
    }

    pub fn place(&self, key: &KeyHash) -> Option<Place> {
        self.places.get(key).copied()
    }

    /// Rows as they are now, by their places, in the order asked for.
    pub async fn fetch(&self, places: &[Place]) -> LakeResult<RecordBatch> {
        let mut by_file: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for place in places {
            by_file.entry(place.file).or_default().push(place.row);
        }
        let mut batches = vec![RecordBatch::new_empty(self.schema.clone())];
        let mut found: HashMap<(u32, u32), usize> = HashMap::new();
        let mut next = 0;
        for (file, mut rows) in by_file {
            rows.sort_unstable();
            rows.dedup();
            let Some(data) = &self.files[file as usize] else { continue };
            for batch in data_file::read(&self.folder, &data.add, &self.schema, Some(&rows)).await? {
                batches.push(batch?);
            }
            for row in rows {
                found.insert((file, row), next);
                next += 1;
            }
        }
        let all = arrow::compute::concat_batches(&self.schema, &batches)?;
        let order: Vec<u64> = places.iter().map(|place| found[&(place.file, place.row)] as u64).collect();
        Ok(arrow::compute::take_record_batch(&all, &arrow::array::UInt64Array::from(order))?)
    }

    /// Writes rows into data files that mean nothing yet.
    pub async fn write<S>(&self, schema: &SchemaRef, rows: S) -> LakeResult<Vec<Add>>
    where
        S: Stream<Item = datafusion::error::Result<RecordBatch>> + Send + 'static,
    {
        let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
        let written = write_streams(self.folder.log().object_store(None), schema, &[], vec![stream]).await?;
        failpoint::reached("files-written");
        self.flush(written.files.iter().map(|add| add.path.clone()).collect()).await?;
        Ok(written.files)
    }

    async fn flush(&self, below: Vec<String>) -> LakeResult<()> {
        durable::flush(&self.folder, below).await
    }

    /// Makes the added files the whole table: creates it, or takes the place of what it held. `follows` is kept with it.
    pub async fn begin(&mut self, schema: &SchemaRef, added: Vec<Add>, follows: &str, position: Position) -> LakeResult<()> {
        let kernel = kernel_schema(schema, &[])?;
        let settings = [(sweep::OURS, "true"), (FOLLOWS, follows), ("delta.enableDeletionVectors", "true")];
        let settings = settings.map(|(key, value)| (key.to_string(), value.to_string()));
        let mut metadata = new_metadata(&kernel, Vec::<String>::new(), settings)?;
        let current = self.lake.open(&self.name).await?;
        if current.as_ref().and_then(DeltaTable::version) != self.version {
            return Err(self.overtaken());
        }
        let mut actions = protocol_actions(current.as_ref(), schema)?;
        if let Some(table) = &current {
            metadata = metadata.with_table_id(table.snapshot()?.metadata().id().to_string())?;
        }
        actions.push(Action::Metadata(metadata));
        actions.extend(self.files.iter().flatten().map(|file| Action::Remove(remove(&file.add, true))));
        actions.extend(added.iter().cloned().map(Action::Add));
        // The rows are others than before: so may be the source they are of, and its counters.
        self.position.clear();
        self.put(actions, &position).await?;
        self.lake.uncover(&self.name).await?;
        self.schema = schema.clone();
        self.follows = Some(follows.to_string());
        self.files = added.into_iter().map(|add| DataFile::new(add).map(Some)).collect::<LakeResult<_>>()?;
        self.index().await
    }

    /// One commit: rows that come, rows that go, and how far the table then is.
    pub async fn advance(&mut self, step: Step, position: Position) -> LakeResult<()> {
        let mut actions = Vec::new();
        if let Some(wider) = &step.wider {
            actions.extend(self.widened(wider).await?);
        }
        let changed = self.without(&step)?;
        let vectors = self.write_vectors(&changed).await?;
        let mut left = BTreeMap::new();
        for ((slot, deleted), vector) in changed.into_iter().zip(vectors) {
            let Some(data) = &self.files[slot] else { continue };
            actions.push(Action::Remove(remove(&data.add, true)));
            if let Some(descriptor) = vector {
                let mut add = data.add.clone();
                add.deletion_vector = Some(descriptor);
                add.data_change = true;
                add.stats = add.stats.as_deref().map(loose);
                actions.push(Action::Add(add.clone()));
                left.insert(slot, Some(DataFile { add, rows: data.rows, deleted }));
            } else {
                left.insert(slot, None);
            }
        }
        actions.extend(step.added.iter().cloned().map(Action::Add));
        self.put(actions, &position).await?;
        for (slot, data) in left {
            self.files[slot] = data;
        }
        if let Some(wider) = step.wider {
            self.schema = wider;
        }
        if step.clears {
            self.places.clear();
        }
        for key in &step.replaced {
            self.places.remove(key);
        }
        self.enlist(step.added, &step.keys).await
    }

    /// The rows that a step takes away, by file.
    fn without(&self, step: &Step) -> LakeResult<Vec<(usize, RoaringTreemap)>> {
        if step.clears {
            let whole = |(slot, data): (usize, &Option<DataFile>)| Some((slot, (0..data.as_ref()?.rows).collect()));
            return Ok(self.files.iter().enumerate().filter_map(whole).collect());
        }
        let mut changed: BTreeMap<usize, RoaringTreemap> = BTreeMap::new();
        for place in step.replaced.iter().filter_map(|key| self.places.get(key)) {
            let slot = place.file as usize;
            let Some(data) = &self.files[slot] else {
                return Err(LakeError::new("delta", format!("{}: the index of keys names a file that is gone", self.name)));
            };
            changed.entry(slot).or_insert_with(|| data.deleted.clone()).insert(u64::from(place.row));
        }
        Ok(changed.into_iter().collect())
    }

    /// Writes the vectors of those files that keep rows; `None` for a file whose last row goes.
    async fn write_vectors(
        &self,
        changed: &[(usize, RoaringTreemap)],
    ) -> LakeResult<Vec<Option<deltalake::kernel::DeletionVectorDescriptor>>> {
        let is_left =
            |slot: usize, deleted: &RoaringTreemap| self.files[slot].as_ref().is_some_and(|data| deleted.len() < data.rows);
        let kept: Vec<&RoaringTreemap> =
            changed.iter().filter(|(slot, deleted)| is_left(*slot, deleted)).map(|(_, deleted)| deleted).collect();
        if kept.is_empty() {
            return Ok(changed.iter().map(|_| None).collect());
        }
        let file = VectorFile::new(&kept)?;
        self.folder.store.put(&self.folder.path.clone().join(file.name.as_str()), file.content.into()).await?;
        self.flush(vec![file.name]).await?;
        failpoint::reached("vectors-written");
        let mut descriptors = file.descriptors.into_iter();
        Ok(changed.iter().map(|(slot, deleted)| is_left(*slot, deleted).then(|| descriptors.next()).flatten()).collect())
    }

    async fn widened(&self, wider: &SchemaRef) -> LakeResult<Vec<Action>> {
        let table = self.lake.open(&self.name).await?.filter(|table| table.version() == self.version);
        let table = table.ok_or_else(|| self.overtaken())?;
        let mut actions = protocol_actions(Some(&table), wider)?;
        let metadata = table.snapshot()?.metadata().clone().with_schema(&kernel_schema(wider, &[])?)?;
        actions.push(Action::Metadata(metadata));
        Ok(actions)
    }

    fn overtaken(&self) -> LakeError {
        LakeError::new("ingest-overtaken", format!("somebody else has written to {} meanwhile", self.name))
    }

    /// Puts the log entry with the position in it, and waits until it is on disk.
    async fn put(&mut self, mut actions: Vec<Action>, position: &Position) -> LakeResult<()> {
        for (part, counter) in position {
            if self.position.get(part).is_some_and(|known| known > counter) {
                let message =
                    format!("{}: the position of the source goes back, from {:?} to {position:?}", self.name, self.position);
                return Err(LakeError::new("ingest-position", message));
            }
            let now = chrono::Utc::now().timestamp_millis();
            let transaction = Transaction::new_with_last_update(format!("{APPLICATION}{part}"), *counter, Some(now));
            actions.insert(0, Action::Txn(transaction));
        }
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let version = self.version.map_or(0, |version| version + 1);
        if !self.lake.commit_entry(&self.folder, version, actions, operation).await? {
            return Err(self.overtaken());
        }
        failpoint::reached("committed");
        self.flush(vec![format!("_delta_log/{version:020}.json")]).await?;
        failpoint::reached("durable");
        self.version = Some(version);
        self.position.extend(position.clone());
        if (version + 1).is_multiple_of(CHECKPOINT_EVERY) {
            tokio::spawn(checkpoint(self.folder.log(), version));
        }
        Ok(())
    }

    /// Takes committed files into the list, and their keys into the index.
    async fn enlist(&mut self, added: Vec<Add>, keys: &[KeyHash]) -> LakeResult<()> {
        let first = self.files.len();
        // Several files of one write are in no order that is told: they are read.
        let alone = added.len() == 1 && rows_of(&added[0])? == keys.len() as u64;
        for add in added {
            self.files.push(Some(DataFile::new(add)?));
        }
        if self.keys.columns().is_empty() {
            return Ok(());
        }
        if alone {
            for (row, key) in (0_u32..).zip(keys) {
                self.places.insert(*key, Place { file: slot(first), row });
            }
            return Ok(());
        }
        for file in first..self.files.len() {
            self.index_file(file).await?;
        }
        Ok(())
    }
}

impl DataFile {
    fn new(add: Add) -> LakeResult<Self> {
        Ok(Self { rows: rows_of(&add)?, add, deleted: RoaringTreemap::new() })
    }
}

fn slot(file: usize) -> u32 {
    u32::try_from(file).expect("a table has fewer than 2^32 files")
}

fn rows_of(add: &Add) -> LakeResult<u64> {
    let stats: Option<serde_json::Value> = add.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok());
    let rows = stats.as_ref().and_then(|stats| stats.get("numRecords")).and_then(serde_json::Value::as_u64);
    rows.ok_or_else(|| LakeError::new("delta", format!("the log does not say how many rows {} has", add.path)))
}

/// The statistics of a file of which rows are gone: least and greatest values may be of those.
fn loose(stats: &str) -> String {
    let Ok(mut stats) = serde_json::from_str::<serde_json::Value>(stats) else { return stats.to_string() };
    stats["tightBounds"] = false.into();
    stats.to_string()
}

fn remove(add: &Add, data_change: bool) -> Remove {
    Remove {
        path: add.path.clone(),
        data_change,
        deletion_timestamp: Some(chrono::Utc::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values.clone()),
        size: Some(add.size),
        tags: add.tags.clone(),
        deletion_vector: add.deletion_vector.clone(),
        base_row_id: add.base_row_id,
        default_row_commit_version: add.default_row_commit_version,
    }
}
