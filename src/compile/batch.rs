//! Stretches of time: the batches of microbatch models, and the window of `--sample`. Pure arithmetic on UTC, with dbt's
//! rounding.

use chrono::{DateTime, Datelike, Days, DurationRound, Months, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value as Json, json};

use crate::manifest::Node;

/// From `start` up to, but not with, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Window {
    /// The part that lies in both.
    pub fn within(self, other: Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// SQL that holds for rows whose `event_time` lies in it.
    pub fn condition(&self, event_time: &str) -> String {
        format!("{event_time} >= '{}' and {event_time} < '{}'", literal(self.start), literal(self.end))
    }

    /// `[start, end]` as `run_results.json` keeps batches.
    pub fn to_json(&self) -> Json {
        json!([iso(self.start), iso(self.end)])
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(value: &Json) -> Option<Self> {
        let at = |index: usize| moment(value.get(index)?.as_str()?);
        Some(Self { start: at(0)?, end: at(1)? })
    }
}

/// One batch of a microbatch model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub window: Window,
    pub size: BatchSize,
    /// The first batch of the run: the only one that may build the table anew.
    pub is_first: bool,
}

impl Batch {
    /// SQL that holds for the batch's rows.
    pub fn condition(&self, event_time: &str) -> String {
        self.window.condition(event_time)
    }

    /// `2024-09-17`, as lines and file names have it.
    pub fn label(&self) -> String {
        let form = match self.size {
            BatchSize::Hour => "%Y-%m-%dT%H",
            BatchSize::Day => "%Y-%m-%d",
            BatchSize::Month => "%Y-%m",
            BatchSize::Year => "%Y",
        };
        self.window.start.format(form).to_string()
    }

    /// `model.batch.id`.
    pub fn id(&self) -> String {
        self.label().replace('-', "")
    }
}

/// `batch_size`, and the grains of `--sample`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    Hour,
    Day,
    Month,
    Year,
}

impl BatchSize {
    pub const NAMES: [&'static str; 4] = ["hour", "day", "month", "year"];

    pub fn named(name: &str) -> Option<Self> {
        match name {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// The start of the stretch that `at` lies in.
    pub fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let date = match self {
            Self::Hour => return at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at),
            Self::Day => Some(at.date_naive()),
            Self::Month => NaiveDate::from_ymd_opt(at.year(), at.month(), 1),
            Self::Year => NaiveDate::from_ymd_opt(at.year(), 1, 1),
        };
        date.and_then(|date| date.and_hms_opt(0, 0, 0)).map_or(at, |at| at.and_utc())
    }

    /// `at` if a stretch starts there, else the start of the next one.
    pub fn ceiling(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(at);
        if floor == at { at } else { self.shift(floor, 1) }
    }

    /// `at`, so many stretches later; a day of a month that is too short becomes its last one.
    pub fn shift(self, at: DateTime<Utc>, count: i32) -> DateTime<Utc> {
        let size = count.unsigned_abs();
        let months = Months::new(if self == Self::Year { size.saturating_mul(12) } else { size });
        let moved = match (self, count < 0) {
            (Self::Hour, _) => at.checked_add_signed(TimeDelta::hours(count.into())),
            (Self::Day, false) => at.checked_add_days(Days::new(size.into())),
            (Self::Day, true) => at.checked_sub_days(Days::new(size.into())),
            (Self::Month | Self::Year, false) => at.checked_add_months(months),
            (Self::Month | Self::Year, true) => at.checked_sub_months(months),
        };
        moved.unwrap_or(at)
    }
}

/// What decides which batches a run of a microbatch model has.
#[derive(Clone, Copy, Debug)]
pub struct BatchPlan<'a> {
    pub node: &'a Node,
    /// Whether the model's table is there and is not built anew.
    pub is_incremental: bool,
    /// `--event-time-start` and `--event-time-end`, or the window of `--sample`.
    pub start: Option<DateTime<Utc>>,
    pub end: Option<DateTime<Utc>>,
    /// When the command began.
    pub now: DateTime<Utc>,
}

impl BatchPlan<'_> {
    /// The batches in order, at least one: without a start from the command line they begin at `begin`, or `lookback` batches
    /// before the current one where the table is there.
    ///
    /// # Errors
    /// What the model's config lacks, as a sentence.
    pub fn batches(&self) -> Result<Vec<Batch>, String> {
        let size = self.size()?;
        let end = size.ceiling(self.end.unwrap_or(self.now));
        let start = self.first(size, end)?;
        let mut starts = vec![start];
        let mut next = size.shift(size.floor(start), 1);
        while next < end {
            starts.push(next);
            next = size.shift(next, 1);
        }
        let ends = starts.iter().skip(1).copied().chain([end]);
        let windows = starts.iter().copied().zip(ends).map(|(start, end)| Window { start, end });
        Ok(in_order(windows.collect(), size))
    }

    /// The model's `batch_size`.
    pub fn size(&self) -> Result<BatchSize, String> {
        let name = self.node.config_str("batch_size");
        name.and_then(BatchSize::named).ok_or_else(|| {
            let expected = BatchSize::NAMES.join(", ");
            let wrong = name.map_or_else(|| "has no `batch_size`".to_string(), |name| format!("has `batch_size: {name}`"));
            format!("microbatch model `{}` {wrong}; expected one of {expected}", self.node.name)
        })
    }

    fn first(&self, size: BatchSize, end: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
        if let Some(start) = self.start {
            return Ok(size.floor(start));
        }
        if !self.is_incremental {
            let name = &self.node.name;
            let begin = self.node.config.get("begin").and_then(Json::as_str);
            let begin =
                begin.ok_or_else(|| format!("microbatch model `{name}` requires a `begin`: when its first rows happened"))?;
            let at = moment(begin).ok_or_else(|| format!("microbatch model `{name}`: `begin: {begin}` is no date or time"))?;
            return Ok(size.floor(at));
        }
        let lookback = self.node.config.get("lookback").and_then(Json::as_i64).unwrap_or(1);
        let lookback = i32::try_from(lookback).unwrap_or(i32::MAX - 1);
        // An end on the line between two batches belongs to the batch before it.
        let on_line = size.floor(end) == end;
        Ok(size.shift(size.floor(end), -(lookback + i32::from(on_line))))
    }
}

/// Windows as the batches of one run.
pub fn in_order(windows: Vec<Window>, size: BatchSize) -> Vec<Batch> {
    windows.into_iter().enumerate().map(|(index, window)| Batch { window, size, is_first: index == 0 }).collect()
}

/// A date or a time as people write it; without a zone it is UTC.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    if let Some(at) =
        ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%z"].iter().find_map(|form| DateTime::parse_from_str(text, form).ok())
    {
        return Some(at.to_utc());
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    Some(local.or_else(day)?.and_utc())
}

/// `2024-09-17T00:00:00+00:00`.
pub fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// `2024-09-17 00:00:00+00:00`, as SQL compares with.
fn literal(at: DateTime<Utc>) -> String {
    iso(at).replacen('T', " ", 1)
}
