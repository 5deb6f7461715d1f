//! Batches to data files: streams become Parquet files of a table's folder, not yet named by its log.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use futures::StreamExt;
use object_store::ObjectStore;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::task::JoinSet;

use super::{LakeResult, cast_batch};

/// Results up to this size go into one file, however many streams they come from.
const SMALL_BYTES: usize = 16 << 20;
/// A file is closed and the next begun at about this size.
const FILE_BYTES: NonZeroU64 = NonZeroU64::new(256 << 20).expect("not zero");

/// Data files written and the rows in them.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub files: Vec<Add>,
    pub rows: u64,
}

/// How files are written: where, with which columns, split by which.
#[derive(Clone)]
struct Target {
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    config: WriterConfig,
}

impl Target {
    fn writer(&self) -> DeltaWriter {
        DeltaWriter::new(Arc::clone(&self.store), self.config.clone())
    }
}

/// Writes all streams, in parallel, below `store` (a table's folder). Columns are taken by position and cast to `schema`.
pub async fn write_streams(
    store: Arc<dyn ObjectStore>,
    schema: &SchemaRef,
    partition_by: &[String],
    streams: Vec<SendableRecordBatchStream>,
) -> LakeResult<Written> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by(concat!("headwater ", env!("CARGO_PKG_VERSION")).to_string())
        .build();
    // Statistics for Delta's default number of leading columns.
    let indexed = Default::default();
    let config =
        WriterConfig::new(Arc::clone(schema), partition_by.to_vec(), Some(properties), Some(FILE_BYTES), None, indexed, None);
    let target = Target { store, schema: Arc::clone(schema), config };
    let buffered = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for (index, stream) in streams.into_iter().enumerate() {
        let (target, buffered) = (target.clone(), Arc::clone(&buffered));
        tasks.spawn(async move { LakeResult::Ok((index, write_stream(&target, &buffered, stream).await?)) });
    }
    let mut written = Written::default();
    let mut small = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (index, part) = done.map_err(|error| super::LakeError::new("io", error.to_string()))??;
        written.files.extend(part.files);
        written.rows += part.rows;
        small.push((index, part.small));
    }
    small.sort_by_key(|(index, _)| *index);
    let small: Vec<RecordBatch> = small.into_iter().flat_map(|(_, batches)| batches).collect();
    if !small.is_empty() {
        let mut writer = target.writer();
        for batch in &small {
            writer.write(batch).await?;
        }
        written.files.extend(writer.close().await?);
    }
    Ok(written)
}

/// One stream's share: files it filled, and what was too little for a file of its own.
struct Part {
    files: Vec<Add>,
    small: Vec<RecordBatch>,
    rows: u64,
}

async fn write_stream(target: &Target, buffered: &AtomicUsize, mut stream: SendableRecordBatchStream) -> LakeResult<Part> {
    let mut part = Part { files: Vec::new(), small: Vec::new(), rows: 0 };
    let mut writer: Option<DeltaWriter> = None;
    while let Some(batch) = stream.next().await {
        let batch = cast_batch(&batch?, &target.schema)?;
        if batch.num_rows() == 0 {
            continue;
        }
        part.rows += batch.num_rows() as u64;
        if let Some(writer) = &mut writer {
            writer.write(&batch).await?;
            continue;
        }
        let bytes = batch.get_array_memory_size();
        part.small.push(batch);
        if buffered.fetch_add(bytes, Ordering::Relaxed) + bytes > SMALL_BYTES {
            let mut new = target.writer();
            for batch in part.small.drain(..) {
                new.write(&batch).await?;
            }
            writer = Some(new);
        }
    }
    if let Some(writer) = writer {
        part.files = writer.close().await?;
    }
    Ok(part)
}
