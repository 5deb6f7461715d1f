//! Reading single columns and single rows of a table's own data files.

use std::fs::File;
use std::io::Read;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use bytes::{Buf, Bytes};
use deltalake::kernel::Add;
use object_store::ObjectStoreExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};

use crate::lake::storage::Folder;
use crate::lake::{LakeResult, cast_batch};

/// A data file: on a local disk read in place, else fetched whole.
pub enum Content {
    Local(File),
    Fetched(Bytes),
}

impl Length for Content {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => Length::len(file),
            Self::Fetched(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Content {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(match self {
            Self::Local(file) => Box::new(file.get_read(start)?),
            Self::Fetched(bytes) => Box::new(bytes.slice(usize::try_from(start).unwrap_or(usize::MAX)..).reader()),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            Self::Local(file) => file.get_bytes(start, length),
            Self::Fetched(bytes) => bytes.get_bytes(start, length),
        }
    }
}

async fn content(folder: &Folder, add: &Add) -> LakeResult<Content> {
    let below = object_store::path::Path::from_url_path(&add.path).map_err(|error| std::io::Error::other(error.to_string()))?;
    if let Some(local) = &folder.local {
        return Ok(Content::Local(File::open(local.join(below.as_ref()))?));
    }
    let whole = below.parts().fold(folder.path.clone(), |path, part| path.join(part));
    Ok(Content::Fetched(folder.store.get(&whole).await?.bytes().await?))
}

/// The rows of one data file, in the file's order, with the columns of `wanted`.
pub struct DataFileRows {
    reader: ParquetRecordBatchReader,
    wanted: SchemaRef,
}

impl Iterator for DataFileRows {
    type Item = LakeResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(Into::into).and_then(|batch| completed(&batch, &self.wanted)))
    }
}

/// Opens a file for reading the columns of `wanted`; of `rows` (ascending) where some are given, else of all rows.
pub async fn read(folder: &Folder, add: &Add, wanted: &SchemaRef, rows: Option<&[u32]>) -> LakeResult<DataFileRows> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(content(folder, add).await?)?;
    let names = wanted.fields().iter().map(|field| field.name().as_str());
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let mut builder = builder.with_projection(mask);
    if let Some(rows) = rows {
        builder = builder.with_row_selection(selection(rows));
    }
    Ok(DataFileRows { reader: builder.build()?, wanted: wanted.clone() })
}

fn selection(rows: &[u32]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0_u32;
    for &row in rows {
        if row > next {
            selectors.push(RowSelector::skip((row - next) as usize));
        }
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    RowSelection::from(selectors)
}

/// Columns in the wanted order and types; those that a file was written without are null.
fn completed(batch: &RecordBatch, wanted: &SchemaRef) -> LakeResult<RecordBatch> {
    let mut fields = Vec::with_capacity(wanted.fields().len());
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        match batch.schema_ref().index_of(field.name()) {
            Ok(index) => {
                fields.push(batch.schema_ref().field(index).clone());
                columns.push(batch.column(index).clone());
            }
            Err(_) => {
                fields.push(field.as_ref().clone());
                columns.push(new_null_array(field.data_type(), batch.num_rows()));
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let found = RecordBatch::try_new_with_options(std::sync::Arc::new(Schema::new(fields)), columns, &options)?;
    cast_batch(&found, wanted)
}
