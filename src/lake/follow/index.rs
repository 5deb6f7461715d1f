//! Where the row of each key lies: what makes an update cost as much as it changes, not as much as the table holds.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};

use crate::lake::{LakeError, LakeResult};

/// A key as 128 bits of its hash: two keys of a table that share it are not to be met in practice.
pub type KeyHash = [u64; 2];

/// A row by its file's place in the table's list and its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: u32,
    pub row: u32,
}

/// Keys are hashes already.
#[derive(Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }

    fn write_usize(&mut self, _: usize) {}
}

pub type KeyMap<T> = HashMap<KeyHash, T, BuildHasherDefault<AsIs>>;

/// Turns the key columns of batches into hashes.
pub struct Keys {
    columns: Vec<String>,
    converter: Option<RowConverter>,
}

impl Keys {
    pub fn new(columns: Vec<String>) -> Self {
        Self { columns, converter: None }
    }

    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    pub fn hashes(&mut self, batch: &RecordBatch) -> LakeResult<Vec<KeyHash>> {
        let column = |name: &String| {
            batch.column_by_name(name).cloned().ok_or_else(|| {
                LakeError::new("ingest-key-missing", format!("the key column \"{name}\" is not among the rows that arrived"))
            })
        };
        let columns = self.columns.iter().map(column).collect::<LakeResult<Vec<_>>>()?;
        let converter = match &mut self.converter {
            Some(converter) => converter,
            none => {
                none.insert(RowConverter::new(columns.iter().map(|column| SortField::new(column.data_type().clone())).collect())?)
            }
        };
        let rows = converter.convert_columns(&columns)?;
        Ok(rows.iter().map(|row| hash(row.as_ref())).collect())
    }
}

fn hash(bytes: &[u8]) -> KeyHash {
    [0_u8, 1].map(|seed| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(bytes);
        hasher.finish()
    })
}
