//! `to_char`, `to_date`, `to_timestamp`, `to_number` with PostgreSQL's templates
//! (PostgreSQL documentation, section 9.8, "Data Type Formatting Functions").
//!
//! A template with a `%` in it is read as strftime's, as DuckDB and DataFusion write it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNanoType, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_err};

use super::calendar::{self, micros, moment};
use super::{DataTypeOf, Function, Gives, Kind, number_format, text};
use crate::sql::types;

pub(super) const FUNCTIONS: &[Function] = &[
    row("to_char", &[Kind::Any, Kind::Text], 0, DataTypeOf::Text, to_char),
    row("strftime", &[Kind::Any, Kind::Text], 0, DataTypeOf::Text, to_char),
    row("to_date", &[Kind::Text, Kind::Text], 0, DataTypeOf::Date, to_date),
    row("strptime", &[Kind::Text, Kind::Text], 0, DataTypeOf::Timestamp, to_timestamp),
    row("to_timestamp", &[Kind::Any, Kind::Text], 1, DataTypeOf::TimestampTz, to_timestamp),
    row("to_number", &[Kind::Text, Kind::Text], 0, DataTypeOf::Numeric, to_number),
];

const fn row(name: &'static str, takes: &'static [Kind], optional: usize, gives: DataTypeOf, body: super::Body) -> Function {
    Function { name, takes, optional, gives: Gives::Type(gives), body }
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// One piece of a template.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// A pattern in upper case as listed in [`PATTERNS`], as it was written, whether `FM` is before it, and the `th` after it.
    Pattern {
        name: &'static str,
        written: String,
        fill: bool,
        suffix: String,
    },
    Literal(String),
}

/// Longest first where one begins another.
const PATTERNS: &[&str] = &[
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "A.M.", "P.M.",
    "AM", "PM", "Y,YYY", "YYYY", "YYY", "YY", "IYYY", "IYY", "IY", "Y", "B.C.", "A.D.", "BC", "AD", "MONTH", "MON", "MM", "DAY",
    "DY", "DDD", "DD", "IDDD", "ID", "D", "WW", "W", "IW", "CC", "J", "Q", "RM", "TZH", "TZM", "TZ", "OF", "I",
];

/// Templates compile once for runs of rows that share one.
#[derive(Default)]
struct Templates(Option<(String, Vec<Piece>)>);

impl Templates {
    fn get(&mut self, template: &str) -> &[Piece] {
        if self.0.as_ref().is_none_or(|(known, _)| known != template) {
            self.0 = Some((template.to_string(), pieces(template)));
        }
        self.0.as_ref().map_or(&[], |(_, pieces)| pieces)
    }
}

fn pieces(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut fill = false;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            literal(&mut pieces, &quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or("");
            continue;
        }
        if starts_with(rest, "FM") || starts_with(rest, "FX") || starts_with(rest, "TM") {
            fill |= !starts_with(rest, "FX");
            rest = &rest[2..];
            continue;
        }
        if let Some(name) = PATTERNS.iter().find(|name| starts_with(rest, name)) {
            let (written, after) = rest.split_at(name.len());
            let suffix = if after.starts_with("th") || after.starts_with("TH") { &after[..2] } else { "" };
            rest = &after[suffix.len()..];
            pieces.push(Piece::Pattern { name, written: written.into(), fill, suffix: suffix.into() });
            fill = false;
            continue;
        }
        let next = rest.chars().next().map_or(1, char::len_utf8);
        literal(&mut pieces, &rest[..next]);
        rest = &rest[next..];
    }
    pieces
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Literal(before)) => before.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_string())),
    }
}

