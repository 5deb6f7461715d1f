//! Events as JSON lines, each in the shape of dbt's structured logs: `{"info": {...}, "data": {...}}`, with dbt's event names.

use serde_json::{Value as Json, json};

use crate::cli::args::LogLevel;
use crate::cli::line::{self, Manner};
use crate::cli::output::Output;
use headwater::event::{BatchInfo, Event, EventSink, NodeInfo, Summary};
use headwater::name::ResourceType;
use headwater::result::{NodeResult, Status};

/// Prints events as JSON lines.
pub struct JsonPrinter {
    pub level: LogLevel,
    pub manner: Manner,
    pub invocation_id: String,
    pub target_name: String,
    pub output: Output,
}

/// One line before it is framed: dbt's event name and code, level, text and data.
struct Line {
    name: &'static str,
    code: &'static str,
    level: LogLevel,
    message: String,
    data: Json,
}

impl Line {
    fn new((name, code): (&'static str, &'static str), level: LogLevel, message: String, data: Json) -> Self {
        Self { name, code, level, message, data }
    }
}

impl JsonPrinter {
    fn print(&self, line: Line) {
        // What is printed is output, not a log line: it comes at every level.
        if line.level < self.level && line.name != "PrintEvent" {
            return;
        }
        let framed = json!({
            "data": line.data,
            "info": {
                "category": "", "code": line.code, "extra": {}, "invocation_id": self.invocation_id, "level": line.level.word(),
                "msg": line.message, "name": line.name, "pid": std::process::id(), "thread": "MainThread",
                "ts": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            }
        });
        self.output.line(&framed.to_string());
    }

    fn run_started(&self, counts: &[(ResourceType, usize)], threads: usize) {
        let found = line::counted(counts);
        let data = json!({"stat_line": found});
        self.print(Line::new(("FoundStats", "W006"), LogLevel::Info, format!("Found {found}"), data));
        let message = format!("Concurrency: {threads} threads (target='{}')", self.target_name);
        let data = json!({"num_threads": threads, "target_name": self.target_name});
        self.print(Line::new(("ConcurrencyLine", "Q027"), LogLevel::Info, message, data));
    }

    fn node_started(&self, index: usize, total: usize, node: &NodeInfo) {
        let level = if self.manner.compiling { LogLevel::Debug } else { LogLevel::Info };
        let data = json!({"index": index, "total": total, "description": line::describe(node),
            "node_info": node_info(node, "started", None)});
        self.print(Line::new(("LogStartLine", "Q011"), level, line::started(index, total, node, self.manner), data));
    }

    fn node_finished(&self, index: usize, total: usize, node: &NodeInfo, result: &NodeResult) {
        let status = serde_json::to_value(result.status).unwrap_or(Json::Null);
        let (level, message) = line::finished(index, total, node, result, self.manner);
        let mut data = json!({"index": index, "total": total, "description": line::describe(node), "status": status,
            "execution_time": result.execution_time, "message": result.message,
            "node_info": node_info(node, status.as_str().unwrap_or_default(), Some(result)),
            "adapter_response": result.adapter_response});
        if node.resource_type == ResourceType::Test {
            data["name"] = json!(node.name);
            data["num_failures"] = json!(result.failures.unwrap_or_default());
            data["num_models"] = json!(total);
        }
        self.print(Line::new(finished_name(node, result), level, message, data));
    }

    fn batch_started(&self, batch: &BatchInfo) {
        let data = json!({"batch_index": batch.index, "total_batches": batch.total, "description": batch_words(batch),
            "node_info": node_info(&batch.node, "started", None)});
        self.print(Line::new(("LogStartBatch", "Q045"), LogLevel::Info, line::batch_started(batch, self.manner), data));
    }

    fn batch_finished(&self, batch: &BatchInfo, result: &NodeResult) {
        let status = serde_json::to_value(result.status).unwrap_or(Json::Null);
        let (level, message) = line::batch_finished(batch, result, self.manner);
        let data = json!({"batch_index": batch.index, "total_batches": batch.total, "description": batch_words(batch),
            "status": status, "execution_time": result.execution_time, "message": result.message,
            "node_info": node_info(&batch.node, status.as_str().unwrap_or_default(), Some(result))});
        self.print(Line::new(("LogBatchResult", "Q046"), level, message, data));
    }

