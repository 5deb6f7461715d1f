//! The table of current rows: of each key the last change of a window, with what the source did not send filled in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::IngestError;
use super::config::{Deletes, OnTruncate, Spec};
use super::rows::{Change, Op, Segment};
use crate::lake::{Follower, KeyHash, KeyMap, Place, Position, Step, cast_batch, storable};

const DELETED: &str = "_deleted";
const DELETED_AT: &str = "_deleted_at";

/// A row of the window: segment and number.
type At = (usize, usize);

/// Where a value comes from that the last change of a row did not bring.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Window(At),
    /// What the table holds under this key.
    Table(KeyHash),
}

/// What becomes of one key.
#[derive(Clone, Debug)]
struct Outcome {
    key: KeyHash,
    at: At,
    /// By the table's columns.
    fills: Vec<(usize, Fill)>,
    is_left: bool,
    deleted_at: Option<i64>,
}

/// The columns of a table of current rows.
pub fn schema_for(columns: &Schema, spec: &Spec) -> Result<SchemaRef, IngestError> {
    let mut fields: Vec<Field> = columns.fields().iter().map(|field| field.as_ref().clone()).collect();
    if spec.deletes == Deletes::Soft {
        fields.push(Field::new(DELETED, DataType::Boolean, true));
        fields.push(Field::new(DELETED_AT, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true));
    }
    Ok(storable(&Schema::new(fields))?)
}