fn starts_with(text: &str, name: &str) -> bool {
    text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn to_char(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let templates = args[1].as_string::<i32>();
    let written: StringArray = match args[0].data_type() {
        DataType::Interval(_) | DataType::Duration(_) => {
            let values = cast(&args[0], &DataTypeOf::Interval.arrow())?;
            let epoch = calendar::midnight(NaiveDate::default());
            let clock = |value: arrow::datatypes::IntervalMonthDayNano| epoch + chrono::Duration::nanoseconds(value.nanoseconds);
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            formatted(values.iter().map(|value| Ok(value.map(clock))), templates)?
        }
        data_type if data_type.is_temporal() || data_type.is_string() => {
            let values = cast(&args[0], &types::TIMESTAMP)?;
            let values = values.as_primitive::<TimestampMicrosecondType>();
            formatted(values.iter().map(|value| Ok(value.and_then(moment))), templates)?
        }
        _ => number_format::to_char(&args[0], templates)?,
    };
    Ok(Arc::new(written))
}

fn formatted(values: impl Iterator<Item = Result<Option<NaiveDateTime>>>, templates: &StringArray) -> Result<StringArray> {
    let mut compiled = Templates::default();
    values
        .zip(templates.iter())
        .map(|(value, template)| {
            let (Some(value), Some(template)) = (value?, template) else { return Ok(None) };
            if template.contains('%') {
                return strftime(value, template).map(Some);
            }
            Ok(Some(compiled.get(template).iter().map(|piece| write(piece, value)).collect::<String>()))
        })
        .collect()
}

fn strftime(value: NaiveDateTime, template: &str) -> Result<String> {
    use std::fmt::Write;
    let mut text = String::new();
    match write!(text, "{}", value.and_utc().format(template)) {
        Ok(()) => Ok(text),
        Err(_) => exec_err!("invalid strftime format \"{template}\""),
    }
}

fn write(piece: &Piece, value: NaiveDateTime) -> String {
    let (name, written, fill, suffix) = match piece {
        Piece::Literal(text) => return text.clone(),
        Piece::Pattern { name, written, fill, suffix } => (*name, written.as_str(), *fill, suffix.as_str()),
    };
    let text = match name_or_word(name, written, fill, value) {
        Some(word) => word,
        None => {
            let (number, width) = numeric_part(name, value);
            if fill { number.to_string() } else { format!("{number:0width$}") }
        }
    };
    if suffix.is_empty() { text } else { ordinal(&text, suffix) }
}

/// Patterns that are not a plain number.
fn name_or_word(name: &str, written: &str, fill: bool, value: NaiveDateTime) -> Option<String> {
    let padded = |word: &str, width: usize| if fill { word.to_string() } else { format!("{word:<width$}") };
    let month = MONTHS[value.month0() as usize];
    let day = DAYS[value.weekday().num_days_from_sunday() as usize];
    Some(match name {
        "MONTH" => padded(&in_case(month, written), 9),
        "MON" => in_case(&month[..3], written),
        "DAY" => padded(&in_case(day, written), 9),
        "DY" => in_case(&day[..3], written),
        "RM" => padded(&in_case(ROMAN[value.month0() as usize], written), 4),
        "AM" | "PM" => in_case(if value.hour() < 12 { "AM" } else { "PM" }, written),
        "A.M." | "P.M." => in_case(if value.hour() < 12 { "A.M." } else { "P.M." }, written),
        "BC" | "AD" => in_case(if value.year() < 1 { "BC" } else { "AD" }, written),
        "B.C." | "A.D." => in_case(if value.year() < 1 { "B.C." } else { "A.D." }, written),
        "TZ" => in_case("UTC", written),
        "OF" | "TZH" => "+00".to_string(),
        "TZM" => "00".to_string(),
        "Y,YYY" => format!("{},{:03}", value.year() / 1000, value.year() % 1000),
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let digits = format!("{:06}", value.and_utc().timestamp_subsec_micros());
            digits[..usize::from(name.as_bytes()[2] - b'0')].to_string()
        }
        _ => return None,
    })
}

/// A pattern's number and the width it is filled to.
fn numeric_part(name: &str, value: NaiveDateTime) -> (i64, usize) {
    let iso = value.iso_week();
    let year = i64::from(value.year());
    let hour12 = i64::from(value.hour12().1);
    match name {
        "YYYY" => (year, 4),
        "YYY" => (year.rem_euclid(1000), 3),
        "YY" => (year.rem_euclid(100), 2),
        "Y" => (year.rem_euclid(10), 1),
        "IYYY" => (i64::from(iso.year()), 4),
        "IYY" => (i64::from(iso.year()).rem_euclid(1000), 3),
        "IY" => (i64::from(iso.year()).rem_euclid(100), 2),
        "I" => (i64::from(iso.year()).rem_euclid(10), 1),
        "MM" => (i64::from(value.month()), 2),
        "DD" => (i64::from(value.day()), 2),
        "DDD" => (i64::from(value.ordinal()), 3),
        "IDDD" => (i64::from(iso.week0()) * 7 + i64::from(value.weekday().number_from_monday()), 3),
        "D" => (i64::from(value.weekday().number_from_sunday()), 1),
        "ID" => (i64::from(value.weekday().number_from_monday()), 1),
        "W" => (i64::from(value.day0() / 7 + 1), 1),
        "WW" => (i64::from(value.ordinal0() / 7 + 1), 2),
        "IW" => (i64::from(iso.week()), 2),
        "CC" => ((year + 99) / 100, 2),
        "Q" => (i64::from(value.month0() / 3 + 1), 1),
        "J" => (i64::from(value.num_days_from_ce()) + 1_721_425, 1),
        "HH24" => (i64::from(value.hour()), 2),
        "HH" | "HH12" => (hour12, 2),
        "MI" => (i64::from(value.minute()), 2),
        "SS" => (i64::from(value.second()), 2),
        "SSSS" | "SSSSS" => (i64::from(value.num_seconds_from_midnight()), 1),
        "MS" => (i64::from(value.and_utc().timestamp_subsec_millis()), 3),
        "US" => (i64::from(value.and_utc().timestamp_subsec_micros()), 6),
        _ => (0, 1),
    }
}

