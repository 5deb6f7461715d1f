//! Placeholder for the artifact module that the graph part brings; same names and meaning, dropped when that lands.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use crate::manifest::{JsonMap, Node};
use crate::name::{ResourceType, UniqueId};
use crate::result::{Status, Timing};

/// The freshness of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshnessResult {
    pub unique_id: UniqueId,
    pub status: Status,
    pub max_loaded_at: Option<DateTime<Utc>>,
    pub snapshotted_at: DateTime<Utc>,
    pub criteria: Json,
    pub adapter_response: JsonMap,
    pub timing: Vec<Timing>,
    pub thread_id: String,
    pub execution_time: f64,
    pub error: Option<String>,
}

/// The two trees of code below the target folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFolder {
    Compiled,
    Run,
}

/// The node's file below the target folder.
pub fn target_file(node: &Node, folder: TargetFolder) -> String {
    let folder = if folder == TargetFolder::Compiled { "compiled" } else { "run" };
    let (package, file) = (&node.package_name, &node.original_file_path);
    let base_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
    match node.resource_type {
        ResourceType::Snapshot => format!("{folder}/{package}/{file}/{}.sql", node.name),
        _ if base_name(&node.path) == base_name(file) => format!("{folder}/{package}/{file}"),
        _ => format!("{folder}/{package}/{file}/{}", node.path),
    }
}
