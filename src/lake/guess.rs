//! Guessing a column's type from its text, by the rules dbt's seeds follow (agate's type tester with dbt's list of types:
//! number, date, datetime, ISO datetime, boolean, text, in that order of preference).

use arrow::datatypes::{DataType, TimeUnit};

use super::value;

/// Which texts count as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As agate takes them: `1,000`, `$5`, `50%`, `007`.
    Loose,
    /// Plain digits only; `007` is text, as codes are meant to be.
    Plain,
}

/// What is still possible for one column.
#[derive(Clone, Debug)]
pub struct Guess {
    numbers: Numbers,
    seen: bool,
    number: bool,
    whole: bool,
    smallest: i128,
    largest: i128,
    date: bool,
    datetime: bool,
    iso_datetime: bool,
    boolean: bool,
}

impl Guess {
    pub fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            seen: false,
            number: true,
            whole: true,
            smallest: 0,
            largest: 0,
            date: true,
            datetime: true,
            iso_datetime: true,
            boolean: true,
        }
    }

    /// Takes one value into account; null and empty text say nothing and must not be given.
    pub fn observe(&mut self, text: &str) {
        self.seen = true;
        let text = text.trim();
        if self.number {
            self.observe_number(text);
        }
        self.date = self.date && !text.contains('/') && value::date(text).is_ok();
        self.datetime = self.datetime && is_plain_datetime(text);
        self.iso_datetime = self.iso_datetime && is_iso_datetime(text);
        self.boolean = self.boolean && (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"));
    }

    fn observe_number(&mut self, text: &str) {
        let plain = match self.numbers {
            Numbers::Loose => bare_number(text),
            Numbers::Plain => Some(text.to_string()).filter(|text| is_plain_number(text)),
        };
        let Some(plain) = plain else {
            self.number = false;
            return;
        };
        match whole_number(&plain) {
            Some(value) => {
                self.smallest = self.smallest.min(value);
                self.largest = self.largest.max(value);
            }
            None => self.whole = false,
        }
    }

    /// The type and its SQL name. A column without values is `integer`, as dbt makes it.
    pub fn finish(&self) -> (DataType, &'static str) {
        if !self.seen {
            return (DataType::Int32, "integer");
        }
        if self.number {
            return self.number_type();
        }
        if self.date {
            return (DataType::Date32, "date");
        }
        if self.datetime || self.iso_datetime {
            return (DataType::Timestamp(TimeUnit::Microsecond, None), "timestamp");
        }
        if self.boolean { (DataType::Boolean, "boolean") } else { (DataType::Utf8, "text") }
    }

    fn number_type(&self) -> (DataType, &'static str) {
        let within = |low: i128, high: i128| self.whole && self.smallest >= low && self.largest <= high;
        if within(i32::MIN.into(), i32::MAX.into()) {
            (DataType::Int32, "integer")
        } else if within(i64::MIN.into(), i64::MAX.into()) {
            (DataType::Int64, "bigint")
        } else {
            (DataType::Float64, "double precision")
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS`, nothing more.
fn is_plain_datetime(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(day, clock)| {
        clock.split(':').count() == 3 && clock.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') && !day.contains('/')
    }) && value::timestamp(text).is_ok()
}

/// `YYYY-MM-DDTHH:MM:SS` with or without a fraction and a zone; `… UTC` has a `T` too, and is text.
fn is_iso_datetime(text: &str) -> bool {
    text.split_once('T').is_some_and(|(day, clock)| day.ends_with(|c: char| c.is_ascii_digit()) && !clock.contains('T'))
        && value::timestamp(text).is_ok()
}

/// A number without grouping commas, currency signs and per cent signs, as agate strips them; `None` if it is none.
pub fn bare_number(text: &str) -> Option<String> {
    const CURRENCIES: [char; 19] =
        ['؋', '$', 'ƒ', '៛', '¥', '₡', '₱', '£', '€', '¢', '﷼', '₪', '₩', '₭', '₮', '₦', '฿', '₤', '₫'];
    let text = text.trim().trim_matches('%');
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let mut bare = digits.trim_matches(CURRENCIES).replace(',', "");
    bare.insert_str(0, sign);
    let is_number = bare.parse::<f64>().is_ok();
    is_number.then_some(bare)
}

fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts_well = !(digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit());
    starts_well && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok()
}

/// The value of a number without fraction: `5`, `5.0`; not `5e3` or `inf`.
pub fn whole_number(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    if whole.is_empty() { None } else { whole.parse().ok() }
}
