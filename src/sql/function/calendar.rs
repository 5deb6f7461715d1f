//! Calendar arithmetic on microseconds since 1970-01-01.

use chrono::{Datelike, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

pub(super) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `None` beyond what the calendar holds.
pub(super) fn moment(micros: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp_micros(micros).map(|utc| utc.naive_utc())
}

pub(super) fn micros(moment: NaiveDateTime) -> i64 {
    moment.and_utc().timestamp_micros()
}

/// Days since 1970-01-01.
pub(super) fn days(date: NaiveDate) -> i32 {
    date.signed_duration_since(NaiveDate::default()).num_days() as i32
}

pub(super) fn midnight(date: NaiveDate) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN)
}

/// `n` months later; a day that month has not becomes its last.
pub(super) fn add_months(moment: NaiveDateTime, n: i64) -> Option<NaiveDateTime> {
    let count = Months::new(u32::try_from(n.unsigned_abs()).ok()?);
    if n < 0 { moment.checked_sub_months(count) } else { moment.checked_add_months(count) }
}

/// `n` of a unit later, as Redshift's `dateadd`; `None` for a unit that is none, or beyond the calendar.
pub(super) fn add(moment: NaiveDateTime, unit: &str, n: i64) -> Option<NaiveDateTime> {
    let months = match unit {
        "millennium" => 12_000,
        "century" => 1_200,
        "decade" => 120,
        "year" => 12,
        "quarter" => 3,
        "month" => 1,
        _ => return moment.checked_add_signed(duration(unit, n)?),
    };
    add_months(moment, n.checked_mul(months)?)
}

fn duration(unit: &str, n: i64) -> Option<Duration> {
    match unit {
        "week" => Duration::try_weeks(n),
        "day" | "doy" | "dow" => Duration::try_days(n),
        "hour" => Duration::try_hours(n),
        "minute" => Duration::try_minutes(n),
        "second" | "epoch" => Duration::try_seconds(n),
        "millisecond" => Duration::try_milliseconds(n),
        "microsecond" => Some(Duration::microseconds(n)),
        "nanosecond" => Some(Duration::nanoseconds(n)),
        _ => None,
    }
}

/// How many boundaries of a unit lie between two moments, as Redshift's and Snowflake's `datediff`; weeks begin on Sunday, as in
/// dbt's own `datediff` for PostgreSQL.
pub(super) fn boundaries(unit: &str, from: NaiveDateTime, to: NaiveDateTime) -> Option<i64> {
    let span = |per: i64| micros(to).div_euclid(per) - micros(from).div_euclid(per);
    let year = |m: NaiveDateTime| i64::from(m.year());
    let week = |m: NaiveDateTime| i64::from(days(m.date()) + 4).div_euclid(7);
    Some(match unit {
        "millennium" => (year(to) - 1).div_euclid(1000) - (year(from) - 1).div_euclid(1000),
        "century" => (year(to) - 1).div_euclid(100) - (year(from) - 1).div_euclid(100),
        "decade" => year(to).div_euclid(10) - year(from).div_euclid(10),
        "year" => year(to) - year(from),
        "quarter" => (year(to) * 4 + i64::from(to.month0() / 3)) - (year(from) * 4 + i64::from(from.month0() / 3)),
        "month" => (year(to) * 12 + i64::from(to.month0())) - (year(from) * 12 + i64::from(from.month0())),
        "week" => week(to) - week(from),
        "day" | "doy" | "dow" => span(MICROS_PER_DAY),
        "hour" => span(3_600_000_000),
        "minute" => span(60_000_000),
        "second" | "epoch" => span(1_000_000),
        "millisecond" => span(1_000),
        "microsecond" => span(1),
        "nanosecond" => span(1).checked_mul(1_000)?,
        _ => return None,
    })
}

pub(super) fn last_day_of_month(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)?.checked_add_months(Months::new(1))?.pred_opt()
}

/// Oracle's and Redshift's `months_between`: whole months where the days agree or both are month ends, else by 31-day months.
pub(super) fn months_between(later: NaiveDateTime, earlier: NaiveDateTime) -> f64 {
    let months = f64::from((later.year() - earlier.year()) * 12) + f64::from(later.month()) - f64::from(earlier.month());
    let is_end = |m: NaiveDateTime| last_day_of_month(m.date()) == Some(m.date());
    if later.day() == earlier.day() || (is_end(later) && is_end(earlier)) {
        return months;
    }
    let day = |m: NaiveDateTime| f64::from(m.day()) + f64::from(m.num_seconds_from_midnight()) / 86_400.0;
    months + (day(later) - day(earlier)) / 31.0
}

/// PostgreSQL's `age`: years and months, days, and time between two moments, borrowed as on a calendar.
pub(super) fn age(later: NaiveDateTime, earlier: NaiveDateTime) -> (i32, i32, i64) {
    if later < earlier {
        let (months, days, micros) = age(earlier, later);
        return (-months, -days, -micros);
    }
    let mut months = (later.year() - earlier.year()) * 12 + later.month() as i32 - earlier.month() as i32;
    let mut days = later.day() as i32 - earlier.day() as i32;
    let time = |m: NaiveDateTime| micros(m).rem_euclid(MICROS_PER_DAY);
    let mut rest = time(later) - time(earlier);
    if rest < 0 {
        rest += MICROS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        // The month borrowed from is the earlier moment's.
        days += last_day_of_month(earlier.date()).map_or(30, |last| last.day() as i32);
        months -= 1;
    }
    (months, days, rest)
}
