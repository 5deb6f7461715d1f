//! Type names: what PostgreSQL, Redshift, Snowflake, DuckDB, Hive and BigQuery call a column's type, and the Arrow type it is
//! here.
//!
//! Lengths (`varchar(20)`) are not part of an Arrow type; an explicit cast to one still cuts the text, as in PostgreSQL.
//! Timestamps are in microseconds, as PostgreSQL and Delta hold them; `timestamptz` is kept in UTC.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, TimezoneInfo};
use sqlparser::parser::Parser;

use super::dialect::WarehouseDialect;

/// `numeric` without digits: PostgreSQL's is unbounded, ours keeps ten digits after the point.
pub(super) const UNBOUNDED_NUMERIC: DataType = DataType::Decimal128(38, 10);
pub(super) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

pub(super) fn timestamp_tz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type a declared SQL type is stored as; `None` if the name is no type we know.
pub fn arrow_type(type_name: &str) -> Option<DataType> {
    let dialect = WarehouseDialect;
    let mut parser = Parser::new(&dialect).try_with_sql(type_name.trim()).ok()?;
    let sql_type = parser.parse_data_type().ok()?;
    if parser.peek_token_ref().token != sqlparser::tokenizer::Token::EOF {
        return None;
    }
    arrow_of(&sql_type)
}

/// PostgreSQL's name of an Arrow type, as `information_schema` spells it.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "numeric(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            format!("numeric({p},{s})")
        }
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone".into(),
        DataType::Timestamp(_, None) => "timestamp without time zone".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea".into(),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            format!("{}[]", type_name(field.data_type()))
        }
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => "record".into(),
        _ => "character varying".into(),
    }
}

/// How many characters a cast to this type keeps: `varchar(20)` 20, `char` 1; `None` for types without a length.
pub(super) fn text_length(sql_type: &SqlType) -> Option<u64> {
    use sqlparser::ast::CharacterLength;
    let (length, default) = match sql_type {
        SqlType::Char(n) | SqlType::Character(n) => (n, Some(1)),
        SqlType::Varchar(n) | SqlType::CharacterVarying(n) | SqlType::CharVarying(n) | SqlType::Nvarchar(n) => (n, None),
        SqlType::Custom(name, args) if matches!(custom(name).as_str(), "bpchar" | "nchar" | "varchar2" | "nvarchar2") => {
            return args.first().and_then(|n| n.parse().ok());
        }
        SqlType::String(n) => return *n,
        _ => return None,
    };
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
        Some(CharacterLength::Max) => None,
        None => default,
    }
}

pub(super) fn is_text(sql_type: &SqlType) -> bool {
    arrow_of(sql_type) == Some(DataType::Utf8)
}

/// The Arrow type of a parsed SQL type.
pub(super) fn arrow_of(sql_type: &SqlType) -> Option<DataType> {
    if let Some(number) = number_type(sql_type) {
        return Some(number);
    }
    Some(match sql_type {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::Date | SqlType::Date32 => DataType::Date32,
        SqlType::Timestamp(_, zone) => match zone {
            TimezoneInfo::Tz | TimezoneInfo::WithTimeZone => timestamp_tz(),
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => TIMESTAMP,
        },
        SqlType::TimestampNtz(_) | SqlType::Datetime(_) | SqlType::Datetime64(_, _) => TIMESTAMP,
        SqlType::Time(_, _) => DataType::Time64(TimeUnit::Microsecond),
        SqlType::Interval { .. } => DataType::Interval(IntervalUnit::MonthDayNano),
        SqlType::Bytea | SqlType::Binary(_) | SqlType::Varbinary(_) | SqlType::Blob(_) | SqlType::Bytes(_) => DataType::Binary,
        SqlType::JSON | SqlType::JSONB | SqlType::Uuid | SqlType::Regclass => DataType::Utf8,
        SqlType::Char(_) | SqlType::Character(_) | SqlType::Varchar(_) | SqlType::CharacterVarying(_) => DataType::Utf8,
        SqlType::CharVarying(_) | SqlType::Nvarchar(_) | SqlType::Text | SqlType::String(_) => DataType::Utf8,
        SqlType::TinyText | SqlType::MediumText | SqlType::LongText | SqlType::Clob(_) => DataType::Utf8,
        SqlType::CharacterLargeObject(_) | SqlType::CharLargeObject(_) | SqlType::FixedString(_) => DataType::Utf8,
        SqlType::Array(element) => array_type(element)?,
        SqlType::Custom(name, args) => custom_type(&custom(name), args)?,
        _ => return None,
    })
}

