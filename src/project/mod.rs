//! What a project says of itself before any model is read: `dbt_project.yml`, `profiles.yml`, packages, vars and the list
//! of its files.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::manifest::JsonMap;

pub mod yaml;

mod dbt_project;
mod files;
mod jinja_text;
mod keys;
mod load;
mod package;
mod profile;
mod properties;
mod scalar;
mod selectors;
mod yaml_1_1;

pub use files::{FileKind, ProjectFile, discover, read_text};
pub use jinja_text::{BaseContext, DBT_VERSION, SECRET_PREFIX, has_jinja};
pub use load::{LoadOptions, join, load, project_flags, project_root};
pub use package::{ListedPackages, package_list};
pub use profile::{Connection, MASK, connections, secrets};
pub use properties::{PropertyEntry, PropertyFile, Section, read_properties};

/// One package: the root project or an installed one (`dbt_packages/<name>`).
#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    /// Absolute.
    pub root: PathBuf,
    pub version: Option<String>,
    pub model_paths: Vec<String>,
    pub seed_paths: Vec<String>,
    pub test_paths: Vec<String>,
    pub analysis_paths: Vec<String>,
    pub macro_paths: Vec<String>,
    pub snapshot_paths: Vec<String>,
    pub docs_paths: Vec<String>,
    pub asset_paths: Vec<String>,
    /// `models`, `seeds`, `snapshots`, `data_tests` (also where written `tests:`), `semantic_models`, `sources` … as written
    /// (rendered), with their `+` keys.
    pub config_trees: IndexMap<String, JsonMap>,
    /// The same as written, without its Jinja rendered: `unrendered_config`.
    pub written_trees: IndexMap<String, JsonMap>,
    pub vars: JsonMap,
    pub on_run_start: Vec<String>,
    pub on_run_end: Vec<String>,
    pub dispatch: Vec<JsonMap>,
    pub quoting: JsonMap,
    pub restrict_access: bool,
    /// The whole `dbt_project.yml`, rendered.
    pub raw: JsonMap,
}

/// The chosen output of `profiles.yml`, or the built-in one of a project without.
#[derive(Clone)]
pub struct Target {
    pub profile_name: String,
    pub target_name: String,
    /// What does the work: `datafusion`, `postgres` …
    pub engine: String,
    /// `target.type` and `adapter.type()`: the engine's name, or that of the system it stands in for, as the project's own macros
    /// ask for it.
    pub adapter_type: String,
    pub database: String,
    pub schema: String,
    pub threads: usize,
    /// Every key of the output, secrets included: for the adapter only, never for Jinja, logs or artifacts.
    pub settings: JsonMap,
    /// The values of the secret environment variables (`DBT_ENV_SECRET…`): what holds one is masked wherever it is shown.
    pub secrets: Vec<String>,
}

/// A loaded project.
#[derive(Clone)]
pub struct Project {
    /// Absolute.
    pub root: PathBuf,
    pub name: String,
    /// The root package first, then installed ones in name order.
    pub packages: Vec<Arc<Package>>,
    pub target: Target,
    /// `--vars`, which win over everything.
    pub cli_vars: JsonMap,
    /// Absolute.
    pub target_path: PathBuf,
    pub packages_install_path: PathBuf,
    pub clean_targets: Vec<String>,
    pub query_comment: Json,
    /// `flags:` of `dbt_project.yml`.
    pub flags: JsonMap,
    /// The selections of `selectors.yml` by name.
    pub selectors: JsonMap,
}
