//! The table of current rows: of each key the last change of a window, with what the source did not send filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::IngestError;
use super::config::{Deletes, OnTruncate, Spec};
use super::piece::Piece;
use super::rows::{Change, Op};
use crate::lake::{Follower, KeyHash, KeyMap, Place, Position, Step, cast_batch, storable};

const DELETED: &str = "_deleted";
const DELETED_AT: &str = "_deleted_at";

/// So many changes are merged at once; more are done in several passes over them, each for its share of the keys. Debug builds
/// have a small bound, so that tests pass it.
const PASS_ROWS: usize = if cfg!(debug_assertions) { 20_000 } else { 1 << 20 };

/// A row of the window: piece and number.
type At = (u32, u32);

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

impl Outcome {
    /// Whether its row is one of the window's as it stands.
    fn is_plain(&self) -> bool {
        self.fills.is_empty() && self.deleted_at.is_none()
    }
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
pub async fn apply(follower: &mut Follower, spec: &Spec, pieces: Vec<Piece>, position: Position) -> Result<(), IngestError> {
    let schema = super::schema::widened(follower.schema(), &pieces)?;
    let changes: usize = pieces.iter().map(Piece::rows).sum();
    let pieces: Arc<[Piece]> = pieces.into();
    let passes = if follower.key().is_empty() { 1 } else { changes.div_ceil(PASS_ROWS).max(1) };
    let step = match merged(follower, spec, (&pieces, &schema), passes).await? {
        Some(step) => Some(step),
        // A row moved from one share of the keys to another and took values with it: all keys at once, then.
        None => merged(follower, spec, (&pieces, &schema), 1).await?,
    };
    let mut step = step.unwrap_or_default();
    step.wider = (follower.schema() != &schema).then_some(schema);
    if !step.added.is_empty() || !step.replaced.is_empty() || step.clears || step.wider.is_some() {
        follower.advance(step, position).await?;
    }
    Ok(())
}

/// What the changes come to, its rows written; `None` if one pass does not do for itself.
async fn merged(
    follower: &mut Follower,
    spec: &Spec,
    (pieces, schema): (&Arc<[Piece]>, &SchemaRef),
    passes: usize,
) -> Result<Option<Step>, IngestError> {
    let mut step = Step::default();
    for pass in 0..passes {
        let mut merge = Merge {
            follower,
            spec,
            schema: schema.clone(),
            pieces: pieces.clone(),
            share: (pass as u64, passes as u64),
            outcomes: Vec::new(),
            latest: KeyMap::default(),
            removed: None,
            clears: false,
            crosses: false,
        };
        merge.run()?;
        if merge.crosses {
            return Ok(None);
        }
        let special = merge.special_rows().await?;
        let (plain, keys) = merge.plain_rows();
        step.clears = merge.clears;
        step.keys.extend(keys);
        if merge.is_keyed() {
            let known = merge.outcomes.iter().map(|outcome| outcome.key).filter(|key| merge.follower.place(key).is_some());
            step.replaced.extend(known);
        }
        drop(merge);
        let rows = Plain { pieces: pieces.clone(), schema: schema.clone(), spec: spec.clone(), left: plain.into_iter() };
        let rows = futures::stream::iter(rows.chain(std::iter::once(Ok(special))));
        step.added.extend(follower.write(schema, rows).await?);
    }
    Ok(Some(step))
}

/// Rows that are taken as they stand, piece by piece.
struct Plain {
    pieces: Arc<[Piece]>,
    schema: SchemaRef,
    spec: Spec,
    left: std::vec::IntoIter<(u32, Vec<u32>)>,
}

impl Iterator for Plain {
    type Item = datafusion::error::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let (piece, rows) = self.left.next()?;
        Some(self.batch(piece, rows).map_err(IngestError::within))
    }
}

