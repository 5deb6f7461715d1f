//! Values of PostgreSQL's types into the lake's: nothing is rounded, nothing becomes null that was not.

use arrow::datatypes::{DataType, TimeUnit};

use super::message::Value;
use super::number::{Numeric, decimal_of_text};
use crate::ingest::rows::Builder;

/// Days and microseconds between 1970 and 2000, from which the server counts.
const EPOCH_2000_DAYS: i32 = 10_957;
const EPOCH_2000_MICROS: i64 = 946_684_800_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// Delta's decimals have no more digits.
const MOST_DIGITS: u8 = 38;

/// How a type's values are read.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Boolean,
    Int16,
    Int32,
    Int64,
    Oid,
    Float32,
    Float64,
    Decimal(u8, i8),
    /// A number without bounds: its text.
    Numeric,
    Text,
    Jsonb,
    Binary,
    Date,
    Time,
    TimeWithZone,
    Timestamp,
    TimestampWithZone,
    Interval,
    Uuid,
    /// Everything else: as the server writes it as text.
    AsText,
}

impl Kind {
    /// By the type's number and modifier in the catalog.
    pub fn of(oid: u32, modifier: i32) -> Self {
        match oid {
            16 => Self::Boolean,
            17 => Self::Binary,
            // "char", name, text, json, xml, bpchar, varchar, unknown, citext has another number.
            18 | 19 | 25 | 114 | 142 | 1042 | 1043 => Self::Text,
            20 => Self::Int64,
            21 => Self::Int16,
            23 => Self::Int32,
            26 => Self::Oid,
            700 => Self::Float32,
            701 => Self::Float64,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::TimestampWithZone,
            1186 => Self::Interval,
            1266 => Self::TimeWithZone,
            1700 => Self::numeric(modifier),
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => Self::AsText,
        }
    }

    fn numeric(modifier: i32) -> Self {
        if modifier < 4 {
            return Self::Numeric;
        }
        let packed = modifier - 4;
        let digits = (packed >> 16) & 0xffff;
        // Eleven bits with a sign since PostgreSQL 15.
        let scale = ((packed & 0x7ff) ^ 1024) - 1024;
        let (digits, scale) = if scale < 0 { (digits - scale, 0) } else { (digits.max(scale), scale) };
        match (u8::try_from(digits), i8::try_from(scale)) {
            (Ok(digits), Ok(scale)) if digits <= MOST_DIGITS => Self::Decimal(digits, scale),
            _ => Self::Numeric,
        }
    }

    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 | Self::Oid => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(digits, scale) => DataType::Decimal128(*digits, *scale),
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampWithZone => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Numeric
            | Self::Text
            | Self::Jsonb
            | Self::Time
            | Self::TimeWithZone
            | Self::Interval
            | Self::Uuid
            | Self::AsText => DataType::Utf8,
        }
    }

    /// Whether the binary form is read too.
    pub fn is_binary(&self) -> bool {
        *self != Self::AsText
    }
}

/// Appends one value and gives its size in bytes; `None` if it cannot be kept as it is.
pub fn append(builder: &mut Builder, kind: &Kind, value: Value<'_>) -> Option<usize> {
    match value {
        Value::Null | Value::Unchanged => {
            builder.append_null();
            Some(1)
        }
        Value::Binary(bytes) => append_binary(builder, kind, bytes).map(|()| bytes.len() + 4),
        Value::Text(bytes) => append_text(builder, kind, std::str::from_utf8(bytes).ok()?).map(|()| bytes.len() + 4),
    }
}

fn append_binary(builder: &mut Builder, kind: &Kind, bytes: &[u8]) -> Option<()> {
    match (builder, kind) {
        (Builder::Boolean(builder), _) => builder.append_value(*bytes.first()? != 0),
        (Builder::Int16(builder), _) => builder.append_value(i16::from_be_bytes(bytes.try_into().ok()?)),
        (Builder::Int32(builder), _) => builder.append_value(i32::from_be_bytes(bytes.try_into().ok()?)),
        (Builder::Int64(builder), Kind::Oid) => {
            builder.append_value(i64::from(u32::from_be_bytes(bytes.try_into().ok()?)));
        }
        (Builder::Int64(builder), _) => builder.append_value(i64::from_be_bytes(bytes.try_into().ok()?)),
        (Builder::Float32(builder), _) => builder.append_value(f32::from_be_bytes(bytes.try_into().ok()?)),
        (Builder::Float64(builder), _) => builder.append_value(f64::from_be_bytes(bytes.try_into().ok()?)),
        (Builder::Decimal(builder), Kind::Decimal(digits, scale)) => {
            builder.append_value(within(Numeric::read(bytes)?.decimal(*scale)?, *digits)?);
        }
        (Builder::Date(builder), _) => builder.append_value(days(i32::from_be_bytes(bytes.try_into().ok()?))?),
        (Builder::Timestamp(builder), _) => builder.append_value(micros(i64::from_be_bytes(bytes.try_into().ok()?))?),
        (Builder::Binary(builder), _) => builder.append_value(bytes),
        (Builder::Text(builder), _) => builder.append_value(text_of(kind, bytes)?),
        _ => return None,
    }
    Some(())
}

fn within(value: i128, digits: u8) -> Option<i128> {
    let most = 10_u128.checked_pow(u32::from(digits))?;
    (value.unsigned_abs() < most).then_some(value)
}

