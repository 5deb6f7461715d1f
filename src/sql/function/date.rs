//! Dates and times: Redshift's and Snowflake's arithmetic, PostgreSQL's `age`, time zones.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, IntervalMonthDayNanoArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use datafusion::common::{Result, exec_err};
use regex::Regex;

use super::calendar::{self, MICROS_PER_DAY, micros, moment};
use super::{DataTypeOf, Function, Gives, Kind};
use crate::sql::types;

pub(super) const FUNCTIONS: &[Function] = &[
    row("dateadd", &[Kind::Text, Kind::Integer, Kind::Timestamp], 0, DataTypeOf::Timestamp, dateadd),
    row("datediff", &[Kind::Text, Kind::Timestamp, Kind::Timestamp], 0, DataTypeOf::Integer, datediff),
    row("last_day", &[Kind::Timestamp, Kind::Text], 1, DataTypeOf::Date, last_day),
    row("next_day", &[Kind::Timestamp, Kind::Text], 0, DataTypeOf::Date, next_day),
    row("add_months", &[Kind::Timestamp, Kind::Integer], 0, DataTypeOf::Timestamp, add_months),
    row("months_between", &[Kind::Timestamp, Kind::Timestamp], 0, DataTypeOf::Double, months_between),
    row("age", &[Kind::Timestamp, Kind::Timestamp], 1, DataTypeOf::Interval, age),
    row("timestamp_difference", &[Kind::Timestamp, Kind::Timestamp], 0, DataTypeOf::Interval, timestamp_difference),
    row("interval_multiply", &[Kind::Interval, Kind::Double], 0, DataTypeOf::Interval, interval_multiply),
    row("convert_timezone", &[Kind::Text, Kind::Text, Kind::Timestamp], 0, DataTypeOf::Timestamp, convert_timezone),
    row(
        "make_timestamp",
        &[Kind::Integer, Kind::Integer, Kind::Integer, Kind::Integer, Kind::Integer, Kind::Double],
        0,
        DataTypeOf::Timestamp,
        make_timestamp,
    ),
    Function {
        name: "without_zone",
        takes: &[Kind::Any],
        optional: 0,
        gives: Gives::From(|given| Ok(given[0].clone())),
        body: local_texts,
    },
    Function {
        name: "at_time_zone",
        takes: &[Kind::Any, Kind::Text],
        optional: 0,
        gives: Gives::From(other_zone),
        body: at_time_zone,
    },
];

const fn row(name: &'static str, takes: &'static [Kind], optional: usize, gives: DataTypeOf, body: super::Body) -> Function {
    Function { name, takes, optional, gives: Gives::Type(gives), body }
}

/// A date and time with a zone behind: `Z`, an offset, or a name.
static ZONED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(\s*\d{4}-\d{1,2}-\d{1,2}[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?:[zZ]|[+-]\d{1,2}(?::?\d{2}){0,2}|([A-Za-z_]{3,}(?:/[A-Za-z_+0-9-]+)*))\s*$",
    )
    .expect("the pattern is a valid regex")
});

/// A moment's text in the spelling that a cast reads: without the zone it names, which PostgreSQL does not look at either
/// (documentation, section 8.5.1.3), and with seconds; none where it is so already.
pub(in crate::sql) fn without_zone(text: &str) -> Option<Cow<'_, str>> {
    let local = ZONED.captures(text).and_then(|found| found.get(1)).map(|local| local.as_str());
    let clock = local.unwrap_or(text).trim_end();
    if clock.len() == "2024-01-31 08:00".len() && clock.as_bytes()[13] == b':' {
        return Some(Cow::Owned(format!("{clock}:00")));
    }
    local.map(Cow::Borrowed)
}

/// A moment that ends with its minutes, a zone aside, as a cast reads it: with seconds; none where it has them.
pub(in crate::sql) fn with_seconds(text: &str) -> Option<String> {
    static MINUTES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(\s*\d{4}-\d{1,2}-\d{1,2}[T ]\s*\d{1,2}:\d{2})(\s*(?:[zZ]|[+-].*|[A-Za-z].*)?)$")
            .expect("the pattern is a valid regex")
    });
    MINUTES.captures(text).map(|found| format!("{}:00{}", &found[1], &found[2]))
}

fn local_texts(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    if !gives.is_string() {
        return Ok(Arc::clone(&args[0]));
    }
    let texts = arrow::compute::cast(&args[0], &DataType::Utf8)?;
    let local = texts.as_string::<i32>().iter().map(|text| text.map(|text| without_zone(text).unwrap_or(Cow::Borrowed(text))));
    let local: ArrayRef = Arc::new(local.collect::<StringArray>());
    Ok(arrow::compute::cast(&local, gives)?)
}

type Moments = TimestampMicrosecondArray;

fn moments(array: &ArrayRef) -> &Moments {
    array.as_primitive::<TimestampMicrosecondType>()
}

/// The moment in a row, `None` for null.
fn at(array: &Moments, row: usize) -> Result<Option<NaiveDateTime>> {
    if array.is_null(row) {
        return Ok(None);
    }
    match moment(array.value(row)) {
        Some(moment) => Ok(Some(moment)),
        None => exec_err!("timestamp out of range"),
    }
}

