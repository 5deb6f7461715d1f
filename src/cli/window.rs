//! Stretches of time on the command line: `--event-time-start`, `--event-time-end` and `--sample`.

use chrono::{DateTime, Utc};
use headwater::compile::{BatchSize, Window, moment};
use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::manifest::JsonMap;
use serde_json::Value as Json;

use crate::cli::settings::mapping;

/// What was typed, or set by `DBT_SAMPLE` and `DBT_EVENT_TIME_…`.
#[derive(Clone, Debug, Default)]
pub struct TypedWindows {
    pub sample: Option<String>,
    pub event_time_start: Option<String>,
    pub event_time_end: Option<String>,
}

/// The same as moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    pub sample: Option<Window>,
    pub event_time_start: Option<DateTime<Utc>>,
    pub event_time_end: Option<DateTime<Utc>>,
}

impl TypedWindows {
    /// The texts as `run_results.json` keeps them under `args`, where there are any.
    pub fn artifact_args(&self) -> JsonMap {
        let args =
            [("sample", &self.sample), ("event_time_start", &self.event_time_start), ("event_time_end", &self.event_time_end)];
        args.into_iter().filter_map(|(key, text)| Some((key.to_string(), Json::from(text.clone()?)))).collect()
    }

    /// Reads the moments; `now` is where a relative sample ends.
    pub fn read(&self, now: DateTime<Utc>) -> Outcome<Windows> {
        let event_time_start = time("--event-time-start", self.event_time_start.as_deref())?;
        let event_time_end = time("--event-time-end", self.event_time_end.as_deref())?;
        let alone = |given: &str, missing: &str| {
            Diagnostic::error("bad-argument", format!("{given} is given without {missing}: a stretch of time has both ends"))
                .fail()
        };
        match (event_time_start, event_time_end) {
            (Some(_), None) => return alone("--event-time-start", "--event-time-end"),
            (None, Some(_)) => return alone("--event-time-end", "--event-time-start"),
            (Some(start), Some(end)) if start >= end => {
                return Diagnostic::error("bad-argument", "--event-time-start must be before --event-time-end").fail();
            }
            _ => {}
        }
        let sample = self.sample.as_deref().map(|text| sample(text, now)).transpose()?;
        Ok(Windows { sample, event_time_start, event_time_end })
    }
}

fn time(flag: &str, text: Option<&str>) -> Outcome<Option<DateTime<Utc>>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || {
        Diagnostic::error("bad-argument", format!("{flag}: `{text}` is no date or time"))
            .help("expected a form like 2024-09-17 or 2024-09-17T10:00:00, in UTC")
    };
    moment(text).map(Some).ok_or_else(|| Box::new(wrong()))
}

/// `3 days`: the stretch of that length that ends now; or `{start: …, end: …}`.
fn sample(text: &str, now: DateTime<Utc>) -> Outcome<Window> {
    if text.trim_start().starts_with('{') {
        let window = mapping("--sample", Some(text))?;
        let at = |key: &str| time("--sample", window.get(key).and_then(Json::as_str));
        return match (at("start")?, at("end")?) {
            (Some(start), Some(end)) => Ok(Window { start, end }),
            _ => wrong_sample(text),
        };
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [count, grain] = words[..] else { return wrong_sample(text) };
    let size = BatchSize::named(grain.to_lowercase().trim_end_matches('s'));
    match (count.parse::<i32>(), size) {
        (Ok(count), Some(size)) => Ok(Window { start: size.shift(now, count.saturating_neg()), end: now }),
        _ => wrong_sample(text),
    }
}

fn wrong_sample<T>(text: &str) -> Outcome<T> {
    Diagnostic::error("bad-argument", format!("--sample: `{text}` is no stretch of time"))
        .help(format!(
            "expected a form like `3 days` (of {}), or `{{start: 2024-09-01, end: 2024-09-08}}`",
            BatchSize::NAMES.join(", ")
        ))
        .fail()
}
