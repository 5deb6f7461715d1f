//! Reading what an earlier run left: the artifacts of a `--state` folder, dbt's or our own.
//!
//! Only what selection and deferral ask for is kept. Manifests of dbt since 1.3 (v7 to v12) hold these keys in one form.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::graph::{State, StateManifest};
use crate::manifest::JsonMap;
use crate::name::UniqueId;

/// An artifact that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {error}", path.display())]
pub struct Unreadable {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Reads the artifacts in `folder`, and `sources.json` of `target`, the folder of the running project.
pub fn read_state(folder: &Path, target: &Path) -> Result<State, Unreadable> {
    Ok(State {
        manifest: read::<ManifestFile>(folder, "manifest.json")?.map(ManifestFile::keep),
        results: read::<Results>(folder, "run_results.json")?.map(Results::statuses),
        sources: read::<Results>(folder, "sources.json")?.map(Results::newest_rows),
        sources_now: read::<Results>(target, "sources.json")?.map(Results::newest_rows),
    })
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, Unreadable> {
    let path = folder.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unreadable { path, error }),
    };
    match serde_json::from_reader(BufReader::with_capacity(1 << 20, file)) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Unreadable { path, error: error.into() }),
    }
}

type Entries = HashMap<UniqueId, JsonMap>;

#[derive(Deserialize)]
struct ManifestFile {
    nodes: Entries,
    #[serde(default)]
    sources: Entries,
    #[serde(default)]
    exposures: Entries,
    #[serde(default)]
    metrics: Entries,
    #[serde(default)]
    semantic_models: Entries,
    #[serde(default)]
    saved_queries: Entries,
    #[serde(default)]
    unit_tests: Entries,
    #[serde(default)]
    functions: Entries,
    #[serde(default)]
    macros: HashMap<UniqueId, MacroEntry>,
}

#[derive(Deserialize)]
struct MacroEntry {
    #[serde(default)]
    macro_sql: String,
}

impl ManifestFile {
    fn keep(self) -> StateManifest {
        let mut entries = self.nodes;
        let others = [self.sources, self.exposures, self.metrics, self.semantic_models, self.saved_queries];
        entries.extend(others.into_iter().flatten());
        entries.extend(self.unit_tests);
        entries.extend(self.functions);
        let macros = self.macros.into_iter().map(|(id, entry)| (id, entry.macro_sql)).collect();
        StateManifest { entries, macros }
    }
}

/// `run_results.json` and `sources.json`, whose results differ in one key.
#[derive(Deserialize)]
struct Results {
    results: Vec<ResultEntry>,
}

#[derive(Deserialize)]
struct ResultEntry {
    unique_id: UniqueId,
    #[serde(default)]
    status: String,
    #[serde(default)]
    max_loaded_at: Json,
}

impl Results {
    fn statuses(self) -> HashMap<UniqueId, String> {
        self.results.into_iter().map(|result| (result.unique_id, result.status)).collect()
    }

    fn newest_rows(self) -> HashMap<UniqueId, Option<DateTime<Utc>>> {
        let newest = |result: &ResultEntry| instant(result.max_loaded_at.as_str()?);
        self.results.into_iter().map(|result| (result.unique_id.clone(), newest(&result))).collect()
    }
}

/// A time with or without its zone; without one it is UTC.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let with_zone = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
    with_zone().or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|at| at.and_utc()))
}
