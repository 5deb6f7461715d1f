//! The cache of parsed files, and staging: making it agree with the files.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::Utc;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::kernel::Add;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt as _;
use object_store::prefix::PrefixStore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{Location, SourceFile};
use super::layout::{DeclaredColumn, Format, Layout};
use super::read::{FileReading, infer};
use super::{Content, ExternalDefinition, Staged};
use crate::lake::catalog::Entry;
use crate::lake::delimited::Reject;
use crate::lake::storage::{Folder, PRIVATE, encode};
use crate::lake::table::Lake;
use crate::lake::{LakeError, LakeResult, TableName, write_streams};

/// Bumped when the same definition and file would give other rows.
const FORMAT_VERSION: u32 = 2;
/// Cache files that no manifest names are kept so long, for readers that still scan them.
const GRACE: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Manifest {
    /// Hash of the definition.
    definition: String,
    /// Name and type of the columns read from the files.
    columns: Vec<(String, String)>,
    files: Vec<CachedFile>,
}

/// What one source file gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CachedFile {
    source: SourceFile,
    rows: u64,
    rejected: u64,
    row_files: Vec<Add>,
    reject_files: Vec<Add>,
}

/// All there is to know while staging one table.
struct Staging {
    layout: Layout,
    location: Location,
    columns: Vec<DeclaredColumn>,
    folder: Folder,
}

impl Lake {
    /// Registers an external table, or changes it, and brings its cache up to date.
    pub async fn put_external(
        &self,
        name: &TableName,
        definition: ExternalDefinition,
        options: &[(String, String)],
    ) -> LakeResult<Staged> {
        let rejects = TableName::new(name.schema.as_str(), super::rejects_name(&name.table));
        let entry = Entry::External(definition.clone());
        {
            let _guard = self.lock(name).await;
            if self.entry(name).await?.as_ref() != Some(&entry) {
                self.put_entry(name, &entry).await?;
            }
        }
        let staged = self.stage(name, &definition, options).await?;
        let known = self.entry(&rejects).await?;
        if staged.rejects.is_some() && known.is_none() {
            self.put_entry(&rejects, &Entry::Rejects { table: name.table.clone() }).await?;
        } else if staged.rejects.is_none() && matches!(known, Some(Entry::Rejects { .. })) {
            self.delete_entry(&rejects).await?;
        }
        Ok(staged)
    }

    /// Makes an external table ready to scan: lists its files and reads those that are new or changed.
    pub async fn stage(
        &self,
        name: &TableName,
        definition: &ExternalDefinition,
        options: &[(String, String)],
    ) -> LakeResult<Staged> {
        let written = definition.external.get("location").and_then(serde_json::Value::as_str).unwrap_or_default();
        let location = Location::open(written.trim().trim_matches('\''), &definition.base, options)?;
        let delta = definition.layout(Some("x.delta")).is_ok_and(|layout| layout.format == Format::Delta);
        let files = if delta { Vec::new() } else { location.files().await? };
        let layout = definition.layout(files.first().map(|file| file.name.as_str()))?;
        if matches!(layout.format, Format::Delta | Format::Parquet) {
            let summary = format!("{} read in place", if delta { "a Delta table".into() } else { counted(files.len(), "file") });
            let rows = Content::InPlace { layout: Box::new(layout), files };
            return Ok(Staged { rows, rejects: None, summary, refreshed: false });
        }
        let folder = self.cache_folder(name)?;
        let _guard = self.lock(&TableName::new(name.schema.as_str(), format!("{}\0external", name.table))).await;
        let manifest = self.manifest(&folder).await?;
        let fingerprint = fingerprint(definition)?;
        let usable = manifest.filter(|manifest| manifest.definition == fingerprint);
        let unchanged = usable.as_ref().is_some_and(|manifest| manifest.files.iter().map(|file| &file.source).eq(&files));
        if let (true, Some(manifest)) = (unchanged, &usable) {
            let columns = manifest_columns(&layout, manifest)?;
            return Ok(staged(&Staging { layout, location, columns, folder }, manifest, 0));
        }
        let columns = columns(&layout, &location, &files).await?;
        let staging = Staging { layout, location, columns, folder };
        let manifest = self.refresh(&staging, usable.unwrap_or_default(), files, fingerprint).await?;
        Ok(staged(&staging, &manifest.0, manifest.1))
    }