impl Plain {
    fn batch(&self, piece: u32, rows: Vec<u32>) -> Result<RecordBatch, IngestError> {
        let segment = self.pieces[piece as usize].load()?;
        let taken = arrow::compute::take_record_batch(&segment.batch, &UInt32Array::from(rows))?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            columns.push(match field.name().as_str() {
                DELETED if self.spec.deletes == Deletes::Soft => Arc::new(BooleanArray::from(vec![false; taken.num_rows()])),
                _ => column_as(&taken, field)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(taken.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

struct Merge<'a> {
    follower: &'a mut Follower,
    spec: &'a Spec,
    schema: SchemaRef,
    pieces: Arc<[Piece]>,
    /// Which share of the keys this pass is for, of how many.
    share: (u64, u64),
    outcomes: Vec<Outcome>,
    latest: KeyMap<usize>,
    /// The key deleted just now and what it was in this window before: a row that moves to another key takes values from it.
    removed: Option<(KeyHash, Option<Outcome>)>,
    clears: bool,
    /// A row of this share takes values from one of another.
    crosses: bool,
}

impl Merge<'_> {
    fn is_keyed(&self) -> bool {
        !self.follower.key().is_empty()
    }

    fn run(&mut self) -> Result<(), IngestError> {
        for (number, piece) in self.pieces.clone().iter().enumerate() {
            let segment = piece.load()?;
            let hashes = match self.is_keyed() {
                true => self.follower.hashes(&self.follower.key_batch(&segment.batch)?)?,
                false => Vec::new(),
            };
            let number = u32::try_from(number).expect("a window has fewer than 2^32 pieces");
            for ((row, change), index) in (0_u32..).zip(&segment.changes).zip(0..) {
                self.change((number, row), change, hashes.get(index).copied())?;
            }
        }
        Ok(())
    }

    fn change(&mut self, at: At, change: &Change, key: Option<KeyHash>) -> Result<(), IngestError> {
        if change.op == Op::Truncate {
            return self.truncate();
        }
        let Some(key) = key else { return self.append(at, change) };
        if key[0] % self.share.1 != self.share.0 {
            self.removed = None;
            return Ok(());
        }
        let before = self.latest.get(&key).map(|&index| self.outcomes[index].clone());
        if change.op == Op::Delete {
            return self.delete(at, change, (key, before));
        }
        let removed = self.removed.take().filter(|_| change.moved);
        self.crosses |= change.moved && removed.is_none() && !change.unset.is_empty() && self.share.1 > 1;
        let (from, state) = removed.unwrap_or((key, before));
        let fills = match self.crosses {
            true => Vec::new(),
            false => self.fills(&self.columns_of(at, &change.unset), from, state.as_ref())?,
        };
        self.put(Outcome { key, at, fills, is_left: true, deleted_at: None });
        Ok(())
    }

    fn delete(&mut self, at: At, change: &Change, (key, before): (KeyHash, Option<Outcome>)) -> Result<(), IngestError> {
        self.removed = Some((key, before.clone()));
        match self.spec.deletes {
            Deletes::Hard => self.put(Outcome { key, at, fills: Vec::new(), is_left: false, deleted_at: None }),
            Deletes::Ignore => {}
            Deletes::Soft => {
                let own = self.follower.key();
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

    /// A piece's columns by the table's numbers.
    fn columns_of(&self, at: At, columns: &[u16]) -> Vec<usize> {
        let layout = self.pieces[at.0 as usize].schema();
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
        let message =
            format!("a change of {} leaves values as they were, and the row it changes is not there", self.follower.name());
        Err(IngestError::new("ingest-row-missing", message).help("copy the table anew with `--resnapshot`"))
    }

    /// The rows that are taken as they stand, by piece, and the keys of all rows in the order they are written: these, then the
    /// special ones.
    fn plain_rows(&self) -> (Vec<(u32, Vec<u32>)>, Vec<KeyHash>) {
        let left = || self.outcomes.iter().filter(|outcome| outcome.is_left);
        let mut plain: Vec<&Outcome> = left().filter(|outcome| outcome.is_plain()).collect();
        plain.sort_unstable_by_key(|outcome| outcome.at);
        let mut by_piece: Vec<(u32, Vec<u32>)> = Vec::new();
        for outcome in &plain {
            match by_piece.last_mut() {
                Some((piece, rows)) if *piece == outcome.at.0 => rows.push(outcome.at.1),
                _ => by_piece.push((outcome.at.0, vec![outcome.at.1])),
            }
        }
        let special = left().filter(|outcome| !outcome.is_plain());
        (by_piece, plain.into_iter().chain(special).map(|outcome| outcome.key).collect())
    }

    /// The rows that take values from elsewhere, or are marked as deleted.
    async fn special_rows(&self) -> Result<RecordBatch, IngestError> {
        let special: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| outcome.is_left && !outcome.is_plain()).collect();
        let mut found = Found::default();
        let mut rows: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        let mut places: Vec<Place> = Vec::new();
        for outcome in &special {
            rows.entry(outcome.at.0).or_default().insert(outcome.at.1);
            for (_, fill) in &outcome.fills {
                match fill {
                    Fill::Window(at) => {
                        rows.entry(at.0).or_default().insert(at.1);
                    }
                    Fill::Table(key) => {
                        if let (Some(place), false) = (self.follower.place(key), found.by_key.contains_key(key)) {
                            found.by_key.insert(*key, places.len());
                            places.push(place);
                        }
                    }
                }
            }
        }
        found.batches.push(match places.is_empty() {
            true => RecordBatch::new_empty(self.follower.schema().clone()),
            false => self.follower.fetch(&places).await?,
        });
        for (piece, rows) in rows {
            let segment = self.pieces[piece as usize].load()?;
            let batch = found.batches.len();
            found.by_row.extend(rows.iter().enumerate().map(|(position, row)| ((piece, *row), (batch, position))));
            let rows: UInt32Array = rows.into_iter().map(Some).collect();
            found.batches.push(arrow::compute::take_record_batch(&segment.batch, &rows)?);
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (number, field) in self.schema.fields().iter().enumerate() {
            columns.push(match field.name().as_str() {
                DELETED if self.spec.deletes == Deletes::Soft => {
                    Arc::new(special.iter().map(|outcome| Some(outcome.deleted_at.is_some())).collect::<BooleanArray>())
                }
                DELETED_AT if self.spec.deletes == Deletes::Soft => {
                    let times: TimestampMicrosecondArray = special.iter().map(|outcome| outcome.deleted_at).collect();
                    Arc::new(times.with_timezone("UTC"))
                }
                _ => found.column((number, field), &special)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(special.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The rows that special ones are put together from: those of the table first, then those of the pieces.
#[derive(Default)]
struct Found {
    batches: Vec<RecordBatch>,
    by_row: BTreeMap<At, (usize, usize)>,
    by_key: KeyMap<usize>,
}

impl Found {
    fn column(&self, (number, field): (usize, &Field), special: &[&Outcome]) -> Result<ArrayRef, IngestError> {
        let arrays = self.batches.iter().map(|batch| column_as(batch, field)).collect::<Result<Vec<_>, _>>()?;
        let value = |outcome: &&Outcome| match outcome.fills.iter().find(|(column, _)| *column == number) {
            None => self.by_row[&outcome.at],
            Some((_, Fill::Window(at))) => self.by_row[at],
            Some((_, Fill::Table(key))) => (0, self.by_key[key]),
        };
        let indices: Vec<(usize, usize)> = special.iter().map(value).collect();
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
