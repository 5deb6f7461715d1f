//! Dates, times and the `modules` of dbt's context: `datetime`, `pytz`, `re`, `itertools`, as far as projects use them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use minijinja::value::{DynObject, Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::Arguments;
use super::collection::record;
use super::context::{Native, Root};

/// A Python `datetime`, or a `date` where `date_only`; local to `zone` where there is one.
#[derive(Clone, PartialEq, Eq)]
struct Moment {
    local: NaiveDateTime,
    zone: Option<Tz>,
    date_only: bool,
}

/// A Python `timedelta`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span(Duration);

/// A time zone of `pytz`.
#[derive(Clone)]
struct Zone(Tz);

/// A moment in UTC as a value.
pub fn utc(time: DateTime<Utc>) -> Value {
    Value::from_object(Moment { local: time.naive_utc(), zone: Some(Tz::UTC), date_only: false })
}

fn naive(local: NaiveDateTime) -> Value {
    Value::from_object(Moment { local, zone: None, date_only: false })
}

fn date(day: NaiveDate) -> Value {
    Value::from_object(Moment { local: day.and_time(NaiveTime::MIN), zone: None, date_only: true })
}

/// `2024-01-31`, `2024-01-31 10:00:00[.5][+00:00]`, or the same with a `T`.
pub(super) fn parse(text: &str) -> Option<Value> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date(day));
    }
    let text = text.replacen('T', " ", 1);
    if let Ok(time) = DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f%#z") {
        return Some(utc(time.with_timezone(&Utc)));
    }
    NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok().map(naive)
}

/// `a + b` where one is a date and the other a span, or both are spans.
pub(super) fn add(a: &Value, b: &Value) -> Option<Result<Value, Error>> {
    match (moment(a), span(a), moment(b), span(b)) {
        (Some(time), _, _, Some(span)) | (_, Some(span), Some(time), _) => Some(time.moved(span.0)),
        (_, Some(a), _, Some(b)) => Some(Ok(Value::from_object(Span(a.0 + b.0)))),
        _ => None,
    }
}

/// `a - b` where both are dates, or a date and a span, or both spans.
pub(super) fn subtract(a: &Value, b: &Value) -> Option<Result<Value, Error>> {
    match (moment(a), span(a), moment(b), span(b)) {
        (Some(time), _, _, Some(span)) => Some(time.moved(-span.0)),
        (Some(a), _, Some(b), _) => Some(Ok(Value::from_object(Span(a.instant() - b.instant())))),
        (_, Some(a), _, Some(b)) => Some(Ok(Value::from_object(Span(a.0 - b.0)))),
        _ => None,
    }
}

fn moment(value: &Value) -> Option<&Moment> {
    value.downcast_object_ref()
}