fn dateadd(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (units, amounts, values) = (args[0].as_string::<i32>(), args[1].as_primitive::<Int64Type>(), moments(&args[2]));
    let result = (0..values.len()).map(|row| {
        let Some(value) = at(values, row)? else { return Ok(None) };
        if units.is_null(row) || amounts.is_null(row) {
            return Ok(None);
        }
        match calendar::add(value, units.value(row), amounts.value(row)) {
            Some(moment) => Ok(Some(micros(moment))),
            None => exec_err!("dateadd of {} {} to {value} is out of range", amounts.value(row), units.value(row)),
        }
    });
    Ok(Arc::new(result.collect::<Result<Moments>>()?))
}

fn datediff(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (units, from, to) = (args[0].as_string::<i32>(), moments(&args[1]), moments(&args[2]));
    let result = (0..from.len()).map(|row| match (at(from, row)?, at(to, row)?) {
        (Some(from), Some(to)) if !units.is_null(row) => match calendar::boundaries(units.value(row), from, to) {
            Some(count) => Ok(Some(count)),
            None => exec_err!("datediff does not know the date part {}", units.value(row)),
        },
        _ => Ok(None),
    });
    Ok(Arc::new(result.collect::<Result<Int64Array>>()?))
}

/// The last day of the month, or of the week, quarter or year (Snowflake).
fn last_day(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let values = moments(&args[0]);
    let units = args.get(1).map(|units| units.as_string::<i32>());
    let result = (0..values.len()).map(|row| {
        let Some(value) = at(values, row)? else { return Ok(None) };
        let date = value.date();
        let last = match units.map_or("month", |units| units.value(row)) {
            "week" => Some(date + chrono::Days::new(u64::from(6 - date.weekday().num_days_from_monday()))),
            "quarter" => {
                date.with_day(1).and_then(|d| d.with_month0(date.month0() / 3 * 3 + 2)).and_then(calendar::last_day_of_month)
            }
            "year" => NaiveDate::from_ymd_opt(date.year(), 12, 31),
            _ => calendar::last_day_of_month(date),
        };
        Ok(last.map(calendar::days))
    });
    Ok(Arc::new(result.collect::<Result<Date32Array>>()?))
}

fn next_day(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (values, names) = (moments(&args[0]), args[1].as_string::<i32>());
    let result = (0..values.len()).map(|row| {
        let Some(value) = at(values, row)? else { return Ok(None) };
        if names.is_null(row) {
            return Ok(None);
        }
        let name = names.value(row);
        let Some(wanted) = weekday(name) else { return exec_err!("next_day needs a day of the week, got {name}") };
        let today = value.date().weekday().num_days_from_sunday();
        let ahead = (wanted + 6 - today) % 7 + 1;
        Ok(Some(calendar::days(value.date() + chrono::Days::new(u64::from(ahead)))))
    });
    Ok(Arc::new(result.collect::<Result<Date32Array>>()?))
}

/// From Sunday, by the first two letters.
fn weekday(name: &str) -> Option<u32> {
    let start: String = name.trim().to_lowercase().chars().take(2).collect();
    ["su", "mo", "tu", "we", "th", "fr", "sa"].iter().position(|day| *day == start).map(|n| n as u32)
}

/// Oracle's and Redshift's: from the last day of a month to the last day of a month.
fn add_months(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (values, amounts) = (moments(&args[0]), args[1].as_primitive::<Int64Type>());
    let result = (0..values.len()).map(|row| {
        let Some(value) = at(values, row)? else { return Ok(None) };
        if amounts.is_null(row) {
            return Ok(None);
        }
        let Some(mut moved) = calendar::add_months(value, amounts.value(row)) else {
            return exec_err!("add_months is out of range");
        };
        if calendar::last_day_of_month(value.date()) == Some(value.date())
            && let Some(last) = calendar::last_day_of_month(moved.date())
        {
            moved = last.and_time(moved.time());
        }
        Ok(Some(micros(moved)))
    });
    Ok(Arc::new(result.collect::<Result<Moments>>()?))
}

fn months_between(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (later, earlier) = (moments(&args[0]), moments(&args[1]));
    let result = (0..later.len()).map(|row| {
        let pair = at(later, row)?.zip(at(earlier, row)?);
        Ok(pair.map(|(later, earlier)| calendar::months_between(later, earlier)))
    });
    Ok(Arc::new(result.collect::<Result<Float64Array>>()?))
}

fn interval(months: i32, days: i32, micros: i64) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(months, days, micros * 1_000)
}

