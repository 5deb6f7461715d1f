//! Versions of a table: which are kept, when each was made, and opening one that is not the newest.

use chrono::{DateTime, Utc};
use deltalake::DeltaTable;
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::table::Lake;
use super::{LakeError, LakeResult, TableName};

impl Lake {
    /// The versions whose log entries are kept, oldest first, with the time of each commit.
    pub async fn versions(&self, name: &TableName) -> LakeResult<Vec<(u64, DateTime<Utc>)>> {
        let log = self.storage.folder(name)?.path.join("_delta_log");
        let objects: Vec<_> = self.storage.store.list(Some(&log)).try_collect().await?;
        let version = |file: &str| file.strip_suffix(".json").filter(|digits| digits.len() == 20)?.parse().ok();
        let entries = objects.iter().filter_map(|object| Some((version(object.location.filename()?)?, object.last_modified)));
        let mut versions: Vec<_> = entries.collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// A table as one of its versions left it.
    pub async fn open_version(&self, name: &TableName, version: u64) -> LakeResult<DeltaTable> {
        let versions = self.versions(name).await?;
        let known = versions.iter().any(|(kept, _)| *kept == version);
        let mut table = DeltaTable::new(self.storage.folder(name)?.log());
        if !known || table.load_version(version).await.is_err() {
            let error = LakeError::new("version-missing", format!("{name} has no version {version}"));
            return Err(match (versions.first(), versions.last()) {
                (Some((first, _)), Some((last, _))) => error.help(format!("versions {first} to {last} are kept")),
                _ => error,
            });
        }
        Ok(table)
    }

    /// The version that was the newest at a moment.
    pub async fn version_at(&self, name: &TableName, at: DateTime<Utc>) -> LakeResult<u64> {
        let versions = self.versions(name).await?;
        let before = versions.iter().rev().find(|(_, made)| *made <= at).map(|(version, _)| *version);
        before.ok_or_else(|| {
            let error = LakeError::new("version-missing", format!("{name} has no version from {at} or before"));
            match versions.first() {
                Some((first, made)) => error.help(format!("the oldest kept is version {first}, made at {made}")),
                None => error,
            }
        })
    }
}