/// A word in the letter case its pattern is written in: `MONTH`, `Month`, `month`.
fn in_case(word: &str, written: &str) -> String {
    let mut letters = written.chars().filter(|c| c.is_alphabetic());
    match (letters.next().is_some_and(char::is_uppercase), letters.next().is_some_and(char::is_uppercase)) {
        (true, true) => word.to_uppercase(),
        (true, false) => word.to_string(),
        _ => word.to_lowercase(),
    }
}

fn ordinal(number: &str, suffix: &str) -> String {
    let value: i64 = number.trim().parse().unwrap_or(0);
    let ending = match (value % 100, value % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    let ending = if suffix == "TH" { ending.to_uppercase() } else { ending.to_string() };
    format!("{number}{ending}")
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn read_column(values: &StringArray, templates: &StringArray) -> Result<Vec<Option<NaiveDateTime>>> {
    let mut compiled = Templates::default();
    values
        .iter()
        .zip(templates.iter())
        .map(|(value, template)| {
            let (Some(value), Some(template)) = (value, template) else { return Ok(None) };
            let read = match template.contains('%') {
                true => strptime(value, template),
                false => read(compiled.get(template), value),
            };
            match read {
                Some(moment) => Ok(Some(moment)),
                None => exec_err!("\"{value}\" does not fit the format \"{template}\""),
            }
        })
        .collect()
}

fn strptime(value: &str, template: &str) -> Option<NaiveDateTime> {
    let date = || NaiveDate::parse_from_str(value, template).ok().map(calendar::midnight);
    NaiveDateTime::parse_from_str(value, template).ok().or_else(date)
}

/// What a template has read so far; absent parts are the first of their kind.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    ordinal: Option<u32>,
    iso: (Option<i32>, Option<u32>, Option<u32>),
    hour: u32,
    twelve: bool,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    micros: u32,
}

fn read(pieces: &[Piece], text: &str) -> Option<NaiveDateTime> {
    let mut parts = Parts::default();
    let mut rest = text.trim_start();
    for (n, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(literal) => {
                // PostgreSQL takes any separator for any other.
                for _ in literal.chars() {
                    rest = rest.strip_prefix(|c: char| !c.is_alphanumeric() || literal.contains(c)).unwrap_or(rest);
                }
            }
            Piece::Pattern { name, .. } => {
                let adjacent = matches!(pieces.get(n + 1), Some(Piece::Pattern { .. }));
                rest = parts.read(name, rest.trim_start(), adjacent)?;
            }
        }
    }
    parts.moment()
}