    fn cache_folder(&self, name: &TableName) -> LakeResult<Folder> {
        self.storage().folder_at(&[PRIVATE, "external", &encode(&name.schema)?, &encode(&name.table)?])
    }

    /// Removes what was kept of an external table.
    pub(in crate::lake) async fn forget_external(&self, name: &TableName) -> LakeResult<()> {
        let rejects = TableName::new(name.schema.as_str(), super::rejects_name(&name.table));
        if matches!(self.entry(&rejects).await?, Some(Entry::Rejects { .. })) {
            self.delete_entry(&rejects).await?;
        }
        self.cache_folder(name)?.remove(&self.trash()?).await
    }

    async fn manifest(&self, folder: &Folder) -> LakeResult<Option<Manifest>> {
        let content = self.storage().get(&folder.path.clone().join("manifest.json")).await?;
        // One of another version, or broken: the files are simply read again.
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    }

    /// Reads what is new or changed; the manifest is put last, in one step, so nobody sees half of it.
    async fn refresh(
        &self,
        staging: &Staging,
        old: Manifest,
        files: Vec<SourceFile>,
        fingerprint: String,
    ) -> LakeResult<(Manifest, usize)> {
        let columns: Vec<(String, String)> =
            staging.columns.iter().map(|column| (column.name.clone(), column.type_name.clone())).collect();
        let same_columns = old.columns == columns;
        let known = |source: &SourceFile| old.files.iter().find(|file| same_columns && file.source == *source).cloned();
        let parallel = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let work = files.into_iter().map(|source| {
            let known = known(&source);
            async move {
                match known {
                    Some(file) => LakeResult::Ok((file, 0)),
                    None => Ok((self.read_file(staging, source).await?, 1)),
                }
            }
        });
        let done: Vec<(CachedFile, usize)> = futures::stream::iter(work).buffered(parallel).try_collect().await?;
        let read = done.iter().map(|(_, read)| read).sum();
        let files = done.into_iter().map(|(file, _)| file).collect();
        let manifest = Manifest { definition: fingerprint, columns, files };
        let content = serde_json::to_vec(&manifest).map_err(|error| LakeError::new("io", error.to_string()))?;
        self.storage().put(&staging.folder.path.clone().join("manifest.json"), content).await?;
        self.sweep(staging, &manifest).await?;
        Ok((manifest, read))
    }

    async fn read_file(&self, staging: &Staging, source: SourceFile) -> LakeResult<CachedFile> {
        let raw = staging.location.read(&source).await?;
        let schema: SchemaRef = Arc::new(staging.layout.schema(&staging.columns));
        let (sender, receiver) = tokio::sync::mpsc::channel::<RecordBatch>(4);
        let (layout, columns, file) = (staging.layout.clone(), staging.columns.clone(), source.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut emit = |batch: RecordBatch| {
                sender.blocking_send(batch).map_err(|_| LakeError::new("io", "the writer of the cache stopped"))
            };
            FileReading::new(&layout, &columns, &file)?.read(raw, &mut emit)
        });
        let batches =
            futures::stream::unfold(receiver, |mut receiver| async move { Some((Ok(receiver.recv().await?), receiver)) });
        let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), batches));
        let written = write_streams(self.cache_store(staging, "rows"), &schema, &[], vec![stream]).await;
        let rejects = reading.await.map_err(|error| LakeError::new("io", error.to_string()))??;
        let written = written?;
        let reject_files = if rejects.is_empty() {
            Vec::new()
        } else {
            let batch = reject_batch(&rejects)?;
            let stream = futures::stream::iter([Ok(batch)]);
            let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(reject_schema(), stream));
            write_streams(self.cache_store(staging, "rejects"), &reject_schema(), &[], vec![stream]).await?.files
        };
        Ok(CachedFile { source, rows: written.rows, rejected: rejects.len() as u64, row_files: written.files, reject_files })
    }

    fn cache_store(&self, staging: &Staging, part: &str) -> Arc<dyn object_store::ObjectStore> {
        Arc::new(PrefixStore::new(self.storage().store.clone(), staging.folder.path.clone().join(part)))
    }

    /// Deletes cache files that no manifest names any more and that no reader can still hold.
    async fn sweep(&self, staging: &Staging, manifest: &Manifest) -> LakeResult<()> {
        let used = |part: &str, name: &str| {
            manifest.files.iter().any(|file| {
                let adds = if part == "rows" { &file.row_files } else { &file.reject_files };
                adds.iter().any(|add| add.path.ends_with(name))
            })
        };
        for part in ["rows", "rejects"] {
            let folder = staging.folder.path.clone().join(part);
            let objects: Vec<_> = self.storage().store.list(Some(&folder)).try_collect().await?;
            for object in objects {
                let old = object.last_modified + GRACE < Utc::now();
                if old && !used(part, object.location.filename().unwrap_or_default()) {
                    self.storage().store.delete(&object.location).await?;
                }
            }
        }
        Ok(())
    }
}

