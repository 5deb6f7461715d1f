//! Type names and Arrow types (thin form).

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

/// The Arrow type a declared SQL type is stored as.
pub fn arrow_type(type_name: &str) -> Option<DataType> {
    let text = type_name.trim().to_lowercase();
    let (base, args) = text.split_once('(').map_or((text.as_str(), ""), |(base, rest)| (base.trim(), rest));
    let numbers: Vec<i64> = args.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    Some(match base {
        "boolean" | "bool" => DataType::Boolean,
        "smallint" | "int2" | "tinyint" => DataType::Int16,
        "int" | "integer" | "int4" => DataType::Int32,
        "bigint" | "int8" | "long" => DataType::Int64,
        "real" | "float4" => DataType::Float32,
        "float" | "double" | "double precision" | "float8" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" | "timestamp without time zone" | "datetime" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" | "timestamp with time zone" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "interval" => DataType::Interval(IntervalUnit::MonthDayNano),
        "bytea" | "binary" => DataType::Binary,
        "numeric" | "decimal" => match numbers.as_slice() {
            [] => DataType::Decimal128(38, 10),
            [digits] => DataType::Decimal128(u8::try_from(*digits).ok()?, 0),
            [digits, scale, ..] => DataType::Decimal128(u8::try_from(*digits).ok()?, i8::try_from(*scale).ok()?),
        },
        "text" | "varchar" | "char" | "character varying" | "character" | "string" | "json" => DataType::Utf8,
        _ => return None,
    })
}

/// PostgreSQL's name of an Arrow type.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("numeric({p},{s})"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp without time zone".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Binary | DataType::BinaryView => "bytea".into(),
        DataType::List(field) => format!("{}[]", type_name(field.data_type())),
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Struct(_) | DataType::Map(_, _) => "record".into(),
        _ => "character varying".into(),
    }
}
