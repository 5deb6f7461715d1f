//! Text to typed columns: the strict reading of delimited files, partition folders and seeds.
//!
//! A value either is of its column's type, exactly, or does not fit: nothing is rounded, cut or turned into null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// The value does not fit its column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit;

/// Days from 0001-01-01 to 1970-01-01, as chrono counts.
const EPOCH_DAYS: i32 = 719_163;

/// A column being filled from text.
pub enum Column {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal { builder: Decimal128Builder, digits: u8, scale: u8 },
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Binary(BinaryBuilder),
}

/// `$builder`, whatever the column's kind.
macro_rules! each {
    ($column:expr, $builder:ident => $body:expr) => {
        match $column {
            Column::Text($builder) => $body,
            Column::Boolean($builder) => $body,
            Column::Int8($builder) => $body,
            Column::Int16($builder) => $body,
            Column::Int32($builder) => $body,
            Column::Int64($builder) => $body,
            Column::Float32($builder) => $body,
            Column::Float64($builder) => $body,
            Column::Decimal { builder: $builder, .. } => $body,
            Column::Date($builder) => $body,
            Column::Timestamp($builder) => $body,
            Column::Binary($builder) => $body,
        }
    };
}

impl Column {
    /// An empty column of a [`storable`](super::storable) type that text can give; `None` for lists, structs and maps.
    pub fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(digits, scale) => Self::Decimal {
                builder: Decimal128Builder::new().with_data_type(data_type.clone()),
                digits: *digits,
                scale: u8::try_from(*scale).ok()?,
            },
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()))
            }
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            _ => return None,
        })
    }

    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }

    pub fn push_null(&mut self) {
        each!(self, builder => builder.append_null());
    }

    /// Appends one value. Spaces around a value that is not text are ignored.
    pub fn push(&mut self, text: &str) -> Result<(), Misfit> {
        let trimmed = text.trim();
        match self {
            Self::Text(builder) => builder.append_value(text),
            Self::Binary(builder) => builder.append_value(text.as_bytes()),
            Self::Boolean(builder) => builder.append_value(boolean(trimmed)?),
            Self::Int8(builder) => builder.append_value(number(trimmed)?),
            Self::Int16(builder) => builder.append_value(number(trimmed)?),
            Self::Int32(builder) => builder.append_value(number(trimmed)?),
            Self::Int64(builder) => builder.append_value(number(trimmed)?),
            Self::Float32(builder) => builder.append_value(number(trimmed)?),
            Self::Float64(builder) => builder.append_value(number(trimmed)?),
            Self::Decimal { builder, digits, scale } => builder.append_value(decimal(trimmed, *digits, *scale)?),
            Self::Date(builder) => builder.append_value(days(date(trimmed)?)),
            Self::Timestamp(builder) => builder.append_value(timestamp(trimmed)?.and_utc().timestamp_micros()),
        }
        Ok(())
    }

    /// The values so far; the column is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Misfit> {
    text.parse().map_err(|_| Misfit)
}

/// `true`, `t`, `1`, `false`, `f`, `0`, in any case.
pub fn boolean(text: &str) -> Result<bool, Misfit> {
    match text {
        "1" | "t" | "T" => Ok(true),
        "0" | "f" | "F" => Ok(false),
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Misfit),
    }
}

/// The value times 10^scale. Zeros beyond the scale are fine, other digits there are not.
fn decimal(text: &str, digits: u8, scale: u8) -> Result<i128, Misfit> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(Misfit);
    }
    let mut value: i128 = 0;
    let mut push = |digit: u8| {
        if !digit.is_ascii_digit() {
            return Err(Misfit);
        }
        value = value.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit - b'0'))).ok_or(Misfit)?;
        Ok(())
    };
    whole.bytes().try_for_each(&mut push)?;
    let kept = fraction.len().min(usize::from(scale));
    fraction.bytes().take(kept).try_for_each(&mut push)?;
    (kept..usize::from(scale)).try_for_each(|_| push(b'0'))?;
    if fraction.bytes().skip(kept).any(|digit| digit != b'0') {
        return Err(Misfit);
    }
    let limit = 10_i128.checked_pow(u32::from(digits)).ok_or(Misfit)?;
    if value >= limit {
        return Err(Misfit);
    }
    Ok(if negative { -value } else { value })
}

fn days(date: NaiveDate) -> i32 {
    chrono::Datelike::num_days_from_ce(&date) - EPOCH_DAYS
}

/// `YYYY-MM-DD`; also with `/`, and with one-digit months and days.
pub fn date(text: &str) -> Result<NaiveDate, Misfit> {
    let separator = if text.contains('/') { '/' } else { '-' };
    let mut parts = text.split(separator);
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Misfit);
    };
    if year.len() != 4 || !(1..=2).contains(&month.len()) || !(1..=2).contains(&day.len()) {
        return Err(Misfit);
    }
    NaiveDate::from_ymd_opt(digits(year)?.cast_signed(), digits(month)?, digits(day)?).ok_or(Misfit)
}

/// An unsigned number of digits only (no sign, as `str::parse` would take).
fn digits(text: &str) -> Result<u32, Misfit> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { number(text) } else { Err(Misfit) }
}

/// `DATE[( |T)HH:MM[:SS[.f…]]][ ](Z|±HH[[:]MM])`: wall time in UTC where a zone is given, else as written.
pub fn timestamp(text: &str) -> Result<NaiveDateTime, Misfit> {
    let Some(split) = text.find([' ', 'T', 't']) else {
        return Ok(date(text)?.and_time(NaiveTime::MIN));
    };
    let day = date(&text[..split])?;
    let (clock, offset_minutes) = split_zone(text[split + 1..].trim())?;
    let at = day.and_time(time(clock)?);
    at.checked_sub_signed(chrono::TimeDelta::minutes(offset_minutes)).ok_or(Misfit)
}

/// A time of day and the minutes its zone is ahead of UTC.
fn split_zone(text: &str) -> Result<(&str, i64), Misfit> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("UTC")) {
        return Ok((clock.trim_end(), 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Ok((text, 0)) };
    let zone = text[at + 1..].replace(':', "");
    let minutes = match zone.len() {
        2 => i64::from(digits(&zone)?) * 60,
        4 => i64::from(digits(&zone[..2])?) * 60 + i64::from(digits(&zone[2..])?),
        _ => return Err(Misfit),
    };
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    Ok((text[..at].trim_end(), sign * minutes))
}

fn time(text: &str) -> Result<NaiveTime, Misfit> {
    let mut parts = text.split(':');
    let (Some(hour), Some(minute), second, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Misfit);
    };
    let (second, fraction) = second.unwrap_or("00").split_once('.').unwrap_or((second.unwrap_or("00"), "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return Err(Misfit);
    }
    let scale = 10_u32.pow(9 - u32::try_from(fraction.len()).map_err(|_| Misfit)?);
    let nanoseconds = digits(fraction)? * scale;
    NaiveTime::from_hms_nano_opt(digits(hour)?, digits(minute)?, digits(second)?, nanoseconds).ok_or(Misfit)
}