fn fingerprint(definition: &ExternalDefinition) -> LakeResult<String> {
    let text = serde_json::to_vec(&(FORMAT_VERSION, definition)).map_err(|error| LakeError::new("io", error.to_string()))?;
    Ok(Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Declared columns, or those the files show.
async fn columns(layout: &Layout, location: &Location, files: &[SourceFile]) -> LakeResult<Vec<DeclaredColumn>> {
    if !layout.columns.is_empty() {
        return Ok(layout.columns.clone());
    }
    let Some(first) = files.first().cloned() else {
        return Err(LakeError::new(
            "external-column",
            format!("`{}` holds no files and no columns are declared", layout.location),
        ));
    };
    let raw = location.read(&first).await?;
    let layout = layout.clone();
    let columns = tokio::task::spawn_blocking(move || infer(&layout, &first, raw)).await;
    columns.map_err(|error| LakeError::new("io", error.to_string()))?
}

/// The columns of a manifest that is still good: declared, or inferred when it was made.
fn manifest_columns(layout: &Layout, manifest: &Manifest) -> LakeResult<Vec<DeclaredColumn>> {
    if !layout.columns.is_empty() {
        return Ok(layout.columns.clone());
    }
    let column = |(name, type_name): &(String, String)| {
        let data_type = crate::sql::arrow_type(type_name)
            .ok_or_else(|| LakeError::new("type-unknown", format!("column \"{name}\": unknown data type `{type_name}`")))?;
        let stored = crate::lake::storable(&Schema::new(vec![Field::new(name, data_type, true)]))?;
        Ok(DeclaredColumn { name: name.clone(), type_name: type_name.clone(), data_type: stored.field(0).data_type().clone() })
    };
    manifest.columns.iter().map(column).collect()
}

fn staged(staging: &Staging, manifest: &Manifest, read: usize) -> Staged {
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let rejected: u64 = manifest.files.iter().map(|file| file.rejected).sum();
    let mut summary = format!("{} rows from {}", rows, counted(manifest.files.len(), "file"));
    if rejected > 0 {
        summary.push_str(&format!(", {rejected} rejected"));
    }
    summary.push_str(&if read == 0 { ", unchanged".to_string() } else { format!(", {} read", counted(read, "file")) });
    let content = |part: &str, schema: SchemaRef, files: Vec<Add>| {
        let mut folder = staging.folder.clone();
        folder.path = folder.path.join(part);
        Content::Cached { schema, folder, files }
    };
    let row_files = manifest.files.iter().flat_map(|file| file.row_files.clone()).collect();
    let reject_files = manifest.files.iter().flat_map(|file| file.reject_files.clone()).collect();
    Staged {
        rows: content("rows", Arc::new(staging.layout.schema(&staging.columns)), row_files),
        rejects: staging.layout.quarantine.then(|| content("rejects", reject_schema(), reject_files)),
        summary,
        refreshed: read > 0,
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn reject_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("_file"), Field::new("_line", DataType::Int64, true), text("_reason"), text("_row")]))
}

fn reject_batch(rejects: &[Reject]) -> LakeResult<RecordBatch> {
    let text = |pick: fn(&Reject) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rejects.iter().map(pick))) };
    let lines = Int64Array::from_iter_values(rejects.iter().map(|reject| i64::try_from(reject.line).unwrap_or(i64::MAX)));
    let columns =
        vec![text(|reject| &reject.file), Arc::new(lines) as ArrayRef, text(|reject| &reject.reason), text(|reject| &reject.row)];
    Ok(RecordBatch::try_new(reject_schema(), columns)?)
}