impl Parts {
    /// Reads one pattern; answers what is left.
    fn read<'a>(&mut self, name: &str, text: &'a str, adjacent: bool) -> Option<&'a str> {
        match name {
            "MONTH" | "MON" => {
                let (index, rest) = word(text, &MONTHS, name == "MONTH")?;
                self.month = Some(index + 1);
                return Some(rest);
            }
            "DAY" | "DY" => return word(text, &DAYS, name == "DAY").map(|(_, rest)| rest),
            "AM" | "PM" | "A.M." | "P.M." => {
                let first = text.chars().next()?;
                self.afternoon = Some(first.eq_ignore_ascii_case(&'p'));
                return text.get(name.len()..);
            }
            "TZ" | "OF" | "TZH" | "TZM" | "BC" | "AD" => {
                let end = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
                return Some(&text[end..]);
            }
            _ => {}
        }
        let width = if adjacent { width_of(name) } else { widest(name) };
        let end = text.char_indices().take_while(|(at, c)| c.is_ascii_digit() && *at < width).last().map(|(at, _)| at + 1)?;
        let (digits, rest) = text.split_at(end);
        self.set(name, digits)?;
        Some(rest)
    }

    fn set(&mut self, name: &str, digits: &str) -> Option<()> {
        let number: u32 = digits.parse().ok()?;
        let fraction = |digits: &str| format!("{digits:0<6}").get(..6).and_then(|six| six.parse::<u32>().ok());
        match name {
            "YYYY" | "Y,YYY" => self.year = Some(number as i32),
            // Two digits: 70 and later are of the last century.
            "YYY" | "YY" | "Y" => {
                self.year = Some(
                    if number < 70 {
                        2000
                    } else if number < 100 {
                        1900
                    } else {
                        1000
                    } + number as i32,
                )
            }
            "IYYY" => self.iso.0 = Some(number as i32),
            "IW" => self.iso.1 = Some(number),
            "ID" => self.iso.2 = Some(number),
            "MM" => self.month = Some(number),
            "DD" => self.day = Some(number),
            "DDD" => self.ordinal = Some(number),
            "HH24" => self.hour = number,
            "HH" | "HH12" => (self.hour, self.twelve) = (number, true),
            "MI" => self.minute = number,
            "SS" => self.second = number,
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => self.micros = fraction(digits)?,
            "Q" | "W" | "WW" | "D" | "CC" | "J" => {}
            _ => return None,
        }
        Some(())
    }

    fn moment(self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1);
        let date = match (self.ordinal, self.iso) {
            (Some(ordinal), _) => NaiveDate::from_yo_opt(year, ordinal)?,
            (None, (Some(year), Some(week), day)) => {
                let monday = NaiveDate::from_isoywd_opt(year, week, chrono::Weekday::Mon)?;
                monday.checked_add_days(chrono::Days::new(u64::from(day.unwrap_or(1).max(1) - 1)))?
            }
            _ => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let hour = match (self.twelve, self.afternoon) {
            (true, Some(true)) => self.hour % 12 + 12,
            (true, _) => self.hour % 12,
            (false, _) => self.hour,
        };
        date.and_hms_micro_opt(hour, self.minute, self.second, self.micros)
    }
}

fn width_of(name: &str) -> usize {
    match name {
        "YYYY" | "IYYY" => 4,
        "YYY" | "DDD" | "MS" | "IYY" => 3,
        "US" | "FF6" => 6,
        "Y" | "D" | "ID" | "Q" | "W" | "I" => 1,
        _ => 2,
    }
}

fn widest(name: &str) -> usize {
    if name == "YYYY" { 9 } else { width_of(name) }
}

/// The name at the start of a text, whole or by its first three letters.
fn word<'a>(text: &'a str, names: &[&str], whole: bool) -> Option<(u32, &'a str)> {
    let at = names.iter().position(|name| starts_with(text, &name[..3]))?;
    let length = if whole && starts_with(text, names[at]) { names[at].len() } else { 3 };
    Some((at as u32, &text[length..]))
}

fn to_date(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let moments = read_column(args[0].as_string::<i32>(), args[1].as_string::<i32>())?;
    let days = moments.into_iter().map(|moment| moment.map(|m| calendar::days(m.date())));
    Ok(Arc::new(days.collect::<Date32Array>()))
}

/// With a template, text; without one, seconds since 1970 (PostgreSQL) or text as a cast reads it.
fn to_timestamp(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    let values: TimestampMicrosecondArray = match (args[0].data_type(), args.get(1)) {
        (_, Some(templates)) => {
            let texts = cast(&text::spelt(&args[0])?, &DataType::Utf8)?;
            read_column(texts.as_string::<i32>(), templates.as_string::<i32>())?.into_iter().map(|m| m.map(micros)).collect()
        }
        (given, None) if given.is_numeric() => {
            let seconds = cast(&args[0], &DataType::Float64)?;
            seconds.as_primitive::<Float64Type>().iter().map(|value| value.map(|s| (s * 1e6).round() as i64)).collect()
        }
        (_, None) => cast(&args[0], &types::TIMESTAMP)?.as_primitive::<TimestampMicrosecondType>().clone(),
    };
    Ok(match gives {
        DataType::Timestamp(_, Some(zone)) => Arc::new(values.with_timezone(Arc::clone(zone))),
        _ => Arc::new(values),
    })
}

fn to_number(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    let (values, templates) = (args[0].as_string::<i32>(), args[1].as_string::<i32>());
    let numbers = values.iter().zip(templates.iter()).map(|(value, template)| match value.zip(template) {
        Some((value, template)) => number_format::read(value, template),
        None => Ok(None),
    });
    let numbers = numbers.collect::<Result<Vec<Option<String>>>>()?;
    let texts: ArrayRef = Arc::new(numbers.into_iter().collect::<StringArray>());
    let decimals: Decimal128Array = cast(&texts, gives)?.as_primitive::<arrow::datatypes::Decimal128Type>().clone();
    Ok(Arc::new(decimals))
}