fn number_type(sql_type: &SqlType) -> Option<DataType> {
    Some(match sql_type {
        SqlType::TinyInt(_) | SqlType::SmallInt(_) | SqlType::Int2(_) | SqlType::Int16 => DataType::Int16,
        SqlType::UTinyInt | SqlType::TinyIntUnsigned(_) => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) | SqlType::Int32 | SqlType::MediumInt(_) => DataType::Int32,
        SqlType::USmallInt | SqlType::SmallIntUnsigned(_) => DataType::Int32,
        SqlType::BigInt(_) | SqlType::Int8(_) | SqlType::Int64 | SqlType::IntUnsigned(_) => DataType::Int64,
        SqlType::HugeInt | SqlType::UHugeInt | SqlType::UBigInt | SqlType::BigIntUnsigned(_) | SqlType::Int128 => {
            DataType::Decimal128(38, 0)
        }
        SqlType::Real | SqlType::Float4 | SqlType::Float32 => DataType::Float32,
        SqlType::Float(ExactNumberInfo::Precision(bits)) if *bits <= 24 => DataType::Float32,
        SqlType::Float(_) | SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float8 | SqlType::Float64 => {
            DataType::Float64
        }
        SqlType::Numeric(digits) | SqlType::Decimal(digits) | SqlType::Dec(digits) => decimal(digits)?,
        SqlType::BigNumeric(digits) | SqlType::BigDecimal(digits) => decimal(digits)?,
        _ => return None,
    })
}

fn decimal(digits: &ExactNumberInfo) -> Option<DataType> {
    match *digits {
        ExactNumberInfo::None => Some(UNBOUNDED_NUMERIC),
        ExactNumberInfo::Precision(precision) => decimal_of(precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => decimal_of(precision, scale),
    }
}

fn decimal_of(precision: u64, scale: i64) -> Option<DataType> {
    let scale = i8::try_from(scale).ok()?;
    match u8::try_from(precision).ok()? {
        0 => None,
        precision if i64::from(scale) > i64::from(precision) => None,
        precision @ 1..=38 => Some(DataType::Decimal128(precision, scale)),
        precision @ 39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

fn array_type(element: &ArrayElemTypeDef) -> Option<DataType> {
    let element = match element {
        ArrayElemTypeDef::None => DataType::Utf8,
        ArrayElemTypeDef::AngleBracket(inner)
        | ArrayElemTypeDef::SquareBracket(inner, _)
        | ArrayElemTypeDef::Parenthesis(inner) => arrow_of(inner)?,
    };
    Some(DataType::List(Arc::new(Field::new_list_field(element, true))))
}

fn custom(name: &sqlparser::ast::ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

/// Names that the PostgreSQL grammar reads as a type of the user's.
fn custom_type(name: &str, args: &[String]) -> Option<DataType> {
    Some(match name {
        "number" => match (args.first().and_then(|p| p.parse().ok()), args.get(1).and_then(|s| s.parse().ok())) {
            (None, _) => DataType::Decimal128(38, 0),
            (Some(precision), scale) => decimal_of(precision, scale.unwrap_or(0))?,
        },
        "timestamp_ntz" | "timestampntz" | "smalldatetime" | "timestamp_s" | "timestamp_ms" | "timestamp_us" | "timestamp_ns" => {
            TIMESTAMP
        }
        "timestamp_tz" | "timestamp_ltz" | "timestampltz" => timestamp_tz(),
        "bpchar" | "nchar" | "varchar2" | "nvarchar2" | "name" | "string" | "citext" | "super" | "variant" | "object"
        | "hllsketch" | "geometry" | "geography" | "sql_variant" | "xml" => DataType::Utf8,
        "varbyte" | "image" => DataType::Binary,
        "timetz" => DataType::Time64(TimeUnit::Microsecond),
        "serial" | "oid" | "int32" | "integer" => DataType::Int32,
        "bigserial" | "int64" | "long" | "byteint8" | "uint32" | "uinteger" => DataType::Int64,
        "byteint" | "short" | "int1" | "uint8" | "smallserial" => DataType::Int16,
        "float64" => DataType::Float64,
        "money" => DataType::Decimal128(19, 2),
        "bool" | "logical" => DataType::Boolean,
        _ => return None,
    })
}

/// Hands our types to DataFusion's planner.
#[derive(Debug)]
pub(super) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        Ok(arrow_of(sql_type).map(|t| Arc::new(Field::new("", t, true))))
    }
}
