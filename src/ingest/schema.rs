//! Columns that come and change while a table is followed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::IngestError;
use super::piece::Piece;
use crate::lake::storable;

/// The table's columns and those that a window's rows have beyond them. A column that the source dropped stays.
///
/// # Errors
/// `ingest-schema`: a column has a type now whose values the table cannot hold.
pub fn widened(current: &SchemaRef, pieces: &[Piece]) -> Result<SchemaRef, IngestError> {
    let mut fields: Vec<Arc<Field>> = current.fields().iter().cloned().collect();
    for field in pieces.iter().flat_map(|piece| piece.schema().fields()) {
        match fields.iter().find(|known| known.name().eq_ignore_ascii_case(field.name())) {
            None => fields.push(field.clone()),
            Some(known) if holds(known.data_type(), field.data_type()) => {}
            Some(known) => {
                let message = format!(
                    "the column \"{}\" is {} in the table and {} in the source now",
                    field.name(),
                    known.data_type(),
                    field.data_type()
                );
                return Err(IngestError::new("ingest-schema", message)
                    .help("copy the table anew in its new columns with `headwater ingest --resnapshot`"));
            }
        }
    }
    if fields.len() == current.fields().len() {
        return Ok(current.clone());
    }
    Ok(storable(&Schema::new(fields))?)
}

/// Whether every value of one type is one of the other.
fn holds(table: &DataType, source: &DataType) -> bool {
    use DataType as T;
    match (table, source) {
        (table, source) if table == source => true,
        (T::Int32, T::Int16) | (T::Int64, T::Int16 | T::Int32) | (T::Float64, T::Float32) => true,
        (T::Decimal128(digits, scale), T::Decimal128(fewer, less)) => {
            scale >= less && i16::from(*digits) - i16::from(*scale) >= i16::from(*fewer) - i16::from(*less)
        }
        _ => false,
    }
}
