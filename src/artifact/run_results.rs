//! `run_results.json`, schema v6: how every node of a run ended.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;

use super::{ArtifactMetadata, Header};
use crate::manifest::JsonMap;
use crate::result::NodeResult;

/// The file's content as a value. `elapsed` in seconds; `args` are the command's flags as dbt names them (`which`, `select` …).
pub fn run_results_json(results: &[NodeResult], elapsed: f64, args: &JsonMap, metadata: &ArtifactMetadata) -> Json {
    super::to_json(&RunResults::new(results, elapsed, args, metadata))
}

/// Writes `run_results.json` to `path`, all or nothing.
pub fn write_run_results(
    path: &Path,
    results: &[NodeResult],
    elapsed: f64,
    args: &JsonMap,
    metadata: &ArtifactMetadata,
) -> io::Result<()> {
    super::write_json(path, &RunResults::new(results, elapsed, args, metadata))
}

#[derive(Serialize)]
struct RunResults<'a> {
    metadata: Header<'a>,
    results: Vec<Row<'a>>,
    elapsed_time: f64,
    args: &'a JsonMap,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    result: &'a NodeResult,
    /// Only functions have overloads.
    overload_results: Option<()>,
}

impl<'a> RunResults<'a> {
    fn new(results: &'a [NodeResult], elapsed: f64, args: &'a JsonMap, metadata: &'a ArtifactMetadata) -> Self {
        Self {
            metadata: metadata.header("run-results", 6),
            results: results.iter().map(|result| Row { result, overload_results: None }).collect(),
            elapsed_time: elapsed,
            args,
        }
    }
}
