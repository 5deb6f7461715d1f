//! Which invocation this is: what templates and artifacts say of the command that runs.

use chrono::{DateTime, Utc};

/// One call of a command.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// A random id; the same in every artifact, log line and template of the call.
    pub id: String,
    pub started_at: DateTime<Utc>,
    /// What templates see as `flags`, keys in upper case.
    pub flags: serde_json::Map<String, serde_json::Value>,
    /// What artifacts keep as `args` and templates see as `invocation_args_dict`.
    pub args: serde_json::Map<String, serde_json::Value>,
    /// Use what an earlier command parsed, where nothing it came from has changed, and leave the same for the next.
    pub partial_parse: bool,
}