fn age(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let today = calendar::midnight(Utc::now().date_naive());
    let (first, second) = (moments(&args[0]), args.get(1).map(moments));
    let result = (0..first.len()).map(|row| {
        let pair = match second {
            Some(second) => at(first, row)?.zip(at(second, row)?),
            None => at(first, row)?.map(|earlier| (today, earlier)),
        };
        Ok(pair.map(|(later, earlier)| {
            let (months, days, micros) = calendar::age(later, earlier);
            interval(months, days, micros)
        }))
    });
    Ok(Arc::new(result.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

/// PostgreSQL's `timestamp - timestamp`: days and time, no months.
fn timestamp_difference(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (left, right) = (moments(&args[0]), moments(&args[1]));
    let result = left.iter().zip(right).map(|pair| match pair {
        (Some(left), Some(right)) => {
            let span = left - right;
            Some(interval(0, (span / MICROS_PER_DAY) as i32, span % MICROS_PER_DAY))
        }
        _ => None,
    });
    Ok(Arc::new(result.collect::<IntervalMonthDayNanoArray>()))
}

/// PostgreSQL's: what is left of a month goes to days (30), what is left of a day to time.
fn interval_multiply(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (intervals, factors) = (args[0].as_primitive::<IntervalMonthDayNanoType>(), args[1].as_primitive::<Float64Type>());
    let result = intervals.iter().zip(factors).map(|pair| match pair {
        (Some(interval), Some(factor)) => {
            let months = f64::from(interval.months) * factor;
            let days = f64::from(interval.days) * factor + months.fract() * 30.0;
            let nanos = interval.nanoseconds as f64 * factor + days.fract() * MICROS_PER_DAY as f64 * 1_000.0;
            Some(IntervalMonthDayNano::new(months.trunc() as i32, days.trunc() as i32, nanos.round() as i64))
        }
        _ => None,
    });
    Ok(Arc::new(result.collect::<IntervalMonthDayNanoArray>()))
}

fn make_timestamp(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let whole: Vec<&Int64Array> = args[..5].iter().map(|array| array.as_primitive::<Int64Type>()).collect();
    let seconds = args[5].as_primitive::<Float64Type>();
    let result = (0..seconds.len()).map(|row| {
        if seconds.is_null(row) || whole.iter().any(|array| array.is_null(row)) {
            return Ok(None);
        }
        let part = |n: usize| u32::try_from(whole[n].value(row)).unwrap_or(u32::MAX);
        let date = NaiveDate::from_ymd_opt(whole[0].value(row) as i32, part(1), part(2));
        match date.and_then(|date| date.and_hms_opt(part(3), part(4), 0)) {
            Some(moment) => Ok(Some(micros(moment) + (seconds.value(row) * 1e6).round() as i64)),
            None => exec_err!("make_timestamp: no such date or time"),
        }
    });
    Ok(Arc::new(result.collect::<Result<Moments>>()?))
}

// ── Time zones ───────────────────────────────────────────────────────────────────────────────────────────────────────

fn zone(name: &str) -> Result<Tz> {
    let found = Tz::from_str(name).ok();
    let found = found.or_else(|| chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied());
    found.map_or_else(|| exec_err!("time zone \"{name}\" not recognized"), Ok)
}

/// The wall clock of a zone as a moment in UTC. A time that the clock skips is read an hour later, one that comes twice as the
/// later.
fn to_utc(local: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    match zone.from_local_datetime(&local) {
        chrono::LocalResult::Single(moment) => moment.naive_utc(),
        chrono::LocalResult::Ambiguous(_, later) => later.naive_utc(),
        chrono::LocalResult::None => {
            let after = local + chrono::Duration::hours(1);
            zone.from_local_datetime(&after).latest().map_or(local, |moment| moment.naive_utc())
        }
    }
}

fn from_utc(utc: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    zone.from_utc_datetime(&utc).naive_local()
}

fn convert_timezone(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (from, to, values) = (args[0].as_string::<i32>(), args[1].as_string::<i32>(), moments(&args[2]));
    let result = (0..values.len()).map(|row| {
        let Some(value) = at(values, row)? else { return Ok(None) };
        if from.is_null(row) || to.is_null(row) {
            return Ok(None);
        }
        Ok(Some(micros(from_utc(to_utc(value, zone(from.value(row))?), zone(to.value(row))?))))
    });
    Ok(Arc::new(result.collect::<Result<Moments>>()?))
}

/// `at time zone` gives a zone to what has none, and a wall clock to what has one.
fn other_zone(given: &[DataType]) -> Result<DataType> {
    Ok(match given.first() {
        Some(DataType::Timestamp(_, Some(_))) => types::TIMESTAMP,
        _ => types::timestamp_tz(),
    })
}

fn at_time_zone(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    let has_zone = matches!(args[0].data_type(), DataType::Timestamp(_, Some(_)));
    let values = arrow::compute::cast(&args[0], &types::TIMESTAMP)?;
    let (values, zones) = (moments(&values), args[1].as_string::<i32>());
    let result = (0..values.len()).map(|row| {
        let Some(value) = at(values, row)? else { return Ok(None) };
        if zones.is_null(row) {
            return Ok(None);
        }
        let zone = zone(zones.value(row))?;
        Ok(Some(micros(if has_zone { from_utc(value, zone) } else { to_utc(value, zone) })))
    });
    let result = result.collect::<Result<Moments>>()?;
    Ok(match gives {
        DataType::Timestamp(_, Some(name)) => Arc::new(result.with_timezone(Arc::clone(name))),
        _ => Arc::new(result),
    })
}
