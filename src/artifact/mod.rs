//! dbt's artifacts, as other tools read them: `manifest.json` (v12), `run_results.json` (v6), `catalog.json` (v1),
//! `sources.json` (v3), `semantic_manifest.json`, and where compiled and run code lies in the target folder.
//!
//! Every file is written beside its place and then renamed onto it: a reader, or a run that is interrupted, sees the old file
//! or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Timelike, Utc};
use serde::Serialize;

mod catalog;
mod column_lineage;
mod journal;
mod manifest;
mod run_results;
mod semantic_manifest;
mod sources;
mod state;
mod target;

pub use catalog::{catalog_json, write_catalog};
pub use column_lineage::write_column_lineage;
pub use journal::{Journal, Unfinished, end_journal, read_journal};
pub use manifest::{manifest_json, renew_manifest, write_manifest};
pub use run_results::{run_results_json, write_run_results};
pub use semantic_manifest::{semantic_manifest_json, write_semantic_manifest};
pub use sources::{FreshnessResult, sources_json, write_sources};
pub use state::{Unreadable, read_state};
pub use target::{TargetFolder, target_file};

/// The dbt version whose formats these are.
pub const DBT_VERSION: &str = "1.12.6";

/// What every artifact says of the run that wrote it.
#[derive(Clone, Debug)]
pub struct ArtifactMetadata {
    pub generated_at: DateTime<Utc>,
    pub invocation_id: String,
    pub invocation_started_at: DateTime<Utc>,
    /// Environment variables that begin with `DBT_ENV_CUSTOM_ENV_`, without that beginning.
    pub env: BTreeMap<String, String>,
}

/// The metadata all artifacts have in common.
#[derive(Serialize)]
struct Header<'a> {
    dbt_schema_version: String,
    dbt_version: &'static str,
    generated_at: String,
    invocation_id: &'a str,
    invocation_started_at: String,
    env: &'a BTreeMap<String, String>,
}

impl ArtifactMetadata {
    fn header(&self, artifact: &str, version: u32) -> Header<'_> {
        Header {
            dbt_schema_version: format!("https://schemas.getdbt.com/dbt/{artifact}/v{version}.json"),
            dbt_version: DBT_VERSION,
            generated_at: timestamp(&self.generated_at).replace("+00:00", "Z"),
            invocation_id: &self.invocation_id,
            invocation_started_at: timestamp(&self.invocation_started_at).replace("+00:00", "Z"),
            env: &self.env,
        }
    }
}

/// A time as Python's `isoformat` writes it: microseconds unless they are zero.
fn timestamp(time: &DateTime<Utc>) -> String {
    let digits = if time.nanosecond() / 1000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    time.to_rfc3339_opts(digits, false)
}

/// Writes `content` as JSON to `path`, all or nothing; makes the folder if it is not there.
fn write_json(path: &Path, content: &impl Serialize) -> io::Result<()> {
    replace(path, |file| Ok(serde_json::to_writer(file, content)?))
}

/// Writes a file with `write`, all or nothing; makes the folder if it is not there.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` is not a file's path", path.display())));
    };
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = write_draft(&draft, write).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The first error is the one to report; a draft that stays behind does no harm.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_draft(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write(&mut writer)?;
    writer.flush()
}

/// `content` as a value. The artifacts hold nothing that JSON cannot: keys are text, and a number that is none becomes null.
fn to_json(content: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(content).expect("artifacts have text keys only")
}
