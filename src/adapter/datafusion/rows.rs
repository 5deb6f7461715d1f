//! Arrow batches to [`Rows`]: decimals, dates and timestamps as exact text.

use arrow::array::{Array, AsArray, RecordBatch, TimestampMicrosecondArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Timelike};

use crate::rows::{Cell, ColumnType, Rows};
use crate::sql::{spelt, type_name};

/// A schema's columns by the names and types people see.
pub fn column_types(schema: &Schema) -> Vec<ColumnType> {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| ColumnType {
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
    };
    schema.fields().iter().map(column).collect()
}

/// Batches as rows of cells.
pub fn rows(schema: &Schema, batches: &[RecordBatch]) -> Result<Rows, ArrowError> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for batch in batches {
        let first = rows.len();
        rows.resize_with(first + batch.num_rows(), || Vec::with_capacity(batch.num_columns()));
        for column in batch.columns() {
            let cells = cells(column.as_ref())?;
            rows[first..].iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
        }
    }
    Ok(Rows { columns: column_types(schema), rows, rows_affected: None })
}

fn cells(column: &dyn Array) -> Result<Vec<Cell>, ArrowError> {
    use DataType as T;
    let of = |convert: &dyn Fn(usize) -> Result<Cell, ArrowError>| {
        (0..column.len()).map(|row| if column.is_null(row) { Ok(Cell::Null) } else { convert(row) }).collect()
    };
    match column.data_type() {
        T::Null => Ok(vec![Cell::Null; column.len()]),
        T::Boolean => of(&|row| Ok(Cell::Boolean(column.as_boolean().value(row)))),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => {
            let wide = cast(column, &T::Int64)?;
            of(&|row| Ok(Cell::Integer(wide.as_primitive::<Int64Type>().value(row))))
        }
        T::UInt64 => {
            let values = column.as_primitive::<arrow::datatypes::UInt64Type>();
            of(&|row| {
                Ok(i64::try_from(values.value(row)).map_or_else(|_| Cell::Decimal(values.value(row).to_string()), Cell::Integer))
            })
        }
        T::Float16 | T::Float64 => {
            let wide = cast(column, &T::Float64)?;
            of(&|row| Ok(Cell::Float(wide.as_primitive::<Float64Type>().value(row))))
        }
        // By its shortest text, so that 0.1 stays 0.1.
        T::Float32 => of(&|row| {
            let value = column.as_primitive::<Float32Type>().value(row);
            Ok(Cell::Float(value.to_string().parse().unwrap_or_else(|_| f64::from(value))))
        }),
        T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => {
            of(&|row| Ok(Cell::Decimal(array_value_to_string(column, row)?)))
        }
        T::Date32 | T::Date64 => {
            let days = cast(column, &T::Date32)?;
            of(&|row| Ok(Cell::Date(array_value_to_string(&days, row)?)))
        }
        T::Timestamp(_, zone) => {
            let micros = cast(column, &T::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            of(&|row| Ok(Cell::Timestamp(timestamp(micros, row, zone.is_some()))))
        }
        T::Dictionary(_, values) => cells(cast(column, values)?.as_ref()),
        _ => {
            let spelt = spelt(&make_array(column.to_data())).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
            of(&|row| Ok(Cell::Text(spelt.value(row).to_string())))
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]`, and `+00:00` for instants.
fn timestamp(micros: &TimestampMicrosecondArray, row: usize, zoned: bool) -> String {
    let Some(at) = DateTime::from_timestamp_micros(micros.value(row)) else { return micros.value(row).to_string() };
    let format = if at.nanosecond() == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
    let text = at.naive_utc().format(format).to_string();
    if zoned { format!("{text}+00:00") } else { text }
}
