//! How one node of a run ended, in the words of dbt's `run_results.json` (v6).

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::name::UniqueId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Success,
    Error,
    Skipped,
    #[serde(rename = "partial success")]
    PartialSuccess,
    #[serde(rename = "no-op")]
    NoOp,
    Pass,
    Fail,
    Warn,
    #[serde(rename = "runtime error")]
    RuntimeError,
}

/// One stretch of work: `compile` or `execute`, with RFC 3339 UTC times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    pub name: String,
    pub started_at: Option<String>,
    pub completed_at: Option<String>,
}

/// The outcome of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeResult {
    pub status: Status,
    pub timing: Vec<Timing>,
    pub thread_id: String,
    /// Seconds.
    pub execution_time: f64,
    pub adapter_response: serde_json::Map<String, Json>,
    pub message: Option<String>,
    /// Rows a test returned.
    pub failures: Option<i64>,
    pub unique_id: UniqueId,
    pub compiled: Option<bool>,
    pub compiled_code: Option<String>,
    pub relation_name: Option<String>,
    pub batch_results: Option<Json>,
}

impl NodeResult {
    /// Whether nodes below must be skipped, as dbt decides it: errors always; failed tests (not warnings) in `build`.
    pub fn blocks_children(&self) -> bool {
        matches!(self.status, Status::Error | Status::Fail | Status::RuntimeError | Status::Skipped | Status::PartialSuccess)
    }

    /// Whether the run as a whole must exit with 1.
    pub fn is_failure(&self) -> bool {
        matches!(self.status, Status::Error | Status::Fail | Status::RuntimeError | Status::PartialSuccess)
    }
}
