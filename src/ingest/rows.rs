//! Changed rows on their way from a source to a table: columns in Arrow's builders, and beside each row what happened to it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::IngestError;

/// What happened to a row, by Debezium's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read by the snapshot.
    Read,
    Create,
    Update,
    Delete,
    /// All rows went; the row itself is empty.
    Truncate,
}

impl Op {
    pub fn letter(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Truncate => "t",
        }
    }

    pub fn number(self) -> i8 {
        match self {
            Self::Read => 0,
            Self::Create => 1,
            Self::Update => 2,
            Self::Delete => 3,
            Self::Truncate => 4,
        }
    }

    pub fn of_number(number: i8) -> Self {
        match number {
            0 => Self::Read,
            1 => Self::Create,
            2 => Self::Update,
            3 => Self::Delete,
            _ => Self::Truncate,
        }
    }
}

/// A column of a source's table, in the type it has in the lake.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
}

/// What a source's rows look like at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub columns: Vec<Column>,
    pub schema: SchemaRef,
}

impl Layout {
    pub fn new(columns: Vec<Column>) -> Arc<Self> {
        let fields: Vec<Field> = columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect();
        Arc::new(Self { columns, schema: Arc::new(Schema::new(fields)) })
    }
}

/// One column that grows value by value.
pub enum Builder {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
}

impl Builder {
    /// # Errors
    /// A type that no source gives.
    pub fn new(data_type: &DataType) -> Result<Self, IngestError> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::new().with_data_type(data_type.clone())),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            other => return Err(IngestError::new("ingest-type", format!("no source gives values of the type {other}"))),
        })
    }

    pub fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Binary(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Which transaction a row belongs to and where in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Origin {
    /// The source's counter at the transaction's end; of an open one not known yet.
    pub mark: i64,
    /// Microseconds since 1970 at which the source committed.
    pub committed_at: i64,
    /// The row's number in its transaction.
    pub ordinal: i64,
    /// The (sub)transaction's number, by which an open one may be undone in part.
    pub xid: u32,
}

/// Beside the values of one row: what happened, and what the source did not send.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub op: Op,
    pub origin: Origin,
    /// Columns, by their number, whose value is what it was before.
    pub unset: Box<[u16]>,
    /// The row had another key before: the change in front of this one deletes it.
    pub moved: bool,
}

/// Rows of one table and one layout, being collected.
pub struct Rows {
    pub layout: Arc<Layout>,
    pub columns: Vec<Builder>,
    pub changes: Vec<Change>,
    /// About how much memory the rows take.
    pub bytes: usize,
}

impl Rows {
    pub fn new(layout: Arc<Layout>) -> Result<Self, IngestError> {
        let columns = layout.columns.iter().map(|column| Builder::new(&column.data_type)).collect::<Result<_, _>>()?;
        Ok(Self { layout, columns, changes: Vec::new(), bytes: 0 })
    }

    /// What is collected; nothing is left.
    pub fn take(&mut self) -> Result<Segment, IngestError> {
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(Builder::finish).collect();
        let changes = std::mem::take(&mut self.changes);
        self.bytes = 0;
        let options = RecordBatchOptions::new().with_row_count(Some(changes.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.layout.schema), columns, &options)?;
        Ok(Segment { batch, changes })
    }
}

/// Changed rows of one table, in the order they happened.
#[derive(Debug)]
pub struct Segment {
    pub batch: RecordBatch,
    pub changes: Vec<Change>,
}

impl Segment {
    pub fn bytes(&self) -> usize {
        self.batch.get_array_memory_size() + self.changes.len() * size_of::<Change>()
    }
}
