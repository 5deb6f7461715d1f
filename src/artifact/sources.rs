//! `sources.json`, schema v3: how fresh each source was.

use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;

use super::{ArtifactMetadata, Header};
use crate::manifest::JsonMap;
use crate::name::UniqueId;
use crate::result::{Status, Timing};

/// The freshness of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshnessResult {
    pub unique_id: UniqueId,
    /// `Pass`, `Warn`, `Error`, or `RuntimeError` if the question itself failed.
    pub status: Status,
    /// The newest row's time; none if the question failed.
    pub max_loaded_at: Option<DateTime<Utc>>,
    pub snapshotted_at: DateTime<Utc>,
    /// `{warn_after, error_after, filter}`.
    pub criteria: Json,
    pub adapter_response: JsonMap,
    pub timing: Vec<Timing>,
    pub thread_id: String,
    /// Seconds.
    pub execution_time: f64,
    /// What went wrong, for `RuntimeError`.
    pub error: Option<String>,
}

/// The file's content as a value. `elapsed` in seconds.
pub fn sources_json(results: &[FreshnessResult], elapsed: f64, metadata: &ArtifactMetadata) -> Json {
    super::to_json(&Sources { metadata: metadata.header("sources", 3), results, elapsed_time: elapsed })
}

/// Writes `sources.json` to `path`, all or nothing.
pub fn write_sources(path: &Path, results: &[FreshnessResult], elapsed: f64, metadata: &ArtifactMetadata) -> io::Result<()> {
    super::write_json(path, &Sources { metadata: metadata.header("sources", 3), results, elapsed_time: elapsed })
}

#[derive(serde::Serialize)]
struct Sources<'a> {
    metadata: Header<'a>,
    results: &'a [FreshnessResult],
    elapsed_time: f64,
}

impl Serialize for FreshnessResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("unique_id", &self.unique_id)?;
        let (Some(max_loaded_at), false) = (&self.max_loaded_at, self.status == Status::RuntimeError) else {
            map.serialize_entry("error", &self.error)?;
            map.serialize_entry("status", &Status::RuntimeError)?;
            return map.end();
        };
        let age_us = (self.snapshotted_at - *max_loaded_at).num_microseconds();
        map.serialize_entry("max_loaded_at", &super::timestamp(max_loaded_at))?;
        map.serialize_entry("snapshotted_at", &super::timestamp(&self.snapshotted_at))?;
        map.serialize_entry("max_loaded_at_time_ago_in_s", &age_us.map(|microseconds| microseconds as f64 / 1e6))?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("criteria", &self.criteria)?;
        map.serialize_entry("adapter_response", &self.adapter_response)?;
        map.serialize_entry("timing", &self.timing)?;
        map.serialize_entry("thread_id", &self.thread_id)?;
        map.serialize_entry("execution_time", &self.execution_time)?;
        map.end()
    }
}
