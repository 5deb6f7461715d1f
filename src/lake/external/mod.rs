//! External tables: files that others wrote, known under a relation's name, by the `external:` block that the package
//! dbt_external_tables defines.
//!
//! Parquet and Delta files are read where they lie. Text, JSON and Avro are parsed once: the rows are kept as Parquet
//! under `_headwater/external/…`, beside a manifest that says which file (path, size, time, etag) and which definition
//! they came from. Every use lists the location again and parses what changed, so the cache is never older than the files.

mod cache;
mod files;
mod layout;
mod read;

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::Add;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use files::{Location, SourceFile};
pub use layout::{Format, Layout};
pub use read::partition_scalars;

/// An external table as declared: all that is needed to read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExternalDefinition {
    /// The `external:` block, rendered.
    pub external: Map<String, Json>,
    /// Declared columns: name and type as written.
    pub columns: Vec<(String, String)>,
    /// Relative locations are below this folder.
    pub base: PathBuf,
}

/// An external table ready to scan.
#[derive(Clone, Debug)]
pub struct Staged {
    pub rows: Content,
    /// The rows that did not fit, if they are kept.
    pub rejects: Option<Content>,
    /// What was done, for people.
    pub summary: String,
    /// Whether any file had to be read anew.
    pub refreshed: bool,
}

/// Where rows lie.
#[derive(Clone, Debug)]
pub enum Content {
    /// Parquet files of ours in exactly this schema, below the folder.
    Cached { schema: SchemaRef, folder: super::storage::Folder, files: Vec<Add> },
    /// Somebody's Parquet files, or a Delta table at a URL; `schema` holds the declared columns, if any.
    InPlace { layout: Box<Layout>, files: Vec<SourceFile> },
}

/// The name under which a table's rejected rows are known.
pub fn rejects_name(table: &str) -> String {
    format!("{table}__rejects")
}
