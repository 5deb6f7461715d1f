//! Which column types a Delta table holds, and the nearest one for those it does not.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};

use super::{LakeError, LakeResult};

/// Digits that Delta's decimals have at most.
const MOST_DIGITS: u8 = 38;

/// The schema a table for these columns has: Delta's types, everything nullable, names unique.
pub fn storable(schema: &Schema) -> LakeResult<SchemaRef> {
    let mut seen = std::collections::HashMap::new();
    for field in schema.fields() {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            let message = if other == field.name() {
                format!("column \"{other}\" appears more than once")
            } else {
                format!("columns \"{other}\" and \"{}\" differ only in case, which a Delta table cannot hold", field.name())
            };
            return Err(LakeError::new("column-duplicate", message).help("give each column its own name with `as`"));
        }
    }
    if schema.fields().is_empty() {
        return Err(LakeError::new("columns-missing", "a table needs at least one column"));
    }
    let fields: Fields = schema.fields().iter().map(|field| storable_field(field)).collect::<LakeResult<_>>()?;
    // Through Delta's own types and back, so that names inside lists and maps are the ones its readers give.
    let kernel: StructType = (&Schema::new(fields)).try_into_kernel()?;
    let arrow: Schema = (&kernel).try_into_arrow()?;
    Ok(Arc::new(arrow))
}

fn storable_field(field: &Field) -> LakeResult<Arc<Field>> {
    let data_type = storable_type(field.data_type()).ok_or_else(|| {
        LakeError::new("type-unsupported", format!("column \"{}\": a table cannot hold {}", field.name(), field.data_type()))
    })?;
    Ok(Arc::new(Field::new(field.name(), data_type, true)))
}

/// The nearest type that Delta holds; `None` where there is none.
fn storable_type(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Date32 => data_type.clone(),
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        // row_number() and its like are UInt64 in the engine and bigint to people.
        T::UInt32 | T::UInt64 => T::Int64,
        T::Float16 => T::Float32,
        T::Null | T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Time32(_) | T::Time64(_) | T::Interval(_) | T::Duration(_) => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Date64 => T::Date32,
        T::Timestamp(_, None) => T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(_, Some(_)) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Decimal32(digits, scale)
        | T::Decimal64(digits, scale)
        | T::Decimal128(digits, scale)
        | T::Decimal256(digits, scale) => storable_decimal(*digits, *scale),
        T::Dictionary(_, values) => storable_type(values)?,
        T::RunEndEncoded(_, values) => storable_type(values.data_type())?,
        T::List(item) | T::LargeList(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
            T::List(Arc::new(Field::new("element", storable_type(item.data_type())?, true)))
        }
        T::Struct(fields) => T::Struct(fields.iter().map(|field| storable_field(field).ok()).collect::<Option<Fields>>()?),
        T::Map(entries, sorted) => T::Map(storable_entries(entries)?, *sorted),
        T::Union(..) => return None,
    })
}

fn storable_decimal(digits: u8, scale: i8) -> DataType {
    let digits = if scale < 0 { digits.saturating_add(scale.unsigned_abs()) } else { digits };
    let digits = digits.min(MOST_DIGITS);
    DataType::Decimal128(digits, scale.clamp(0, i8::try_from(digits).unwrap_or(i8::MAX)))
}

fn storable_entries(entries: &Field) -> Option<Arc<Field>> {
    let DataType::Struct(pair) = entries.data_type() else { return None };
    let [key, value] = pair.iter().as_slice() else { return None };
    let key = Field::new("key", storable_type(key.data_type())?, false);
    let value = Field::new("value", storable_type(value.data_type())?, true);
    Some(Arc::new(Field::new("key_value", DataType::Struct(vec![key, value].into()), false)))
}

/// Whether a column holds timestamps without a zone, at any depth.
pub fn has_local_timestamps(schema: &Schema) -> bool {
    fn within(data_type: &DataType) -> bool {
        match data_type {
            DataType::Timestamp(_, None) => true,
            DataType::List(item) => within(item.data_type()),
            DataType::Struct(fields) => fields.iter().any(|field| within(field.data_type())),
            DataType::Map(entries, _) => within(entries.data_type()),
            _ => false,
        }
    }
    schema.fields().iter().any(|field| within(field.data_type()))
}

/// A batch's columns, by position, in the types of `schema`; a value that does not fit is an error, never null.
pub fn cast_batch(batch: &RecordBatch, schema: &SchemaRef) -> LakeResult<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast_with_options(column, field.data_type(), &options)
                .map_err(|error| LakeError::from(error).context(&format!("column \"{}\"", field.name())))
        })
        .collect::<LakeResult<Vec<_>>>()?;
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
    )?)
}
