//! `source freshness`: how old the newest row of a source is, against `warn_after` and `error_after`.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde_json::{Map, Value as Json};

use super::clock::Clock;
use super::external;
use super::hook;
use super::message::{Failure, Sent};
use super::session::Session;
use super::{RunOutcome, RunRequest};
use crate::artifact::FreshnessResult;
use crate::event::{Event, NodeInfo};
use crate::manifest::{JsonMap, Source};
use crate::name::ResourceType;
use crate::result::{NodeResult, Status};

/// How fresh sources are.
#[derive(Clone, Debug, Default)]
pub struct FreshnessOutcome {
    /// One a source, in the plan's order.
    pub sources: Vec<FreshnessResult>,
    /// The same as a run's results, those of the project's hooks among them.
    pub run: RunOutcome,
}

/// Checks the plan's sources that declare `freshness`, `threads` at a time, between the project's hooks.
pub async fn source_freshness(run: RunRequest) -> FreshnessOutcome {
    let started = Instant::now();
    let session = Arc::new(Session::new(run));
    session.announce();
    let with_hooks = session.run.project.flags.get("source_freshness_run_project_hooks").and_then(Json::as_bool) != Some(false);
    let mut results = if with_hooks { hook::on_run_start(&session).await } else { Vec::new() };
    let sources = check_all(&session).await;
    results.extend(sources.iter().map(node_result));
    if with_hooks && !session.run.cancel.is_cancelled() {
        let ended = hook::on_run_end(&session, &results).await;
        results.extend(ended);
    }
    FreshnessOutcome { sources, run: super::finish(&session, results, started) }
}

/// Whether a source's criteria ask for anything: a count and a period of one of the two.
fn is_asked(freshness: &Json) -> bool {
    let is_time = |time: &Json| !time["count"].is_null() && !time["period"].is_null();
    is_time(&freshness["warn_after"]) || is_time(&freshness["error_after"])
}

async fn check_all(session: &Arc<Session>) -> Vec<FreshnessResult> {
    let unstaged = external::stage(session).await;
    let steps = session.run.plan.steps.iter();
    let sources: Vec<Source> = steps.filter_map(|step| session.run.manifest.sources.get(&step.unique_id)).cloned().collect();
    let sources: Vec<Source> = sources.into_iter().filter(|source| source.freshness.as_ref().is_some_and(is_asked)).collect();
    let total = sources.len();
    let checks = sources.into_iter().enumerate().map(|(at, source)| {
        let (session, failed) = (session.clone(), unstaged.get(&source.unique_id).cloned());
        async move { check(&session, &source, (at + 1, total), failed).await }
    });
    futures::stream::iter(checks).buffered(session.run.settings.threads.max(1)).collect().await
}

async fn check(session: &Session, source: &Source, (index, total): (usize, usize), unstaged: Option<String>) -> FreshnessResult {
    let node = info(source);
    session.run.events.emit(Event::NodeStarted { index, total, node: node.clone() });
    let mut clock = Clock::start();
    clock.time("compile", session.run.world.as_ref(), async {}).await;
    let criteria = source.freshness.clone().unwrap_or_default();
    let newest = match (unstaged, statement(source, &criteria)) {
        (Some(reason), _) => Err(Failure::Runtime(reason)),
        (None, None) => Err(Failure::Runtime(format!(
            "source `{}.{}` has `freshness` but neither `loaded_at_field` nor `loaded_at_query`",
            source.source_name, source.name
        ))),
        (None, Some(sql)) => {
            let world = session.run.world.clone();
            clock.time("execute", world.as_ref(), newest(session, sql)).await
        }
    };
    let mut result = judged(session, source, criteria, (newest, clock));
    result.thread_id = format!("Thread-{} (worker)", (index - 1) % session.run.settings.threads.max(1) + 1);
    session.run.events.emit(Event::NodeFinished { index, total, node, result: Box::new(node_result(&result)) });
    result
}

/// Asks for the newest row's time.
async fn newest(session: &Session, sql: String) -> Result<Option<DateTime<Utc>>, Failure> {
    tokio::select! {
        biased;
        answer = session.run.adapter.max_loaded_at(&sql) => {
            answer.map_err(|error| Failure::Database { error, sent: Some(Sent { sql: sql.clone(), compiled: None, location: None }) })
        }
        () = session.stop.cancelled() => Err(Failure::Runtime("cancelled while it ran".to_string())),
    }
}

fn judged(
    session: &Session,
    source: &Source,
    criteria: Json,
    (newest, clock): (Result<Option<DateTime<Utc>>, Failure>, Clock),
) -> FreshnessResult {
    let now = session.run.world.now();
    let (status, max_loaded_at, error) = match newest {
        Err(failure) => (Status::RuntimeError, None, Some(failure.message_alone(&session.run))),
        Ok(newest) => {
            // dbt takes an empty table as loaded in the year 1: as old as can be.
            let newest = newest.unwrap_or_else(year_one);
            (status(&criteria, (now - newest).as_seconds_f64()), Some(newest), None)
        }
    };
    FreshnessResult {
        unique_id: source.unique_id.clone(),
        status,
        max_loaded_at,
        snapshotted_at: now,
        criteria,
        adapter_response: response(session, max_loaded_at),
        execution_time: clock.elapsed(),
        timing: clock.timing,
        thread_id: "main".to_string(),
        error,
    }
}

/// What the server said of the question: one row, where it is a server that says such things.
fn response(session: &Session, answered: Option<DateTime<Utc>>) -> JsonMap {
    if answered.is_none() || !session.run.adapter.builds_by_macros() {
        return JsonMap::new();
    }
    JsonMap::from_iter([
        ("_message".to_string(), Json::from("SELECT 1")),
        ("code".to_string(), Json::from("SELECT")),
        ("rows_affected".to_string(), Json::from(1)),
    ])
}

fn info(source: &Source) -> NodeInfo {
    NodeInfo {
        unique_id: source.unique_id.clone(),
        resource_type: ResourceType::Source,
        name: source.name.clone(),
        materialized: "freshness".to_string(),
        is_microbatch: false,
        display_name: format!("{}.{}", source.source_name, source.name),
        original_file_path: source.original_file_path.clone(),
    }
}

/// The same outcome as the events carry it.
fn node_result(result: &FreshnessResult) -> NodeResult {
    NodeResult {
        status: result.status,
        timing: result.timing.clone(),
        thread_id: result.thread_id.clone(),
        execution_time: result.execution_time,
        adapter_response: result.adapter_response.clone(),
        message: result.error.clone().or_else(|| newest_row(result)),
        failures: None,
        unique_id: result.unique_id.clone(),
        compiled: None,
        compiled_code: None,
        relation_name: None,
        batch_results: None,
    }
}

/// What a person wants to know of a stale source.
fn newest_row(result: &FreshnessResult) -> Option<String> {
    let newest = result.max_loaded_at?;
    if newest == year_one() {
        return Some("there is no row".to_string());
    }
    let age = result.snapshotted_at - newest;
    let age = match (age.num_days(), age.num_hours(), age.num_minutes()) {
        (days @ 2.., ..) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, minutes) => format!("{minutes} minutes"),
    };
    Some(format!("the newest row is {age} old: {}", newest.format("%Y-%m-%d %H:%M:%S UTC")))
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
fn status(criteria: &Json, age: f64) -> Status {
    let exceeded = |key: &str| criteria.get(key).and_then(Json::as_object).and_then(seconds).is_some_and(|limit| age > limit);
    if exceeded("error_after") {
        Status::Error
    } else if exceeded("warn_after") {
        Status::Warn
    } else {
        Status::Pass
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
