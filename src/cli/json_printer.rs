//! The console as JSON lines, each in the shape of dbt's structured logs: `{"info": {...}, "data": {...}}`.

use std::io::Write;

use serde_json::{Value as Json, json};

use crate::cli::args::LogLevel;
use headwater::event::{Event, EventSink, NodeInfo};
use headwater::result::{NodeResult, Status};

/// Prints events as JSON lines.
pub struct JsonPrinter {
    level: LogLevel,
    invocation_id: String,
}

/// One line before it is framed: dbt's event name and code, level, text and data.
struct Line {
    name: &'static str,
    code: &'static str,
    level: LogLevel,
    message: String,
    data: Json,
}

impl JsonPrinter {
    pub fn new(level: LogLevel, invocation_id: String) -> Self {
        Self { level, invocation_id }
    }

    fn print(&self, line: Line) {
        if line.level < self.level {
            return;
        }
        let level = match line.level {
            LogLevel::Debug => "debug",
            LogLevel::Info | LogLevel::None => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let framed = json!({
            "data": line.data,
            "info": {
                "category": "", "code": line.code, "extra": {}, "invocation_id": self.invocation_id, "level": level,
                "msg": line.message, "name": line.name, "pid": std::process::id(), "thread": "MainThread",
                "ts": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            }
        });
        // A closed pipe ends the output, not the run.
        let _ = writeln!(std::io::stdout().lock(), "{framed}");
    }
}

impl EventSink for JsonPrinter {
    fn emit(&self, event: Event) {
        self.print(line_of(event));
    }
}

fn line_of(event: Event) -> Line {
    match event {
        Event::Diagnostic(diagnostic) => {
            let level = if diagnostic.is_error() { LogLevel::Error } else { LogLevel::Warn };
            let place = diagnostic.location.as_ref().map(|at| json!({"path": &*at.path, "line": at.line, "column": at.column}));
            let data = json!({"code": diagnostic.code, "message": diagnostic.message, "location": place,
                "help": diagnostic.help, "trace": diagnostic.trace});
            Line { name: "Diagnostic", code: "D001", level, message: diagnostic.to_string(), data }
        }
        Event::Message { text, info } => {
            let level = if info { LogLevel::Info } else { LogLevel::Debug };
            let data = json!({"msg": text});
            Line { name: "JinjaLogInfo", code: "I062", level, message: text, data }
        }
        Event::Print { text } => {
            let data = json!({"msg": text});
            Line { name: "PrintEvent", code: "Z052", level: LogLevel::None, message: text, data }
        }
        Event::RunStarted { counts, threads } => {
            let counts: serde_json::Map<_, _> = counts.iter().map(|(kind, n)| (kind.as_str().to_string(), json!(n))).collect();
            let data = json!({"counts": counts, "num_threads": threads});
            Line { name: "ConcurrencyLine", code: "Q026", level: LogLevel::Info, message: format!("{threads} threads"), data }
        }
        Event::NodeStarted { index, total, node } => {
            let data = json!({"index": index, "total": total, "node_info": node_info(&node, "started")});
            Line {
                name: "LogStartLine",
                code: "Q011",
                level: LogLevel::Info,
                message: format!("START {}", node.display_name),
                data,
            }
        }
        Event::NodeFinished { index, total, node, result } => finished_line(index, total, &node, &result),
        Event::RunFinished { elapsed, summary, .. } => {
            let data = json!({"elapsed": elapsed, "stats": {"pass": summary.pass, "warn": summary.warn, "error": summary.error,
                "skip": summary.skip, "noop": summary.no_op, "total": summary.total}});
            let message = format!(
                "Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP={} TOTAL={}",
                summary.pass, summary.warn, summary.error, summary.skip, summary.no_op, summary.total
            );
            Line { name: "StatsLine", code: "Z023", level: LogLevel::Info, message, data }
        }
    }
}

fn finished_line(index: usize, total: usize, node: &NodeInfo, result: &NodeResult) -> Line {
    let status = serde_json::to_value(result.status).unwrap_or(Json::Null);
    let level = match result.status {
        Status::Warn => LogLevel::Warn,
        _ if result.is_failure() => LogLevel::Error,
        _ => LogLevel::Info,
    };
    let data = json!({"index": index, "total": total, "status": status, "execution_time": result.execution_time,
        "message": result.message, "failures": result.failures, "adapter_response": result.adapter_response,
        "node_info": node_info(node, status.as_str().unwrap_or_default())});
    let message = format!("{} {}", status.as_str().unwrap_or_default(), node.display_name);
    Line { name: "NodeFinished", code: "Q025", level, message, data }
}

fn node_info(node: &NodeInfo, status: &str) -> Json {
    json!({"unique_id": node.unique_id, "resource_type": node.resource_type, "node_name": node.name,
        "materialized": node.materialized, "node_path": node.original_file_path, "node_status": status})
}
