//! Small files become one, and rows that are gone are left out: no row of the table changes.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use datafusion::error::DataFusionError;
use deltalake::kernel::Action;
use roaring::RoaringTreemap;

use super::data_file::DataFileRows;
use super::{DataFile, Follower, Position, data_file, remove};
use crate::lake::LakeResult;

/// So many small files are made one.
const MOST_SMALL_FILES: usize = 24;
/// A file below this is small.
const SMALL_BYTES: i64 = 16 << 20;
/// A compaction takes in no more than this, so that what it holds in memory is bounded.
const MOST_BYTES: i64 = 64 << 20;
/// A file of which less than this share is left is written anew.
const LEAST_LEFT: f64 = 0.7;
/// Below this many rows that are gone, a file is let be.
const FEW_ROWS: u64 = 1000;

impl Follower {
    /// Compacts if there is reason to. Whether it did.
    pub async fn compact(&mut self) -> LakeResult<bool> {
        let chosen = self.worth_compacting();
        if chosen.is_empty() {
            return Ok(false);
        }
        let mut left = Vec::with_capacity(chosen.len());
        for &file in &chosen {
            left.extend(self.left_rows(file).await?);
        }
        let rows = left.into_iter().flatten().map(|batch| batch.map_err(|error| DataFusionError::External(Box::new(error))));
        let added = self.write(&self.schema.clone(), futures::stream::iter(rows)).await?;
        let mut actions = Vec::new();
        for &file in &chosen {
            actions.extend(self.files[file].as_ref().map(|data| Action::Remove(remove(&data.add, false))));
        }
        actions.extend(added.iter().cloned().map(|mut add| {
            add.data_change = false;
            Action::Add(add)
        }));
        super::failpoint::reached("compacted");
        self.put(actions, &Position::new()).await?;
        for file in chosen {
            self.files[file] = None;
        }
        self.enlist(added, &[]).await?;
        Ok(true)
    }

    /// The files that are many and small, or of which much is gone.
    fn worth_compacting(&self) -> Vec<usize> {
        let files = || self.files.iter().enumerate().filter_map(|(file, data)| Some((file, data.as_ref()?)));
        let is_worn = |data: &DataFile| {
            data.deleted.len() > FEW_ROWS && (data.deleted.len() as f64) > (1.0 - LEAST_LEFT) * data.rows as f64
        };
        let is_small = |data: &DataFile| data.add.size < SMALL_BYTES;
        let small = files().filter(|(_, data)| is_small(data)).count();
        let mut bytes = 0;
        let mut chosen = Vec::new();
        for (file, data) in files() {
            let wanted = is_worn(data) || (small >= MOST_SMALL_FILES && is_small(data));
            if wanted && (chosen.is_empty() || bytes + data.add.size <= MOST_BYTES) {
                bytes += data.add.size;
                chosen.push(file);
            }
        }
        chosen
    }

    async fn left_rows(&self, file: usize) -> LakeResult<Option<LeftRows>> {
        let Some(data) = &self.files[file] else { return Ok(None) };
        let rows = data_file::read(&self.folder, &data.add, &Arc::clone(&self.schema), None).await?;
        Ok(Some(LeftRows { rows, deleted: data.deleted.clone(), next: 0 }))
    }
}

/// The rows of a file that are not gone.
struct LeftRows {
    rows: DataFileRows,
    deleted: RoaringTreemap,
    next: u64,
}

impl Iterator for LeftRows {
    type Item = LakeResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.rows.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        let end = self.next + batch.num_rows() as u64;
        let left: BooleanArray = (self.next..end).map(|row| Some(!self.deleted.contains(row))).collect();
        self.next = end;
        Some(arrow::compute::filter_record_batch(&batch, &left).map_err(Into::into))
    }
}