/// Days since 1970; infinity has none.
fn days(since_2000: i32) -> Option<i32> {
    match since_2000 {
        i32::MAX | i32::MIN => None,
        days => days.checked_add(EPOCH_2000_DAYS),
    }
}

/// Microseconds since 1970; infinity has none.
fn micros(since_2000: i64) -> Option<i64> {
    match since_2000 {
        i64::MAX | i64::MIN => None,
        micros => micros.checked_add(EPOCH_2000_MICROS),
    }
}

/// The text of a binary value, as the server would have written it.
fn text_of(kind: &Kind, bytes: &[u8]) -> Option<String> {
    match kind {
        Kind::Text | Kind::AsText => String::from_utf8(bytes.to_vec()).ok(),
        Kind::Jsonb => match bytes.split_first()? {
            (1, text) => String::from_utf8(text.to_vec()).ok(),
            _ => None,
        },
        Kind::Numeric => Some(Numeric::read(bytes)?.text()),
        Kind::Uuid => Some(uuid::Uuid::from_slice(bytes).ok()?.to_string()),
        Kind::Time => Some(time_text(i64::from_be_bytes(bytes.try_into().ok()?))),
        Kind::TimeWithZone => {
            let (time, zone) = bytes.split_first_chunk::<8>()?;
            // The zone is told as seconds west of Greenwich.
            let east = -i32::from_be_bytes(zone.try_into().ok()?);
            Some(format!("{}{}", time_text(i64::from_be_bytes(*time)), zone_text(east)))
        }
        Kind::Interval => {
            let (micros, rest) = bytes.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            let months = i32::from_be_bytes(months.try_into().ok()?);
            Some(interval_text(months, i32::from_be_bytes(*days), i64::from_be_bytes(*micros)))
        }
        _ => None,
    }
}

fn time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}{}", seconds / 3600, seconds / 60 % 60, seconds % 60, fraction(micros % 1_000_000))
}

/// `.5`, or nothing for zero.
fn fraction(micros: i64) -> String {
    match micros.unsigned_abs() {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_string(),
    }
}

fn zone_text(east: i32) -> String {
    let sign = if east < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (east.abs() / 3600, east.abs() / 60 % 60, east.abs() % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// By ISO 8601, as the server writes it under `intervalstyle = iso_8601`.
fn interval_text(months: i32, days: i32, micros: i64) -> String {
    let mut text = String::from("P");
    let mut part = |value: i64, unit: &str| {
        if value != 0 {
            text.push_str(&format!("{value}{unit}"));
        }
    };
    part(i64::from(months / 12), "Y");
    part(i64::from(months % 12), "M");
    part(i64::from(days), "D");
    if micros != 0 {
        text.push('T');
        let seconds = micros / 1_000_000;
        let mut part = |value: i64, unit: &str| {
            if value != 0 {
                text.push_str(&format!("{value}{unit}"));
            }
        };
        part(seconds / 3600, "H");
        part(seconds / 60 % 60, "M");
        let (seconds, micros) = (seconds % 60, micros % 1_000_000);
        if seconds != 0 || micros != 0 {
            let sign = if seconds < 0 || micros < 0 { "-" } else { "" };
            text.push_str(&format!("{sign}{}{}S", seconds.abs(), fraction(micros)));
        }
    }
    if text.len() == 1 { "PT0S".to_string() } else { text }
}

fn append_text(builder: &mut Builder, kind: &Kind, text: &str) -> Option<()> {
    match builder {
        Builder::Boolean(builder) => builder.append_value(text == "t"),
        Builder::Int16(builder) => builder.append_value(text.parse().ok()?),
        Builder::Int32(builder) => builder.append_value(text.parse().ok()?),
        Builder::Int64(builder) => builder.append_value(text.parse().ok()?),
        Builder::Float32(builder) => builder.append_value(text.parse().ok()?),
        Builder::Float64(builder) => builder.append_value(text.parse().ok()?),
        Builder::Decimal(builder) => {
            let Kind::Decimal(digits, scale) = kind else { return None };
            builder.append_value(within(decimal_of_text(text, *scale)?, *digits)?);
        }
        Builder::Date(builder) => {
            let (text, is_bc) = era(text);
            builder.append_value(i32::try_from(date(text, is_bc)?).ok()?);
        }
        Builder::Timestamp(builder) => builder.append_value(timestamp(text)?),
        Builder::Text(builder) => builder.append_value(text),
        Builder::Binary(builder) => builder.append_value(hex(text.strip_prefix("\\x")?)?),
    }
    Some(())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Without ` BC` at the end, and whether it was there.
fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

/// Days since 1970 of `2026-11-22`.
fn date(text: &str, is_bc: bool) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    Some(days_from_civil(if is_bc { 1 - year } else { year }, month, day))
}

/// Days since 1970 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Microseconds since 1970 of `2026-11-22 10:00:00.5`, with `+00` behind it where the type has a zone.
fn timestamp(text: &str) -> Option<i64> {
    let (text, is_bc) = era(text);
    let (day, time) = text.split_once(' ')?;
    let time = time.strip_suffix("+00").unwrap_or(time);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = whole.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    date(day, is_bc)?
        .checked_mul(DAY_MICROS)?
        .checked_add((hours * 3600 + minutes * 60 + seconds) * 1_000_000)?
        .checked_add(micros)
}
