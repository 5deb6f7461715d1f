//! Housekeeping, so that a warehouse does not grow for ever: old data files, old log entries, and what killed processes left.
//!
//! A data file goes when no row of the newest version is in it and it left the table longer ago than the table keeps deleted
//! files (`delta.deletedFileRetentionDuration`, a week if not set): the rule of Delta's `VACUUM`. A file that no version names,
//! of a writer that died, goes at the same age. A query holds files of the version it began with, so it would have to run for
//! a week to meet a file that is gone.

use std::time::Duration;

use chrono::Utc;
use deltalake::DeltaTable;
use deltalake::operations::vacuum::VacuumMode;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::storage::PRIVATE;
use super::table::Lake;
use super::{LakeError, LakeResult, TableName};

/// Folders of running writes and of running deletions that nothing was put into for so long belong to nobody.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Set on the tables we make; those of other tools are not ours to clean.
pub(super) const OURS: &str = "delta.enableExpiredLogCleanup";

impl Lake {
    /// Deletes what a table does not need any more, by `retention` or by what the table says; gives the number of files.
    pub async fn sweep_table(&self, name: &TableName, retention: Option<Duration>) -> LakeResult<usize> {
        match self.open(name).await? {
            Some(table) => expired(table, retention).await,
            None => Ok(0),
        }
    }

    /// Removes the scratch and trash folders of processes that were killed.
    pub async fn sweep_abandoned(&self) -> LakeResult<()> {
        for kind in ["scratch", "trash"] {
            let (_, folders) = self.storage.list(&self.storage.path(&[PRIVATE, kind])).await?;
            for name in folders {
                let folder = self.storage.folder_at(&[PRIVATE, kind, &name])?;
                let objects: Vec<_> = self.storage.store.list(Some(&folder.path)).try_collect().await?;
                let newest = objects.iter().map(|object| object.last_modified).max();
                if newest.is_some_and(|newest| newest + ABANDONED < Utc::now()) {
                    folder.remove(&self.trash()?).await?;
                }
            }
        }
        Ok(())
    }
}

/// Deletes a table's expired files and log entries; `table` must be its newest version.
pub(super) async fn expired(table: DeltaTable, retention: Option<Duration>) -> LakeResult<usize> {
    if !table.snapshot()?.metadata().configuration().contains_key(OURS) {
        return Ok(0);
    }
    let store = table.log_store().object_store(None);
    deltalake::checkpoints::cleanup_metadata(&table, None).await?;
    // A dry run: the files are deleted here, without the two log entries that a VACUUM writes.
    let mut search = table.vacuum().with_mode(VacuumMode::Full).with_dry_run(true).with_enforce_retention_duration(false);
    if let Some(retention) = retention {
        let retention = chrono::Duration::from_std(retention).map_err(|error| LakeError::new("io", error.to_string()))?;
        search = search.with_retention_period(retention);
    }
    let (_, found) = search.await?;
    let mut deleted = 0;
    for file in &found.files_deleted {
        let path = Path::parse(file).map_err(|error| LakeError::new("io", error.to_string()))?;
        match store.delete(&path).await {
            // Another process may sweep the same table.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => deleted += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(deleted)
}
