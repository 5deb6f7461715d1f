//! A piece of what arrived: in memory, or waiting on disk as Parquet until its transaction is committed.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Int8Array, Int64Array, RecordBatch, RecordBatchOptions, RecordBatchReader,
};
use arrow::datatypes::{DataType, Field, Int8Type, Int64Type, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::IngestError;
use super::rows::{Change, Op, Origin, Segment};
use crate::lake::LakeError;

/// How an open transaction ended: by that its rows get their origin, and those of its undone parts are left out.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub mark: i64,
    pub committed_at: i64,
    pub undone: Arc<HashSet<u32>>,
}

#[derive(Clone, Debug)]
enum Place {
    Memory(Arc<Segment>),
    Disk { file: Arc<File>, schema: SchemaRef, marks: [i64; 2] },
}

/// Changed rows of one table and one layout.
#[derive(Clone, Debug)]
pub struct Piece {
    place: Place,
    rows: usize,
    settlement: Option<Settlement>,
    /// Changes of transactions up to here are left out: the table has them.
    beyond: i64,
}

/// The columns beside the values, in a file.
const NOTES: [(&str, DataType); 7] = [
    ("op", DataType::Int8),
    ("mark", DataType::Int64),
    ("committed_at", DataType::Int64),
    ("ordinal", DataType::Int64),
    ("xid", DataType::Int64),
    ("moved", DataType::Boolean),
    ("unset", DataType::Binary),
];

impl Piece {
    pub fn new(segment: Segment) -> Self {
        let rows = segment.changes.len();
        Self { place: Place::Memory(Arc::new(segment)), rows, settlement: None, beyond: i64::MIN }
    }

    /// How many changes it has at most.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns of its values.
    pub fn schema(&self) -> &SchemaRef {
        match &self.place {
            Place::Memory(segment) => segment.batch.schema_ref(),
            Place::Disk { schema, .. } => schema,
        }
    }

    /// What it takes of memory.
    pub fn held_bytes(&self) -> usize {
        match &self.place {
            Place::Memory(segment) => segment.bytes(),
            Place::Disk { .. } => 0,
        }
    }

    pub fn settled(self, settlement: Settlement) -> Self {
        Self { settlement: Some(settlement), ..self }
    }

    /// What of it lies beyond a mark; marks ascend.
    pub fn beyond(&self, mark: i64) -> Option<Self> {
        let last = match (&self.settlement, &self.place) {
            (Some(settlement), _) => settlement.mark,
            (None, Place::Memory(segment)) => segment.changes.last().map_or(i64::MIN, |change| change.origin.mark),
            (None, Place::Disk { marks, .. }) => marks[1],
        };
        (last > mark).then(|| Self { beyond: mark, ..self.clone() })
    }

    /// Moves it to disk. The file has no name: it goes with the process.
    pub fn spill(&mut self) -> Result<(), IngestError> {
        let Place::Memory(segment) = &self.place else { return Ok(()) };
        let batch = with_notes(segment)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(broken)?));
        let file = tempfile::tempfile()?;
        let properties = properties.set_dictionary_enabled(false).build();
        let mut writer = ArrowWriter::try_new(file.try_clone()?, batch.schema(), Some(properties)).map_err(broken)?;
        writer.write(&batch).map_err(broken)?;
        writer.close().map_err(broken)?;
        let mark = |change: Option<&Change>| change.map_or(i64::MIN, |change| change.origin.mark);
        let marks = [mark(segment.changes.first()), mark(segment.changes.last())];
        self.place = Place::Disk { file: Arc::new(file), schema: segment.batch.schema(), marks };
        Ok(())
    }

    /// Its changes, as they count now.
    pub fn load(&self) -> Result<Arc<Segment>, IngestError> {
        let segment = match &self.place {
            Place::Memory(segment) => segment.clone(),
            Place::Disk { file, schema, .. } => Arc::new(read(file.try_clone()?, schema)?),
        };
        let first_mark = segment.changes.first().map_or(i64::MIN, |change| change.origin.mark);
        if self.settlement.is_none() && first_mark > self.beyond {
            return Ok(segment);
        }
        self.counted(&segment).map(Arc::new)
    }

    fn counted(&self, segment: &Segment) -> Result<Segment, IngestError> {
        let settle = |change: &Change| {
            let mut change = change.clone();
            if let Some(settlement) = &self.settlement {
                (change.origin.mark, change.origin.committed_at) = (settlement.mark, settlement.committed_at);
            }
            change
        };
        let counts = |change: &Change| {
            let undone = self.settlement.as_ref().is_some_and(|settlement| settlement.undone.contains(&change.origin.xid));
            let mark = self.settlement.as_ref().map_or(change.origin.mark, |settlement| settlement.mark);
            !undone && mark > self.beyond
        };
        let mask: BooleanArray = segment.changes.iter().map(|change| Some(counts(change))).collect();
        let batch = arrow::compute::filter_record_batch(&segment.batch, &mask)?;
        Ok(Segment { batch, changes: segment.changes.iter().filter(|change| counts(change)).map(settle).collect() })
    }
}

fn broken(error: parquet::errors::ParquetError) -> IngestError {
    LakeError::from(error).into()
}

fn with_notes(segment: &Segment) -> Result<RecordBatch, IngestError> {
    let changes = &segment.changes;
    let unset = |change: &Change| change.unset.iter().flat_map(|column| column.to_le_bytes()).collect::<Vec<u8>>();
    let number = |of: fn(&Change) -> i64| Arc::new(changes.iter().map(|change| Some(of(change))).collect::<Int64Array>());
    let notes: [ArrayRef; 7] = [
        Arc::new(changes.iter().map(|change| Some(change.op.number())).collect::<Int8Array>()),
        number(|change| change.origin.mark),
        number(|change| change.origin.committed_at),
        number(|change| change.origin.ordinal),
        number(|change| i64::from(change.origin.xid)),
        Arc::new(changes.iter().map(|change| Some(change.moved)).collect::<BooleanArray>()),
        Arc::new(changes.iter().map(|change| Some(unset(change))).collect::<BinaryArray>()),
    ];
    // Numbers as names: the table's own columns may be called anything.
    let own = segment.batch.schema_ref().fields().iter().enumerate();
    let own = own.map(|(number, field)| Field::new(number.to_string(), field.data_type().clone(), true));
    let fields: Vec<Field> = NOTES.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).chain(own).collect();
    let columns = notes.into_iter().chain(segment.batch.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn read(file: File, schema: &SchemaRef) -> Result<Segment, IngestError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?.build().map_err(broken)?;
    let found = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let all = arrow::compute::concat_batches(&found, &batches)?;
    let number = |column: usize| all.column(column).as_primitive::<Int64Type>();
    let (ops, moved, unset) =
        (all.column(0).as_primitive::<Int8Type>(), all.column(5).as_boolean(), all.column(6).as_binary::<i32>());
    let change = |row: usize| Change {
        op: Op::of_number(ops.value(row)),
        origin: Origin {
            mark: number(1).value(row),
            committed_at: number(2).value(row),
            ordinal: number(3).value(row),
            xid: u32::try_from(number(4).value(row)).unwrap_or_default(),
        },
        unset: unset.value(row).chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
        moved: moved.value(row),
    };
    let changes: Vec<Change> = (0..all.num_rows()).map(change).collect();
    let columns = all.columns()[NOTES.len()..].to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(changes.len()));
    Ok(Segment { batch: RecordBatch::try_new_with_options(schema.clone(), columns, &options)?, changes })
}