    fn run_finished(&self, elapsed: f64, summary: &Summary, results: &[NodeResult], interrupted: bool) {
        for result in results.iter().filter(|result| result.is_failure() || result.status == Status::Warn) {
            let message = result.message.clone().unwrap_or_default();
            let (name, level) = match result.status {
                Status::Warn => (("RunResultWarningMessage", "Z049"), LogLevel::Warn),
                _ => (("RunResultError", "Z024"), LogLevel::Error),
            };
            let data = json!({"msg": message, "unique_id": result.unique_id, "failures": result.failures});
            self.print(Line::new(name, level, message, data));
        }
        let data = json!({"num_errors": summary.error - summary.partial, "num_warnings": summary.warn, "num_partial_success": summary.partial,
            "execution_time": elapsed});
        let level = if summary.error > 0 || interrupted { LogLevel::Error } else { LogLevel::Info };
        self.print(Line::new(("EndOfRunSummary", "Z030"), level, line::verdict(summary, interrupted, self.manner.style), data));
        let data = json!({"elapsed": elapsed, "stats": {"pass": summary.pass, "warn": summary.warn, "error": summary.error,
            "skip": summary.skip, "noop": summary.no_op, "total": summary.total}});
        self.print(Line::new(("StatsLine", "Z023"), LogLevel::Info, line::done(summary), data));
    }
}

impl EventSink for JsonPrinter {
    fn emit(&self, event: Event) {
        match event {
            Event::Diagnostic(diagnostic) => {
                let level = if diagnostic.is_error() { LogLevel::Error } else { LogLevel::Warn };
                let place =
                    diagnostic.location.as_ref().map(|at| json!({"path": &*at.path, "line": at.line, "column": at.column}));
                let data = json!({"code": diagnostic.code, "message": diagnostic.message, "location": place,
                    "help": diagnostic.help, "trace": diagnostic.trace});
                self.print(Line::new(("Diagnostic", "D001"), level, diagnostic.to_string(), data));
            }
            Event::Message { text, info } => {
                let (name, level) = match info {
                    true => (("JinjaLogInfo", "I062"), LogLevel::Info),
                    false => (("JinjaLogDebug", "I063"), LogLevel::Debug),
                };
                let data = json!({"msg": text});
                self.print(Line::new(name, level, text, data));
            }
            Event::Statement { connection, sql } => {
                let data = json!({"conn_name": connection, "sql": sql});
                self.print(Line::new(("SQLQuery", "E016"), LogLevel::Debug, line::statement(&connection, &sql), data));
            }
            Event::Print { text } => {
                let data = json!({"msg": text});
                self.print(Line::new(("PrintEvent", "Z052"), LogLevel::Info, text, data));
            }
            Event::RunStarted { counts, threads } => self.run_started(&counts, threads),
            Event::NodeStarted { index, total, node } => self.node_started(index, total, &node),
            Event::NodeFinished { index, total, node, result } => self.node_finished(index, total, &node, &result),
            Event::BatchStarted(batch) => self.batch_started(&batch),
            Event::BatchFinished { batch, result } => self.batch_finished(&batch, &result),
            Event::RunFinished { elapsed, summary, results, interrupted } => {
                self.run_finished(elapsed, &summary, &results, interrupted);
            }
        }
    }
}

fn batch_words(batch: &BatchInfo) -> String {
    format!("batch {} of {}", batch.label, batch.node.display_name)
}

/// dbt's name and code of the line that tells how a node ended.
fn finished_name(node: &NodeInfo, result: &NodeResult) -> (&'static str, &'static str) {
    match (result.status, node.resource_type) {
        (Status::Skipped, _) => ("SkippingDetails", "Q034"),
        (_, ResourceType::Test) => ("LogTestResult", "Q007"),
        (_, ResourceType::Seed) => ("LogSeedResult", "Q016"),
        (_, ResourceType::Snapshot) => ("LogSnapshotResult", "Q015"),
        (_, ResourceType::Operation) => ("LogHookEndLine", "Q033"),
        (_, ResourceType::Source) => ("LogFreshnessResult", "Q018"),
        (_, ResourceType::Model) => ("LogModelResult", "Q012"),
        _ => ("NodeFinished", "Q025"),
    }
}

fn node_info(node: &NodeInfo, status: &str, result: Option<&NodeResult>) -> Json {
    let timings = result.map(|result| result.timing.as_slice()).unwrap_or_default();
    let started = timings.first().and_then(|timing| timing.started_at.clone()).unwrap_or_default();
    let finished = timings.last().and_then(|timing| timing.completed_at.clone()).unwrap_or_default();
    let relation = result.and_then(|result| result.relation_name.clone()).unwrap_or_default();
    json!({"unique_id": node.unique_id, "resource_type": node.resource_type, "node_name": node.name,
        "materialized": node.materialized, "node_path": node.original_file_path, "node_status": status,
        "node_started_at": started, "node_finished_at": finished, "node_relation": {"relation_name": relation}})
}
