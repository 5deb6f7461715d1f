//! `source freshness`: how old the newest row of a source is, against `warn_after` and `error_after`.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt;
use serde_json::{Map, Value as Json};

use super::RunRequest;
use super::clock::Clock;
use super::external;
use super::message::{Failure, Sent};
use super::session::Session;
use crate::manifest::Source;
use crate::name::UniqueId;
use crate::result::Timing;

/// How a source's freshness was judged, spelt as in `sources.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreshnessStatus {
    Pass,
    Warn,
    Error,
    RuntimeError,
}

impl FreshnessStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::RuntimeError => "runtime error",
        }
    }
}

/// One source's freshness, with what `sources.json` (v3) holds of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshnessResult {
    pub unique_id: UniqueId,
    pub status: FreshnessStatus,
    pub max_loaded_at: Option<DateTime<Utc>>,
    pub snapshotted_at: Option<DateTime<Utc>>,
    /// Seconds.
    pub age: Option<f64>,
    /// The `freshness:` block.
    pub criteria: Json,
    pub message: Option<String>,
    pub timing: Vec<Timing>,
    /// Seconds.
    pub execution_time: f64,
}

impl FreshnessResult {
    /// The entry of `sources.json`.
    pub fn to_json(&self) -> Json {
        let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        if self.status == FreshnessStatus::RuntimeError {
            return serde_json::json!({"unique_id": self.unique_id, "error": self.message, "status": self.status.as_str()});
        }
        serde_json::json!({
            "unique_id": self.unique_id,
            "max_loaded_at": time(self.max_loaded_at),
            "snapshotted_at": time(self.snapshotted_at),
            "max_loaded_at_time_ago_in_s": self.age,
            "status": self.status.as_str(),
            "criteria": self.criteria,
            "adapter_response": {},
            "timing": self.timing,
            "thread_id": "main",
            "execution_time": self.execution_time,
        })
    }
}

/// Checks the plan's sources that declare `freshness`, `threads` at a time; results in the plan's order.
pub async fn source_freshness(run: RunRequest) -> Vec<FreshnessResult> {
    let session = Arc::new(Session::new(run));
    let unstaged = external::stage(&session).await;
    let steps = session.run.plan.steps.iter();
    let sources: Vec<Source> = steps.filter_map(|step| session.run.manifest.sources.get(&step.unique_id)).cloned().collect();
    let checks = sources.into_iter().filter(|source| source.freshness.as_ref().is_some_and(Json::is_object)).map(|source| {
        let (session, failed) = (session.clone(), unstaged.get(&source.unique_id).cloned());
        async move { check(&session, &source, failed).await }
    });
    futures::stream::iter(checks).buffered(session.run.settings.threads.max(1)).collect().await
}

async fn check(session: &Session, source: &Source, unstaged: Option<String>) -> FreshnessResult {
    let mut clock = Clock::start();
    let criteria = source.freshness.clone().unwrap_or_default();
    let newest = match (unstaged, statement(source, &criteria)) {
        (Some(reason), _) => Err(Failure::Runtime(reason)),
        (None, None) => Err(Failure::Runtime(format!(
            "source `{}.{}` has `freshness` but neither `loaded_at_field` nor `loaded_at_query`",
            source.source_name, source.name
        ))),
        (None, Some(sql)) => {
            let world = session.run.world.clone();
            let work = session.run.adapter.max_loaded_at(&sql);
            let asked = async {
                tokio::select! {
                    biased;
                    answer = work => Some(answer),
                    () = session.stop.cancelled() => None,
                }
            };
            match clock.time("execute", world.as_ref(), asked).await {
                Some(Ok(newest)) => Ok(newest),
                Some(Err(error)) => Err(Failure::Database { error, sent: Some(Sent { sql, compiled: None }) }),
                None => Err(Failure::Runtime("cancelled while it ran".to_string())),
            }
        }
    };
    judged(session, source, criteria, (newest, clock))
}

fn judged(
    session: &Session,
    source: &Source,
    criteria: Json,
    (newest, clock): (Result<Option<DateTime<Utc>>, Failure>, Clock),
) -> FreshnessResult {
    let now = session.run.world.now();
    let mut result = FreshnessResult {
        unique_id: source.unique_id.clone(),
        status: FreshnessStatus::RuntimeError,
        max_loaded_at: None,
        snapshotted_at: Some(now),
        age: None,
        criteria,
        message: None,
        execution_time: clock.elapsed(),
        timing: clock.timing,
    };
    match newest {
        Err(failure) => result.message = Some(failure.message_alone()),
        Ok(newest) => {
            // An empty table counts as loaded at the year 1 in dbt: as old as can be.
            let newest = newest.unwrap_or(year_one());
            let age = (now - newest).as_seconds_f64();
            (result.max_loaded_at, result.age) = (Some(newest), Some(age));
            result.status = status(&result.criteria, age);
        }
    }
    result
}

fn year_one() -> DateTime<Utc> {
    chrono::NaiveDate::from_ymd_opt(1, 1, 1).map_or(DateTime::UNIX_EPOCH, |day| day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// The query of a source's newest row; none if it does not say how to tell.
fn statement(source: &Source, criteria: &Json) -> Option<String> {
    if let Some(query) = &source.loaded_at_query {
        return Some(query.clone());
    }
    let field = source.loaded_at_field.as_ref()?;
    let filter = criteria.get("filter").and_then(Json::as_str).map_or(String::new(), |filter| format!("\nwhere {filter}"));
    Some(format!("select max({field}) as max_loaded_at\nfrom {}{filter}", source.relation()))
}

/// `error_after` first, then `warn_after`; a threshold without count or period never strikes.
fn status(criteria: &Json, age: f64) -> FreshnessStatus {
    let exceeded = |key: &str| criteria.get(key).and_then(Json::as_object).and_then(seconds).is_some_and(|limit| age > limit);
    if exceeded("error_after") {
        FreshnessStatus::Error
    } else if exceeded("warn_after") {
        FreshnessStatus::Warn
    } else {
        FreshnessStatus::Pass
    }
}

fn seconds(threshold: &Map<String, Json>) -> Option<f64> {
    let count = threshold.get("count")?.as_f64()?;
    let unit = match threshold.get("period")?.as_str()?.trim_end_matches('s') {
        "minute" => 60.0,
        "hour" => 3600.0,
        "day" => 86400.0,
        _ => return None,
    };
    Some(count * unit)
}