fn span(value: &Value) -> Option<&Span> {
    value.downcast_object_ref()
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

impl Moment {
    fn moved(&self, by: Duration) -> Result<Value, Error> {
        let local = self.local.checked_add_signed(by).ok_or_else(|| invalid("the date is out of range"))?;
        let local = if self.date_only { local.date().and_time(NaiveTime::MIN) } else { local };
        Ok(Value::from_object(Self { local, ..self.clone() }))
    }

    /// The time in UTC, where the zone is known.
    fn instant(&self) -> NaiveDateTime {
        match self.zone.and_then(|zone| zone.from_local_datetime(&self.local).earliest()) {
            Some(time) => time.naive_utc(),
            None => self.local,
        }
    }

    fn offset(&self) -> Option<String> {
        let zone = self.zone?;
        let seconds = zone.from_local_datetime(&self.local).earliest()?.offset().fix().local_minus_utc();
        let sign = if seconds < 0 { '-' } else { '+' };
        Some(format!("{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60))
    }

    fn iso(&self, separator: char) -> String {
        let day = self.local.format("%Y-%m-%d");
        if self.date_only {
            return day.to_string();
        }
        let micros = self.local.nanosecond() / 1000;
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        format!("{day}{separator}{}{fraction}{}", self.local.format("%H:%M:%S"), self.offset().unwrap_or_default())
    }

    /// `strftime`: chrono's patterns are C's, apart from fractions and the zone.
    fn formatted(&self, pattern: &str) -> Result<String, Error> {
        let micros = format!("{:06}", self.local.nanosecond() / 1000);
        let offset = self.offset().unwrap_or_default().replace(':', "");
        let zone = self.zone.map(|zone| match zone.from_local_datetime(&self.local).earliest() {
            Some(time) => time.format("%Z").to_string(),
            None => zone.name().to_string(),
        });
        let pattern = pattern.replace("%f", &micros).replace("%z", &offset).replace("%Z", &zone.unwrap_or_default());
        use std::fmt::Write;
        let mut text = String::new();
        write!(text, "{}", self.local.format(&pattern))
            .map_err(|_| invalid(format!("strftime: `{pattern}` is no valid pattern")))?;
        Ok(text)
    }

    fn replaced(&self, args: &Arguments<'_>) -> Result<Value, Error> {
        let part = |name, now: u32| match args.get(usize::MAX, name) {
            None => Ok(now),
            Some(value) => {
                value.as_i64().and_then(|part| u32::try_from(part).ok()).ok_or_else(|| args.wrong(name, "an integer", value))
            }
        };
        let out_of_range = || invalid("replace: no such date");
        let year = part("year", self.local.year() as u32)? as i32;
        let day = NaiveDate::from_ymd_opt(year, part("month", self.local.month())?, part("day", self.local.day())?);
        let micros = part("microsecond", self.local.nanosecond() / 1000)?;
        let (hour, minute, second) =
            (part("hour", self.local.hour())?, part("minute", self.local.minute())?, part("second", self.local.second())?);
        let local = day.and_then(|day| day.and_hms_micro_opt(hour, minute, second, micros)).ok_or_else(out_of_range)?;
        let zone = match args.get(usize::MAX, "tzinfo") {
            None => self.zone,
            Some(value) => value.downcast_object_ref::<Zone>().map(|zone| zone.0),
        };
        Ok(Value::from_object(Self { local, zone, date_only: self.date_only }))
    }

    fn in_zone(&self, zone: Tz) -> Value {
        let local = zone.from_utc_datetime(&self.instant()).naive_local();
        Value::from_object(Self { local, zone: Some(zone), date_only: false })
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso(' '))
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => Value::from(self.local.year()),
            "month" => Value::from(self.local.month()),
            "day" => Value::from(self.local.day()),
            "hour" => Value::from(self.local.hour()),
            "minute" => Value::from(self.local.minute()),
            "second" => Value::from(self.local.second()),
            "microsecond" => Value::from(self.local.nanosecond() / 1000),
            "tzinfo" => self.zone.map_or(Value::from(()), |zone| Value::from_object(Zone(zone))),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Arguments::new(method, args);
        Ok(match method {
            "strftime" => Value::from(self.formatted(&args.text(0, "format")?)?),
            "isoformat" => {
                let separator = args.optional_text(0, "sep")?.and_then(|text| text.chars().next());
                Value::from(self.iso(separator.unwrap_or('T')))
            }
            "date" => date(self.local.date()),
            "time" => Value::from(self.local.format("%H:%M:%S").to_string()),
            "timestamp" => {
                let time = self.instant().and_utc();
                Value::from(time.timestamp() as f64 + f64::from(time.timestamp_subsec_micros()) / 1e6)
            }
            "weekday" => Value::from(self.local.weekday().num_days_from_monday()),
            "isoweekday" => Value::from(self.local.weekday().number_from_monday()),
            "isocalendar" => {
                let week = self.local.iso_week();
                let parts =
                    [Value::from(week.year()), Value::from(week.week()), Value::from(self.local.weekday().number_from_monday())];
                Value::from(Tuple::from(parts.to_vec()))
            }
            "replace" => self.replaced(&args)?,
            "astimezone" => {
                self.in_zone(args.get(0, "tz").and_then(|zone| zone.downcast_object_ref::<Zone>()).map_or(Tz::UTC, |zone| zone.0))
            }
            _ => return Err(Error::new(ErrorKind::UnknownMethod, format!("a date has no method `{method}`"))),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.instant().cmp(&other.downcast_ref::<Self>()?.instant()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso(' '))
    }
}

impl Span {
    fn text(&self) -> String {
        let seconds = self.0.num_seconds();
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
        match days {
            0 => clock,
            1 | -1 => format!("{days} day, {clock}"),
            _ => format!("{days} days, {clock}"),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Object for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "days" => Value::from(self.0.num_seconds().div_euclid(86_400)),
            "seconds" => Value::from(self.0.num_seconds().rem_euclid(86_400)),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, _args: &[Value]) -> Result<Value, Error> {
        match method {
            "total_seconds" => Ok(Value::from(self.0.num_milliseconds() as f64 / 1000.0)),
            _ => Err(Error::new(ErrorKind::UnknownMethod, format!("a timedelta has no method `{method}`"))),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.as_ref().cmp(other.downcast_ref::<Self>()?))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Object for Zone {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "zone").then(|| Value::from(self.0.name()))
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Arguments::new(method, args);
        match method {
            "localize" => {
                let time = moment(args.require(0, "dt")?).ok_or_else(|| invalid("localize: expected a datetime"))?;
                Ok(Value::from_object(Moment { zone: Some(self.0), ..time.clone() }))
            }
            _ => Err(Error::new(ErrorKind::UnknownMethod, format!("a time zone has no method `{method}`"))),
        }
    }
}

/// `modules`.
pub(super) fn modules(root: &Arc<Root>) -> Value {
    let pytz = record([
        ("timezone", root.function("timezone", timezone)),
        ("utc", Value::from_object(Zone(Tz::UTC))),
        ("UTC", Value::from_object(Zone(Tz::UTC))),
    ]);
    record([
        ("datetime", datetime_module(root)),
        ("pytz", pytz),
        ("re", root.service("re", None, super::pattern::function)),
        ("itertools", root.service("itertools", None, super::iteration::function)),
    ])
}

fn datetime_module(root: &Arc<Root>) -> Value {
    record([
        ("datetime", root.service("datetime", Some(new_datetime), datetime_class)),
        ("date", root.service("date", Some(new_date), date_class)),
        ("timedelta", root.function("timedelta", timedelta)),
        ("timezone", record([("utc", Value::from_object(Zone(Tz::UTC)))])),
    ])
}

fn timezone(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let name = args.text(0, "zone")?;
    let zone: Tz = name.parse().map_err(|_| invalid(format!("timezone: there is no time zone `{name}`")))?;
    Ok(Value::from_object(Zone(zone)))
}

fn datetime_class(name: &str) -> Option<Native> {
    Some(match name {
        "now" | "today" => |root, _, args| now(root, args),
        "utcnow" => |root, _, _| {
            root.passes();
            Ok(naive(Utc::now().naive_utc()))
        },
        "strptime" => |_, _, args| strptime(&args.text(0, "date_string")?, &args.text(1, "format")?),
        "fromisoformat" => |_, _, args| {
            let text = args.text(0, "date_string")?;
            match parse(&text) {
                Some(value) => Ok(moment(&value)
                    .map_or(Value::UNDEFINED, |time| Value::from_object(Moment { date_only: false, ..time.clone() }))),
                None => Err(invalid(format!("fromisoformat: `{text}` is no ISO date"))),
            }
        },
        "fromtimestamp" | "utcfromtimestamp" => |_, _, args| {
            let seconds = f64::try_from(args.require(0, "timestamp")?.clone())?;
            let time =
                DateTime::from_timestamp_micros((seconds * 1e6) as i64).ok_or_else(|| invalid("the date is out of range"))?;
            Ok(naive(time.naive_utc()))
        },
        "combine" => |_, _, args| args.require(0, "date").cloned(),
        _ => return None,
    })
}

fn now(root: &Arc<Root>, args: &Arguments<'_>) -> Result<Value, Error> {
    root.passes();
    match args.get(0, "tz").and_then(|zone| zone.downcast_object_ref::<Zone>()) {
        Some(zone) => Ok(Value::from_object(Moment {
            local: Utc::now().with_timezone(&zone.0).naive_local(),
            zone: Some(zone.0),
            date_only: false,
        })),
        None => Ok(naive(chrono::Local::now().naive_local())),
    }
}

fn date_class(name: &str) -> Option<Native> {
    Some(match name {
        "today" => |root, _, _| {
            root.passes();
            Ok(date(chrono::Local::now().date_naive()))
        },
        "fromisoformat" => |_, _, args| {
            let text = args.text(0, "date_string")?;
            parse(&text).ok_or_else(|| invalid(format!("fromisoformat: `{text}` is no ISO date")))
        },
        _ => return None,
    })
}

fn strptime(text: &str, pattern: &str) -> Result<Value, Error> {
    // Python's `%f` is a fraction without its point, as chrono's `%f` is nanoseconds.
    let pattern = pattern.replace(".%f", "%.f");
    if let Ok(time) = NaiveDateTime::parse_from_str(text, &pattern) {
        return Ok(naive(time));
    }
    if let Ok(time) = DateTime::parse_from_str(text, &pattern) {
        return Ok(utc(time.with_timezone(&Utc)));
    }
    let day = NaiveDate::parse_from_str(text, &pattern)
        .or_else(|_| NaiveDate::parse_from_str(&format!("{text}-01"), &format!("{pattern}-%d")));
    day.map(|day| naive(day.and_time(NaiveTime::MIN)))
        .map_err(|_| invalid(format!("strptime: `{text}` does not match the format `{pattern}`")))
}

fn whole(args: &Arguments<'_>, index: usize, name: &str, default: Option<u32>) -> Result<u32, Error> {
    match (args.get(index, name), default) {
        (None, Some(default)) => Ok(default),
        (None, None) => args.require(index, name).map(|_| 0),
        (Some(value), _) => {
            value.as_i64().and_then(|part| u32::try_from(part).ok()).ok_or_else(|| args.wrong(name, "an integer", value))
        }
    }
}

fn day_of(args: &Arguments<'_>) -> Result<NaiveDate, Error> {
    let (year, month, day) = (whole(args, 0, "year", None)?, whole(args, 1, "month", None)?, whole(args, 2, "day", None)?);
    NaiveDate::from_ymd_opt(year as i32, month, day).ok_or_else(|| invalid(format!("there is no day {year}-{month}-{day}")))
}

fn new_date(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    Ok(date(day_of(args)?))
}

fn new_datetime(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let part = |index, name| whole(args, index, name, Some(0));
    let time = (part(3, "hour")?, part(4, "minute")?, part(5, "second")?, part(6, "microsecond")?);
    let local =
        day_of(args)?.and_hms_micro_opt(time.0, time.1, time.2, time.3).ok_or_else(|| invalid("there is no such time"))?;
    let zone = args.get(7, "tzinfo").and_then(|zone| zone.downcast_object_ref::<Zone>()).map(|zone| zone.0);
    Ok(Value::from_object(Moment { local, zone, date_only: false }))
}

/// `timedelta(days, seconds, microseconds, milliseconds, minutes, hours, weeks)`.
fn timedelta(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    const UNITS: [(&str, f64); 7] = [
        ("days", 86_400e6),
        ("seconds", 1e6),
        ("microseconds", 1.0),
        ("milliseconds", 1e3),
        ("minutes", 60e6),
        ("hours", 3600e6),
        ("weeks", 604_800e6),
    ];
    let mut micros = 0.0;
    for (index, (name, size)) in UNITS.iter().enumerate() {
        if let Some(value) = args.get(index, name) {
            micros += f64::try_from(value.clone()).map_err(|_| args.wrong(name, "a number", value))? * size;
        }
    }
    if micros.abs() > Months::new(12 * 9999).as_u32() as f64 * 31.0 * 86_400e6 {
        return Err(invalid("timedelta: the span is too long"));
    }
    Ok(Value::from_object(Span(Duration::microseconds(micros.round() as i64))))
}
