//! Events: everything a run has to tell, as data. The command line renders them as text, JSON lines or a progress bar.

use crate::diagnostic::Diagnostic;
use crate::name::{ResourceType, UniqueId};
use crate::result::{NodeResult, Status};

/// What a line about one node needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    pub name: String,
    /// `view`, `table`, `incremental`, `seed`, `test` …
    pub materialized: String,
    /// An incremental model that is built batch by batch.
    pub is_microbatch: bool,
    /// `schema.identifier` for relations; the bare name for tests and operations.
    pub display_name: String,
    pub original_file_path: String,
}

/// What a line about one batch of a microbatch model needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// From 1.
    pub index: usize,
    pub total: usize,
    /// The batch's beginning: `2024-09-17`.
    pub label: String,
    pub node: NodeInfo,
}

/// Counts for dbt's summary line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub pass: usize,
    pub warn: usize,
    pub error: usize,
    /// Those of `error` that are partial successes.
    pub partial: usize,
    pub skip: usize,
    pub no_op: usize,
    pub total: usize,
}

impl Summary {
    pub fn of<'a>(results: impl IntoIterator<Item = &'a NodeResult>) -> Self {
        let mut summary = Self::default();
        for result in results {
            summary.total += 1;
            match result.status {
                Status::Success | Status::Pass => summary.pass += 1,
                Status::Warn => summary.warn += 1,
                Status::Error | Status::Fail | Status::RuntimeError => summary.error += 1,
                Status::PartialSuccess => {
                    summary.error += 1;
                    summary.partial += 1;
                }
                Status::Skipped => summary.skip += 1,
                Status::NoOp => summary.no_op += 1,
            }
        }
        summary
    }
}

#[derive(Clone, Debug)]
pub enum Event {
    /// A mistake or a warning about the project's text.
    Diagnostic(Diagnostic),
    /// Jinja's `log(…)`; `info` false is for debug level only.
    Message {
        text: String,
        info: bool,
    },
    /// A statement on its way to the database; for debug level only.
    Statement {
        /// Who sends it: dbt's name of the connection.
        connection: String,
        sql: String,
    },
    /// Jinja's `print(…)`: output of its own, shown even when the console is quiet.
    Print {
        text: String,
    },
    /// What the project holds, as counts by resource type, before the first node starts.
    RunStarted {
        counts: Vec<(ResourceType, usize)>,
        threads: usize,
    },
    NodeStarted {
        index: usize,
        total: usize,
        node: NodeInfo,
    },
    NodeFinished {
        index: usize,
        total: usize,
        node: NodeInfo,
        result: Box<NodeResult>,
    },
    /// A batch of a microbatch model begins.
    BatchStarted(BatchInfo),
    /// It ended; its message is the whole text of an error.
    BatchFinished {
        batch: BatchInfo,
        result: Box<NodeResult>,
    },
    /// `elapsed` in seconds; `results` in the order they ended.
    RunFinished {
        elapsed: f64,
        summary: Summary,
        results: Vec<NodeResult>,
        /// Ended by the user before all was done.
        interrupted: bool,
    },
}

/// Where events go. Called from many threads.
pub trait EventSink: Send + Sync {
    fn emit(&self, event: Event);
}

/// Drops everything; for tests and quiet calls.
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _event: Event) {}
}
