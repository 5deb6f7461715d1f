//! A table as of one moment: `copy … to stdout` in its binary form, decoded as it comes.

use arrow::array::RecordBatch;
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;

use super::catalog::Table;
use super::decode::{Kind, append};
use super::message::Value;
use super::{SESSION, literal, quoted};
use crate::ingest::IngestError;
use crate::ingest::connector::Copied;
use crate::ingest::rows::{Change, Layout, Op, Origin, Rows};
use crate::wire::{Settings, Wire};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, flags and the length of an extension.
const HEADER_BYTES: usize = 19;
/// Rows are handed on in batches of this many or this size.
const BATCH_ROWS: usize = 16_384;
const BATCH_BYTES: usize = 4 << 20;

/// The rows of a table under the snapshot that a temporary slot exported.
pub async fn rows(settings: &Settings, snapshot: &str, table: &Table) -> Result<Copied, IngestError> {
    let mut wire = Wire::connect(settings).await?;
    wire.query(SESSION).await?;
    wire.query("begin isolation level repeatable read read only").await?;
    wire.query(&format!("set transaction snapshot {}", literal(snapshot))).await?;
    let columns = table.layout.columns.iter().zip(&table.kinds).map(|(column, kind)| match kind {
        Kind::AsText => format!("{}::text", quoted(&column.name)),
        _ => quoted(&column.name),
    });
    let columns: Vec<String> = columns.collect();
    wire.begin_copy(&format!("copy (select {} from {}) to stdout (format binary)", columns.join(", "), table.quoted())).await?;
    let copy = Copy { wire, table: table.clone(), input: BytesMut::new(), begun: false, done: false };
    Ok(futures::stream::try_unfold(copy, |mut copy| async move { Ok(copy.batch().await?.map(|batch| (batch, copy))) }).boxed())
}

struct Copy {
    wire: Wire,
    table: Table,
    input: BytesMut,
    begun: bool,
    done: bool,
}

impl Copy {
    async fn batch(&mut self) -> Result<Option<RecordBatch>, IngestError> {
        let mut rows = Rows::new(self.table.layout.clone())?;
        while !self.done && rows.changes.len() < BATCH_ROWS && rows.bytes < BATCH_BYTES {
            match self.wire.copied().await? {
                Some(piece) => self.take(&piece, &mut rows)?,
                None => self.done = true,
            }
        }
        if rows.changes.is_empty() {
            return Ok(None);
        }
        Ok(Some(rows.take()?.batch))
    }

    fn take(&mut self, piece: &Bytes, rows: &mut Rows) -> Result<(), IngestError> {
        self.input.extend_from_slice(piece);
        if !self.begun {
            if self.input.len() < HEADER_BYTES {
                return Ok(());
            }
            if !self.input.starts_with(SIGNATURE) {
                return Err(IngestError::new("ingest-protocol", "the copy is in a form that cannot be read"));
            }
            self.input.advance(HEADER_BYTES);
            self.begun = true;
        }
        while let Some(length) = self.row(rows)? {
            self.input.advance(length);
        }
        Ok(())
    }

    /// Appends the row at the front of the input and gives its length; none if it is not whole yet.
    fn row(&self, rows: &mut Rows) -> Result<Option<usize>, IngestError> {
        let Some(values) = tuple(&self.input) else { return Ok(None) };
        let Some((values, length)) = values else { return Ok(None) };
        if values.len() != self.table.kinds.len() {
            return Err(IngestError::new("ingest-protocol", "a copied row has another number of columns"));
        }
        for (number, value) in values.into_iter().enumerate() {
            let size = append(&mut rows.columns[number], &self.table.kinds[number], value);
            rows.bytes += size.ok_or_else(|| cannot_keep(&self.table, &self.table.layout, number))?;
        }
        rows.changes.push(Change { op: Op::Read, origin: Origin::default(), unset: Box::default(), moved: false });
        Ok(Some(length))
    }
}

/// A value that its column cannot hold as it is; the value itself is not told.
pub fn cannot_keep(table: &Table, layout: &Layout, column: usize) -> IngestError {
    let column = &layout.columns[column];
    let message = format!(
        "{}: a value of the column \"{}\" cannot be kept exactly as {} (infinity, NaN, or beyond what that type holds)",
        table.quoted(),
        column.name,
        column.data_type
    );
    IngestError::new("ingest-value-lost", message).help(format!(
        "keep the column as text: `types: {{{}: text}}` in the table's `ingest` block, then `headwater ingest --resnapshot`",
        column.name
    ))
}

/// The values of the row at the front and its length; the end of the copy has none. `None`: more bytes are needed.
fn tuple(bytes: &[u8]) -> Option<Option<(Vec<Value<'_>>, usize)>> {
    let count = i16::from_be_bytes(*bytes.first_chunk::<2>()?);
    let Ok(count) = usize::try_from(count) else { return Some(None) };
    let mut values = Vec::with_capacity(count);
    let mut at = 2;
    for _ in 0..count {
        let length = i32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?);
        at += 4;
        match usize::try_from(length) {
            Err(_) => values.push(Value::Null),
            Ok(length) => {
                values.push(Value::Binary(bytes.get(at..at + length)?));
                at += length;
            }
        }
    }
    Some(Some((values, at)))
}
