//! The log of changes: every change as a row, in the source's order.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::IngestError;
use super::piece::Piece;
use super::rows::{Change, Op, Origin};
use crate::lake::{Follower, Position, Step, cast_batch, storable};

const OP: &str = "_op";
const POSITION: &str = "_position";
const TS: &str = "_ts";
const UNSET: &str = "_unset";

/// The columns of a log of changes: what happened, then the row.
pub fn schema_for(columns: &Schema) -> Result<SchemaRef, IngestError> {
    let item = Arc::new(Field::new("element", DataType::Utf8, true));
    let mut fields = vec![
        Field::new(OP, DataType::Utf8, true),
        Field::new(POSITION, DataType::Utf8, true),
        Field::new(TS, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new(UNSET, DataType::List(item), true),
    ];
    fields.extend(columns.fields().iter().map(|field| field.as_ref().clone()));
    Ok(storable(&Schema::new(fields))?)
}

/// A place in the source's order that sorts as text.
fn position_text(origin: &Origin) -> String {
    format!("{:016X}.{:010}", origin.mark, origin.ordinal)
}

/// Copied rows as changes.
pub fn copied(batch: &RecordBatch, schema: &SchemaRef, first: i64, mark: i64, now: i64) -> Result<RecordBatch, IngestError> {
    let change = |row: usize| Change {
        op: Op::Read,
        origin: Origin { mark, committed_at: now, ordinal: first + i64::try_from(row).unwrap_or(i64::MAX), xid: 0 },
        unset: Box::default(),
        moved: false,
    };
    let changes: Vec<Change> = (0..batch.num_rows()).map(change).collect();
    with_changes(batch, &changes, schema)
}

fn with_changes(batch: &RecordBatch, changes: &[Change], schema: &SchemaRef) -> Result<RecordBatch, IngestError> {
    let times: TimestampMicrosecondArray = changes.iter().map(|change| Some(change.origin.committed_at)).collect();
    let mut unset = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    for change in changes {
        for column in &change.unset {
            unset.values().append_value(batch.schema_ref().field(usize::from(*column)).name());
        }
        unset.append(!change.unset.is_empty());
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(changes.iter().map(|change| Some(change.op.letter())).collect::<StringArray>()),
        Arc::new(changes.iter().map(|change| Some(position_text(&change.origin))).collect::<StringArray>()),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(unset.finish()),
    ];
    for field in schema.fields().iter().skip(columns.len()) {
        columns.push(match batch.schema_ref().index_of(field.name()) {
            Ok(index) => batch.column(index).clone(),
            Err(_) => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
        });
    }
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    Ok(cast_batch(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?, schema)?)
}

/// Appends a window's changes, in one commit.
pub async fn apply(follower: &mut Follower, pieces: Vec<Piece>, position: Position) -> Result<(), IngestError> {
    let schema = super::schema::widened(follower.schema(), &pieces)?;
    let wider = (follower.schema() != &schema).then(|| schema.clone());
    let wanted = schema.clone();
    let rows = pieces.into_iter().map(move |piece| {
        let segment = piece.load().map_err(IngestError::within)?;
        with_changes(&segment.batch, &segment.changes, &wanted).map_err(IngestError::within)
    });
    let added = follower.write(&schema, futures::stream::iter(rows)).await?;
    if !added.is_empty() || wider.is_some() {
        follower.advance(Step { added, wider, ..Step::default() }, position).await?;
    }
    Ok(())
}
