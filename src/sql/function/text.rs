//! Text: casts to it as PostgreSQL spells values, regular expressions, digests.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err};
use regex::Regex;

use super::calendar::moment;
use super::number::{doubles, float_text, single_text, singles};
use super::{DataTypeOf, Function, Gives, Kind, REPEATS};
use crate::sql::types;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "text", takes: &[Kind::Any], optional: 0, gives: Gives::From(text_type), body: text },
    row("regexp_substr", &[Kind::Text, Kind::Text, Kind::Integer, Kind::Integer, Kind::Text], 3, regexp_substr),
    row("regexp_extract", &[Kind::Text, Kind::Text, Kind::Integer], 1, regexp_extract),
    row("sha1", &[Kind::Text], 0, sha1),
    row("concat_text", &[Kind::Text], REPEATS, concat_text),
];

const fn row(name: &'static str, takes: &'static [Kind], optional: usize, body: super::Body) -> Function {
    Function { name, takes, optional, gives: Gives::Type(DataTypeOf::Text), body }
}

/// Text stays the kind of text it is.
fn text_type(given: &[DataType]) -> Result<DataType> {
    Ok(match given.first() {
        Some(text @ (DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)) => text.clone(),
        _ => DataType::Utf8,
    })
}

fn text(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let array = &args[0];
    Ok(match array.data_type() {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Arc::clone(array),
        DataType::Float64 => strings(doubles(array)?.iter().map(|value| value.map(float_text))),
        DataType::Float32 | DataType::Float16 => strings(singles(array)?.iter().map(|value| value.map(single_text))),
        DataType::Timestamp(_, zone) => {
            let suffix = if zone.is_some() { "+00" } else { "" };
            let values = cast(array, &types::TIMESTAMP)?;
            let values = values.as_primitive::<TimestampMicrosecondType>();
            strings(values.iter().map(|value| value.map(|micros| format!("{}{suffix}", timestamp_text(micros)))))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            let values = cast(array, &DataTypeOf::Interval.arrow())?;
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            strings(values.iter().map(|value| value.map(interval_text)))
        }
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => {
            let values = cast(array, &DataType::Binary)?;
            let hex = |bytes: &[u8]| bytes.iter().fold(String::from("\\x"), |text, byte| format!("{text}{byte:02x}"));
            strings(values.as_binary::<i32>().iter().map(|value| value.map(hex)))
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => list_text(array)?,
        _ => cast(array, &DataType::Utf8)?,
    })
}

/// A column as PostgreSQL spells it in text.
pub(super) fn spelt(array: &ArrayRef) -> Result<ArrayRef> {
    text(std::slice::from_ref(array), &DataType::Utf8)
}

fn strings(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// `2024-01-31 10:00:00.5`: a space between date and time, fractions without trailing zeros.
pub(super) fn timestamp_text(micros: i64) -> String {
    let Some(moment) = moment(micros) else { return "infinity".into() };
    let text = moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// `1 year 2 mons 3 days 04:05:06`.
pub(super) fn interval_text(interval: IntervalMonthDayNano) -> String {
    let mut parts = Vec::new();
    let mut part = |count: i32, name: &str| {
        if count != 0 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    };
    part(interval.months / 12, "year");
    part(interval.months % 12, "mon");
    part(interval.days, "day");
    let micros = interval.nanoseconds / 1_000;
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 { "-" } else { "" };
        let micros = micros.unsigned_abs();
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let mut time = format!("{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
        if fraction != 0 {
            time.push_str(format!(".{fraction:06}").trim_end_matches('0'));
        }
        parts.push(time);
    }
    parts.join(" ")
}

/// `{a,b}`, elements quoted where PostgreSQL quotes them.
fn list_text(array: &ArrayRef) -> Result<ArrayRef> {
    let DataType::List(_) = array.data_type() else {
        return Ok(cast(array, &DataType::Utf8)?);
    };
    let lists = array.as_list::<i32>();
    let mut rows = Vec::with_capacity(lists.len());
    for list in lists.iter() {
        let Some(list) = list else {
            rows.push(None);
            continue;
        };
        let elements = cast(&spelt(&list)?, &DataType::Utf8)?;
        let elements: Vec<String> =
            elements.as_string::<i32>().iter().map(|element| element.map_or("NULL".into(), quoted)).collect();
        rows.push(Some(format!("{{{}}}", elements.join(","))));
    }
    Ok(strings(rows.into_iter()))
}

fn quoted(element: &str) -> String {
    let plain =
        !element.is_empty() && !element.contains(['{', '}', ',', '"', '\\', ' ']) && !element.eq_ignore_ascii_case("null");
    if plain { element.to_string() } else { format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn concat_text(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let columns: Vec<&StringArray> = args.iter().map(|array| array.as_string::<i32>()).collect();
    let rows = columns.first().map_or(0, |column| column.len());
    Ok(strings((0..rows).map(|row| Some(columns.iter().filter(|c| !c.is_null(row)).map(|c| c.value(row)).collect()))))
}

// ── Regular expressions ──────────────────────────────────────────────────────────────────────────────────────────────

/// Compiles a pattern once for runs of rows that share it.
#[derive(Default)]
struct Compiled(Option<(String, Regex)>);

impl Compiled {
    fn get(&mut self, pattern: &str, flags: &str) -> Result<&Regex> {
        let inline = if flags.contains('i') { format!("(?i){pattern}") } else { pattern.to_string() };
        if self.0.as_ref().is_none_or(|(known, _)| *known != inline) {
            match Regex::new(&inline) {
                Ok(regex) => self.0 = Some((inline, regex)),
                Err(error) => return exec_err!("invalid regular expression \"{pattern}\": {error}"),
            }
        }
        match &self.0 {
            Some((_, regex)) => Ok(regex),
            None => exec_err!("no regular expression"),
        }
    }
}

/// PostgreSQL 15's: the n-th match from a position on; null where there is none.
fn regexp_substr(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (values, patterns) = (args[0].as_string::<i32>(), args[1].as_string::<i32>());
    let integer =
        |at: usize, row: usize| args.get(at).map_or(1, |array| array.as_primitive::<Int64Type>().value(row)).max(1) as usize;
    let mut compiled = Compiled::default();
    let result = (0..values.len()).map(|row| {
        if values.is_null(row) || patterns.is_null(row) {
            return Ok(None);
        }
        let flags = args.get(4).map_or("", |array| array.as_string::<i32>().value(row));
        let value = values.value(row);
        let start = value.char_indices().nth(integer(2, row) - 1).map_or(value.len(), |(at, _)| at);
        let regex = compiled.get(patterns.value(row), flags)?;
        Ok(regex.find_iter(&value[start..]).nth(integer(3, row) - 1).map(|found| found.as_str().to_string()))
    });
    Ok(strings(result.collect::<Result<Vec<_>>>()?.into_iter()))
}

/// The group asked for; without one, the first group if the pattern has groups, else the whole match.
fn regexp_extract(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (values, patterns) = (args[0].as_string::<i32>(), args[1].as_string::<i32>());
    let mut compiled = Compiled::default();
    let result = (0..values.len()).map(|row| {
        if values.is_null(row) || patterns.is_null(row) {
            return Ok(None);
        }
        let regex = compiled.get(patterns.value(row), "")?;
        let group = match args.get(2) {
            Some(groups) => groups.as_primitive::<Int64Type>().value(row).max(0) as usize,
            None => usize::from(regex.captures_len() > 1),
        };
        let found = regex.captures(values.value(row)).and_then(|captures| captures.get(group).map(|m| m.as_str().to_string()));
        Ok(found)
    });
    Ok(strings(result.collect::<Result<Vec<_>>>()?.into_iter()))
}

// ── Digests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn sha1(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = args[0].as_string::<i32>();
    Ok(strings(values.iter().map(|value| value.map(|text| sha1_hex(text.as_bytes())))))
}

/// SHA-1 (FIPS 180-4, section 6.1), in hexadecimal.
fn sha1_hex(message: &[u8]) -> String {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let bits = (message.len() as u64) * 8;
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&bits.to_be_bytes());
    for block in padded.chunks_exact(64) {
        sha1_block(&mut state, block);
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

fn sha1_block(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    }
    for t in 16..80 {
        words[t] = (words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (t, word) in words.iter().enumerate() {
        let (f, k) = match t {
            0..20 => ((b & c) | (!b & d), 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc_u32),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (total, part) in state.iter_mut().zip([a, b, c, d, e]) {
        *total = total.wrapping_add(part);
    }
}