/// Copied rows in the table's columns.
pub fn copied(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, IngestError> {
    let mut columns = batch.columns().to_vec();
    for field in &schema.fields()[columns.len()..] {
        columns.push(match field.name().as_str() {
            DELETED => Arc::new(BooleanArray::from(vec![false; batch.num_rows()])),
            _ => new_null_array(field.data_type(), batch.num_rows()),
        });
    }
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// Brings a window's changes into the table, in one commit.
pub async fn apply(
    follower: &mut Follower,
    spec: &Spec,
    segments: &[Segment],
    position: Position,
) -> Result<(), IngestError> {
    let schema = super::schema::widened(follower.schema(), segments)?;
    let mut merge = Merge {
        follower,
        spec,
        schema: schema.clone(),
        segments,
        hashes: Vec::new(),
        outcomes: Vec::new(),
        latest: KeyMap::default(),
        removed: None,
        clears: false,
    };
    merge.run()?;
    let rows = merge.rows().await?;
    let keys: Vec<KeyHash> = merge.outcomes.iter().filter(|outcome| outcome.is_left).map(|outcome| outcome.key).collect();
    let keyed = merge.is_keyed();
    let replaced = if keyed { merge.outcomes.iter().map(|outcome| outcome.key).collect() } else { Vec::new() };
    let clears = merge.clears;
    let added = match rows.num_rows() {
        0 => Vec::new(),
        _ => follower.write(&schema, futures::stream::iter([Ok(rows)])).await?,
    };
    let wider = (follower.schema() != &schema).then_some(schema);
    if added.is_empty() && replaced.is_empty() && !clears && wider.is_none() {
        return Ok(());
    }
    follower.advance(Step { added, keys, replaced, clears, wider }, position).await?;
    Ok(())
}

struct Merge<'a> {
    follower: &'a mut Follower,
    spec: &'a Spec,
    schema: SchemaRef,
    segments: &'a [Segment],
    /// By segment and row.
    hashes: Vec<Vec<KeyHash>>,
    outcomes: Vec<Outcome>,
    latest: KeyMap<usize>,
    /// The key deleted just now and what it was in this window before: a row that moves to another key takes values from it.
    removed: Option<(KeyHash, Option<Outcome>)>,
    clears: bool,
}

impl Merge<'_> {
    fn is_keyed(&self) -> bool {
        !self.follower.key().is_empty()
    }

    fn run(&mut self) -> Result<(), IngestError> {
        for (number, segment) in self.segments.iter().enumerate() {
            if self.is_keyed() {
                let key = self.follower.key_batch(&segment.batch)?;
                self.hashes.push(self.follower.hashes(&key)?);
            }
            for (row, change) in segment.changes.iter().enumerate() {
                self.change((number, row), change)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, at: At, change: &Change) -> Result<(), IngestError> {
        if change.op == Op::Truncate {
            return self.truncate();
        }
        if !self.is_keyed() {
            return self.append(at, change);
        }
        let key = self.hashes[at.0][at.1];
        let before = self.latest.get(&key).map(|&index| self.outcomes[index].clone());
        if change.op != Op::Delete {
            let (from, state) = match self.removed.take().filter(|_| change.moved) {
                Some(removed) => removed,
                None => (key, before),
            };
            let fills = self.fills(&self.columns_of(at, &change.unset), from, state.as_ref())?;
            self.put(Outcome { key, at, fills, is_left: true, deleted_at: None });
            return Ok(());
        }
        self.removed = Some((key, before.clone()));
        match self.spec.deletes {
            Deletes::Hard => self.put(Outcome { key, at, fills: Vec::new(), is_left: false, deleted_at: None }),
            Deletes::Ignore => {}
            Deletes::Soft => {
                let own = self.follower.key().to_vec();
                let others: Vec<usize> = (0..self.schema.fields().len())
                    .filter(|&column| !own.contains(self.schema.field(column).name()))
                    .filter(|&column| !is_soft_column(self.schema.field(column).name()))
                    .collect();
                let is_known = before.is_some() || (!self.clears && self.follower.place(&key).is_some());
                let fills = if is_known { self.fills(&others, key, before.as_ref())? } else { Vec::new() };
                self.put(Outcome { key, at, fills, is_left: true, deleted_at: Some(change.origin.committed_at) });
            }
        }
        Ok(())
    }

    fn truncate(&mut self) -> Result<(), IngestError> {
        match self.spec.on_truncate {
            OnTruncate::Ignore => {}
            OnTruncate::Apply => {
                self.clears = true;
                self.outcomes.clear();
                self.latest.clear();
                self.removed = None;
            }
            OnTruncate::Fail => {
                let message = format!("the source truncated the table that {} follows", self.follower.name());
                return Err(IngestError::new("ingest-truncate", message)
                    .help("`on_truncate: fail` stops here; `apply` empties the table, `ignore` keeps its rows"));
            }
        }
        Ok(())
    }

    fn append(&mut self, at: At, change: &Change) -> Result<(), IngestError> {
        if !matches!(change.op, Op::Create | Op::Read) {
            let message = format!("a row of {} was changed, and nothing tells its rows apart", self.follower.name());
            return Err(IngestError::new("ingest-key-missing", message)
                .help("give the table a primary key, or name unique columns with `key: [...]` in its `ingest` block"));
        }
        self.outcomes.push(Outcome { key: [0, 0], at, fills: Vec::new(), is_left: true, deleted_at: None });
        Ok(())
    }

    fn put(&mut self, outcome: Outcome) {
        match self.latest.get(&outcome.key) {
            Some(&index) => self.outcomes[index] = outcome,
            None => {
                self.latest.insert(outcome.key, self.outcomes.len());
                self.outcomes.push(outcome);
            }
        }
    }

    /// A segment's columns by the table's numbers.
    fn columns_of(&self, at: At, columns: &[u16]) -> Vec<usize> {
        let layout = self.segments[at.0].batch.schema_ref();
        columns.iter().filter_map(|&column| self.schema.index_of(layout.field(usize::from(column)).name()).ok()).collect()
    }

    fn fills(&self, columns: &[usize], key: KeyHash, before: Option<&Outcome>) -> Result<Vec<(usize, Fill)>, IngestError> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(before) = before.filter(|before| before.is_left) {
            let earlier = |column: usize| before.fills.iter().find(|(known, _)| *known == column).map(|(_, fill)| *fill);
            return Ok(columns.iter().map(|&column| (column, earlier(column).unwrap_or(Fill::Window(before.at)))).collect());
        }
        if before.is_none() && !self.clears && self.follower.place(&key).is_some() {
            return Ok(columns.iter().map(|&column| (column, Fill::Table(key))).collect());
        }
        let message = format!("a change of {} leaves values as they were, and the row it changes is not there", self.follower.name());
        Err(IngestError::new("ingest-row-missing", message).help("copy the table anew with `--resnapshot`"))
    }

    /// The rows that come into the table.
    async fn rows(&self) -> Result<RecordBatch, IngestError> {
        let left: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| outcome.is_left).collect();
        let mut wanted: KeyMap<usize> = KeyMap::default();
        let mut places: Vec<Place> = Vec::new();
        for (_, fill) in left.iter().flat_map(|outcome| &outcome.fills) {
            if let Fill::Table(key) = fill
                && let Some(place) = self.follower.place(key)
                && !wanted.contains_key(key)
            {
                wanted.insert(*key, places.len());
                places.push(place);
            }
        }
        let old = if places.is_empty() { None } else { Some(self.follower.fetch(&places).await?) };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (number, field) in self.schema.fields().iter().enumerate() {
            columns.push(match field.name().as_str() {
                DELETED if self.spec.deletes == Deletes::Soft => {
                    Arc::new(left.iter().map(|outcome| Some(outcome.deleted_at.is_some())).collect::<BooleanArray>())
                }
                DELETED_AT if self.spec.deletes == Deletes::Soft => {
                    let times: TimestampMicrosecondArray = left.iter().map(|outcome| outcome.deleted_at).collect();
                    Arc::new(times.with_timezone("UTC"))
                }
                _ => self.column(number, &left, (old.as_ref(), &wanted))?,
            });
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(left.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    fn column(
        &self,
        number: usize,
        left: &[&Outcome],
        (old, wanted): (Option<&RecordBatch>, &KeyMap<usize>),
    ) -> Result<ArrayRef, IngestError> {
        let field = self.schema.field(number);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.segments.len() + 1);
        for segment in self.segments {
            arrays.push(column_as(&segment.batch, field)?);
        }
        arrays.push(match old {
            Some(old) => column_as(old, field)?,
            None => new_null_array(field.data_type(), 0),
        });
        let value = |outcome: &&Outcome| match outcome.fills.iter().find(|(column, _)| *column == number) {
            None => outcome.at,
            Some((_, Fill::Window(at))) => *at,
            Some((_, Fill::Table(key))) => (self.segments.len(), wanted[key]),
        };
        let indices: Vec<At> = left.iter().map(value).collect();
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&arrays, &indices)?)
    }
}

fn is_soft_column(name: &str) -> bool {
    matches!(name, DELETED | DELETED_AT)
}

/// A column in the table's type; null where the rows have none.
fn column_as(batch: &RecordBatch, field: &Field) -> Result<ArrayRef, IngestError> {
    match batch.schema_ref().index_of(field.name()) {
        Err(_) => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Ok(index) if batch.column(index).data_type() == field.data_type() => Ok(batch.column(index).clone()),
        Ok(index) => {
            let one = batch.project(&[index])?;
            Ok(cast_batch(&one, &Arc::new(Schema::new(vec![field.clone()])))?.column(0).clone())
        }
    }
}
