//! The command line as typed: dbt's commands and flags. Nothing is decided here; [`super::settings`] resolves what was typed,
//! the environment and the project's `flags:` into settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use headwater::execute::EarlierBatches;
use headwater::manifest::JsonMap;
use headwater::name::UniqueId;
use serde_json::json;

/// Analytics engineering in one binary: dbt-format projects on an embedded lakehouse.
#[derive(Parser, Debug)]
#[command(name = "headwater", version = super::VERSION, about, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    /// dbt takes the small letter too.
    #[arg(short = 'v', hide = true, action = clap::ArgAction::Version)]
    pub small_version: Option<bool>,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags every command takes, before or after its name.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Folder with dbt_project.yml [default: the current folder or the nearest one above it] [env: DBT_PROJECT_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub project_dir: Option<PathBuf>,
    /// Folder with profiles.yml [default: the project's, then ~/.dbt] [env: DBT_PROFILES_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub profiles_dir: Option<PathBuf>,
    /// Profile to use instead of the project's [env: DBT_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Target (output) of the profile [env: DBT_TARGET]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub target: Option<String>,
    /// Folder for artifacts and compiled SQL [default: target] [env: DBT_TARGET_PATH]
    #[arg(long, global = true, value_name = "DIR")]
    pub target_path: Option<PathBuf>,
    /// Folder for log files [env: DBT_LOG_PATH]
    #[arg(long, global = true, value_name = "DIR")]
    pub log_path: Option<PathBuf>,
    /// Project variables as a YAML mapping: '{key: value}' [env: DBT_VARS]
    #[arg(long, global = true, value_name = "YAML")]
    pub vars: Option<String>,
    /// How many nodes run at once [default: the profile's `threads`]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Form of the console's output [env: DBT_LOG_FORMAT]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Least severity that is printed [env: DBT_LOG_LEVEL]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// Print debug messages too [env: DBT_DEBUG]
    #[arg(short, long, global = true, overrides_with = "no_debug")]
    pub debug: bool,
    #[arg(long, global = true, hide = true)]
    pub no_debug: bool,
    /// Print errors and the output of print() only [env: DBT_QUIET]
    #[arg(short, long, global = true, overrides_with = "no_quiet")]
    pub quiet: bool,
    #[arg(long, global = true, hide = true)]
    pub no_quiet: bool,
    /// Colour the output even when it is not a terminal [env: DBT_USE_COLORS; NO_COLOR switches colours off]
    #[arg(long, global = true, overrides_with = "no_use_colors")]
    pub use_colors: bool,
    /// Print without colours
    #[arg(long, global = true)]
    pub no_use_colors: bool,
    /// Stop at the first failure [env: DBT_FAIL_FAST]
    #[arg(short = 'x', long, global = true, overrides_with = "no_fail_fast")]
    pub fail_fast: bool,
    #[arg(long, global = true, hide = true)]
    pub no_fail_fast: bool,
    /// Treat warnings as errors [env: DBT_WARN_ERROR]
    #[arg(long, global = true, overrides_with = "no_warn_error")]
    pub warn_error: bool,
    #[arg(long, global = true, hide = true)]
    pub no_warn_error: bool,
    /// Write manifest.json and run_results.json [default: on] [env: DBT_WRITE_JSON]
    #[arg(long, global = true, overrides_with = "no_write_json")]
    pub write_json: bool,
    /// Write no artifacts
    #[arg(long, global = true)]
    pub no_write_json: bool,
    /// Which warnings become errors: '{error: all}', '{error: [selection-empty]}', '{silence: [unknown-property]}' [env:
    /// DBT_WARN_ERROR_OPTIONS]
    #[arg(long, global = true, value_name = "YAML")]
    pub warn_error_options: Option<String>,
    /// Width to which a node's line is filled with dots [default: 80] [env: DBT_PRINTER_WIDTH]
    #[arg(long, global = true, value_name = "N")]
    pub printer_width: Option<usize>,
    /// Drop the output of print() [env: DBT_PRINT]
    #[arg(long, global = true)]
    pub no_print: bool,
    #[arg(long, global = true, hide = true, overrides_with = "no_print")]
    pub print: bool,
    /// Form of the log file [default: text] [env: DBT_LOG_FORMAT_FILE]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format_file: Option<LogFormat>,
    /// Least severity written to the log file; `none` writes no file [default: debug] [env: DBT_LOG_LEVEL_FILE]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub log_level_file: Option<LogLevel>,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub accepted: AcceptedArgs,
}

impl GlobalArgs {
    /// What was typed of the flags that another call needs to do the same again, by dbt's names.
    pub fn artifact_args(&self) -> JsonMap {
        let state = &self.state;
        let args = [
            ("target", json!(self.target)),
            ("profile", json!(self.profile)),
            ("state", json!(state.state)),
            ("defer_state", json!(state.defer_state)),
            ("defer", json!(state.defer)),
            ("favor_state", json!(state.favor_state)),
        ];
        let typed = args.into_iter().filter(|(_, value)| !value.is_null());
        typed.map(|(key, value)| (key.to_string(), value)).collect()
    }
}

/// What an earlier run left, and what is read from there.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Earlier state")]
pub struct StateArgs {
    /// Folder with the artifacts of an earlier run, for state:, result:, source_status: and --defer [env: DBT_STATE]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Read what is not selected and not built here from the relations of the earlier run [env: DBT_DEFER]
    #[arg(long, global = true, overrides_with = "no_defer")]
    pub defer: bool,
    #[arg(long, global = true, hide = true)]
    pub no_defer: bool,
    /// Defer for all that is not selected, also where it is built here [env: DBT_FAVOR_STATE]
    #[arg(long, global = true, overrides_with = "no_favor_state")]
    pub favor_state: bool,
    #[arg(long, global = true, hide = true)]
    pub no_favor_state: bool,
    /// Another folder than --state for deferring [env: DBT_DEFER_STATE]
    #[arg(long, global = true, value_name = "DIR")]
    pub defer_state: Option<PathBuf>,
}

/// Flags of dbt's that headwater takes so that scripts keep working, and that change nothing here.
#[derive(Args, Debug, Clone, Default)]
pub struct AcceptedArgs {
    #[arg(long, global = true, hide = true)]
    pub partial_parse: bool,
    #[arg(long, global = true, hide = true)]
    pub no_partial_parse: bool,
    #[arg(long, global = true, hide = true)]
    pub static_parser: bool,
    #[arg(long, global = true, hide = true)]
    pub no_static_parser: bool,
    #[arg(long, global = true, hide = true)]
    pub version_check: bool,
    #[arg(long, global = true, hide = true)]
    pub no_version_check: bool,
    #[arg(long, global = true, hide = true)]
    pub send_anonymous_usage_stats: bool,
    #[arg(long, global = true, hide = true)]
    pub no_send_anonymous_usage_stats: bool,
    #[arg(long, global = true, hide = true)]
    pub populate_cache: bool,
    #[arg(long, global = true, hide = true)]
    pub no_populate_cache: bool,
    #[arg(long, global = true, hide = true)]
    pub cache_selected_only: bool,
    #[arg(long, global = true, hide = true)]
    pub no_cache_selected_only: bool,
    #[arg(long, global = true, hide = true)]
    pub use_colors_file: bool,
    #[arg(long, global = true, hide = true)]
    pub no_use_colors_file: bool,
    #[arg(long, global = true, hide = true)]
    pub log_cache_events: bool,
    #[arg(long, global = true, hide = true)]
    pub no_log_cache_events: bool,
    #[arg(long, global = true, hide = true)]
    pub hints_enabled: bool,
    #[arg(long, global = true, hide = true)]
    pub no_hints_enabled: bool,
    #[arg(long, global = true, hide = true)]
    pub show_all_deprecations: bool,
    #[arg(long, global = true, hide = true)]
    pub no_show_all_deprecations: bool,
    #[arg(long, global = true, hide = true)]
    pub use_experimental_parser: bool,
    #[arg(long, global = true, hide = true)]
    pub no_use_experimental_parser: bool,
    #[arg(long, global = true, hide = true)]
    pub use_v2_parser: bool,
    #[arg(long, global = true, hide = true)]
    pub no_use_v2_parser: bool,
    #[arg(long, global = true, hide = true)]
    pub snowflake_projects_otel: bool,
    #[arg(long, global = true, hide = true)]
    pub no_snowflake_projects_otel: bool,
    #[arg(long, global = true, hide = true)]
    pub upload_to_artifacts_ingest_api: bool,
    #[arg(long, global = true, hide = true)]
    pub no_upload_to_artifacts_ingest_api: bool,
    #[arg(short, long, global = true, hide = true, value_name = "FILE")]
    pub record_timing_info: Option<PathBuf>,
    #[arg(long, global = true, hide = true, value_name = "N")]
    pub maximum_seed_size_mib: Option<u64>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
    Debug,
    Default,
}

impl LogFormat {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Debug => "debug",
            Self::Default => "default",
        }
    }
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    None,
}

impl LogLevel {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            level => level.word(),
        }
    }

    /// As log lines name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info | Self::None => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What to work on.
#[derive(Args, Debug, Clone, Default)]
pub struct SelectionFlags {
    /// Nodes to include: names, paths, tag:…, +graph+ operators; a space is "or", a comma "and"
    #[arg(short, long, visible_alias = "models", alias = "model", visible_short_alias = 'm', num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Nodes to leave out
    #[arg(long, num_args = 1.., value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// A selection of selectors.yml, in place of --select and --exclude
    #[arg(long, value_name = "NAME")]
    pub selector: Option<String>,
    /// Which tests come with the nodes selected [default: eager] [env: DBT_INDIRECT_SELECTION]
    #[arg(long, value_enum, value_name = "MODE")]
    pub indirect_selection: Option<IndirectSelection>,
    /// Resource types to include
    #[arg(long, visible_alias = "resource-types", num_args = 1.., value_name = "TYPE")]
    pub resource_type: Vec<String>,
    /// Resource types to leave out
    #[arg(long, visible_alias = "exclude-resource-types", num_args = 1.., value_name = "TYPE")]
    pub exclude_resource_type: Vec<String>,
    /// Exactly these ids instead of a selection: what `retry` runs again.
    #[arg(skip)]
    pub only: Option<Vec<String>>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndirectSelection {
    Eager,
    Cautious,
    Buildable,
    Empty,
}

impl IndirectSelection {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Cautious => "cautious",
            Self::Buildable => "buildable",
            Self::Empty => "empty",
        }
    }
}

/// Which stretch of time is worked on.
#[derive(Args, Debug, Clone, Default)]
pub struct WindowFlags {
    /// Read only the rows of a stretch of time from refs and sources with an `event_time`: '3 days' (up to now) or '{start:
    /// 2024-09-01, end: 2024-09-08}' [env: DBT_SAMPLE]
    #[arg(long, value_name = "WINDOW")]
    pub sample: Option<String>,
    /// Where the batches of microbatch models begin, in UTC; with --event-time-end [env: DBT_EVENT_TIME_START]
    #[arg(long, value_name = "TIME")]
    pub event_time_start: Option<String>,
    /// Where they end (not part of it) [env: DBT_EVENT_TIME_END]
    #[arg(long, value_name = "TIME")]
    pub event_time_end: Option<String>,
}

/// How nodes are run.
#[derive(Args, Debug, Clone, Default)]
pub struct RunFlags {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Build incremental models and seeds anew from all their rows [env: DBT_FULL_REFRESH]
    #[arg(short, long)]
    pub full_refresh: bool,
    /// Read no rows from refs and sources: checks that the project's SQL runs [env: DBT_EMPTY]
    #[arg(long, overrides_with = "no_empty")]
    pub empty: bool,
    #[arg(long, hide = true)]
    pub no_empty: bool,
    #[command(flatten)]
    pub windows: WindowFlags,
    /// With build: publish a new version of a node only when its tests have passed; until then, and if they fail, readers have
    /// the version before
    #[arg(long)]
    pub audit: bool,
    /// Keep the rows that fail tests in tables [env: DBT_STORE_FAILURES]
    #[arg(long)]
    pub store_failures: bool,
    /// Print the head of each seed (accepted; prints nothing)
    #[arg(long, hide = true)]
    pub show: bool,
    /// What is made of the types of the SQL: `strict` makes what cannot be planned an error, `off` plans nothing; `compile` is
    /// strict, what builds leaves errors to the engine [env: DBT_STATIC_ANALYSIS]
    #[arg(long, value_enum)]
    pub static_analysis: Option<StaticAnalysis>,
    /// For the commands that compile only.
    #[arg(skip)]
    pub no_introspect: bool,
    /// What artifacts keep of a command's own arguments: the macro of `run-operation`, the flags of `docs generate`.
    #[arg(skip)]
    pub command_args: JsonMap,
    /// What `retry` knows of the run that it repeats.
    #[arg(skip)]
    pub earlier: EarlierRun,
}

/// The run that is repeated.
#[derive(Debug, Clone, Default)]
pub struct EarlierRun {
    /// When it began: what is counted from now was counted from there.
    pub started_at: Option<DateTime<Utc>>,
    /// How far its microbatch models came.
    pub batches: BTreeMap<UniqueId, EarlierBatches>,
}

/// dbt 2.0's words for how far SQL is checked before it is sent.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticAnalysis {
    Off,
    Baseline,
    #[value(aliases = ["on", "unsafe"])]
    Strict,
}

impl StaticAnalysis {
    /// Reads the value of the environment variable.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_str(text.trim(), true).ok()
    }
}

#[derive(Subcommand, Debug, Clone)]
pub enum Command {
    /// Start a new project in a folder of its own
    Init(InitArgs),
    /// Check the installation, the project, the profile and the connection
    Debug(DebugArgs),
    /// Read the project and write manifest.json
    Parse(ParseArgs),
    /// List the project's resources
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Render the SQL of models, tests and analyses into target/compiled
    Compile(CompileArgs),
    /// Show which columns a column comes from, and which come from it
    Lineage(LineageArgs),
    /// Build the selected models
    Run(RunFlags),
    /// Run the tests of the selected nodes
    Test(RunFlags),
    /// Seeds, models and tests in the order of the graph; what stands below a failure is skipped
    Build(RunFlags),
    /// Build what an edit touches and all below it, with its tests, until ctrl-C
    Watch(RunFlags),
    /// Load the CSV files of the project
    Seed(RunFlags),
    /// Take the selected snapshots: keep what changed since the last time
    Snapshot(RunFlags),
    /// Print rows of a model or of a query
    Show(ShowArgs),
    /// Call a macro
    RunOperation(RunOperationArgs),
    /// Look at the project's sources
    #[command(subcommand)]
    Source(SourceCommand),
    /// Keep the tables of sources fresh: follow the databases that their `ingest` blocks name
    Ingest(IngestArgs),
    /// Generate or serve the documentation site
    #[command(subcommand)]
    Docs(DocsCommand),
    /// Install the packages of packages.yml into dbt_packages
    Deps(DepsArgs),
    /// Run again what failed or was skipped in the last run, test, build or seed
    Retry(RetryArgs),
    /// Make cheap copies of the earlier run's tables in this target, and views on the rest
    Clone(CloneArgs),
    /// Remove what builds leave behind (clean-targets of dbt_project.yml)
    Clean(CleanArgs),
    /// Make sample data
    #[command(subcommand)]
    Gen(GenCommand),
    /// Build, test and document the example project on data made on the spot
    Demo(DemoArgs),
    /// Print this reference as Markdown
    #[command(hide = true)]
    Reference,
}

#[derive(Args, Debug, Clone)]
pub struct DepsArgs {
    /// Resolve anew though package-lock.yml fits the list
    #[arg(long)]
    pub upgrade: bool,
    /// Write package-lock.yml and install nothing
    #[arg(long)]
    pub lock: bool,
    /// Add a package to packages.yml before: name@version
    #[arg(long, value_name = "PACKAGE@VERSION")]
    pub add_package: Option<String>,
    /// Where the added package comes from
    #[arg(long, value_enum, default_value_t = PackageSource::Hub)]
    pub source: PackageSource,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageSource {
    Hub,
    Git,
    Local,
}

#[derive(Args, Debug, Clone)]
pub struct RetryArgs {
    /// Build incremental models and seeds anew from all their rows
    #[arg(short, long)]
    pub full_refresh: bool,
}

#[derive(Args, Debug, Clone, Default)]
pub struct CloneArgs {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Also replace what is there already [env: DBT_FULL_REFRESH]
    #[arg(short, long)]
    pub full_refresh: bool,
}

#[derive(Args, Debug, Clone)]
pub struct InitArgs {
    /// Name of the project: lower-case letters, digits and underscores
    pub project_name: Option<String>,
    /// Accepted as dbt takes it: no profile is needed for the embedded engine
    #[arg(short, long)]
    pub skip_profile_setup: bool,
    #[arg(long, hide = true)]
    pub skip_debug: bool,
}

#[derive(Args, Debug, Clone)]
pub struct DebugArgs {
    /// Check the connection only
    #[arg(long)]
    pub connection: bool,
    /// Print the folder where profiles.yml is looked for
    #[arg(long)]
    pub config_dir: bool,
}

#[derive(Args, Debug, Clone)]
pub struct ParseArgs {}

#[derive(Args, Debug, Clone)]
pub struct LsArgs {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Form of the lines
    #[arg(long, value_enum, default_value = "selector")]
    pub output: LsOutput,
    /// Keys of the JSON lines
    #[arg(long, num_args = 1.., value_name = "KEY")]
    pub output_keys: Vec<String>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LsOutput {
    Json,
    Name,
    Path,
    Selector,
}

impl LsOutput {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Name => "name",
            Self::Path => "path",
            Self::Selector => "selector",
        }
    }
}

/// Whether templates may ask the database while they are compiled.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct Introspection {
    /// Compile without asking the database: run_query() and the like answer nothing [env: DBT_INTROSPECT]
    #[arg(long)]
    pub no_introspect: bool,
    #[arg(long, hide = true, overrides_with = "no_introspect")]
    pub introspect: bool,
}

#[derive(Args, Debug, Clone)]
pub struct CompileArgs {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Compile this text instead of nodes and print it
    #[arg(long, value_name = "SQL")]
    pub inline: Option<String>,
    /// Treat incremental models as on their first run
    #[arg(short, long)]
    pub full_refresh: bool,
    /// Read no rows from refs and sources
    #[arg(long, overrides_with = "no_empty")]
    pub empty: bool,
    #[arg(long, hide = true)]
    pub no_empty: bool,
    #[command(flatten)]
    pub introspection: Introspection,
    /// What is made of the types of the SQL: `strict` makes what cannot be planned an error, `off` plans nothing; `compile` is
    /// strict, what builds leaves errors to the engine [env: DBT_STATIC_ANALYSIS]
    #[arg(long, value_enum)]
    pub static_analysis: Option<StaticAnalysis>,
    /// Form of the printed SQL
    #[arg(long, value_enum, default_value = "text")]
    pub output: ShowOutput,
}

/// `headwater lineage`.
#[derive(Args, Debug, Clone)]
pub struct LineageArgs {
    /// A column: `model.column`, or `source.table.column` of a source; a model alone means all its columns
    pub column: String,
    /// Only where it comes from
    #[arg(long, conflicts_with = "downstream")]
    pub upstream: bool,
    /// Only what is made of it
    #[arg(long)]
    pub downstream: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value = "text")]
    pub output: ShowOutput,
}

#[derive(Args, Debug, Clone)]
pub struct ShowArgs {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// A query (Jinja SQL) instead of nodes
    #[arg(long, value_name = "SQL")]
    pub inline: Option<String>,
    /// Treat incremental models as on their first run
    #[arg(short, long)]
    pub full_refresh: bool,
    #[command(flatten)]
    pub introspection: Introspection,
    /// Read tables as they were: a version's number, or a time in UTC such as '2024-09-17 10:00'
    #[arg(long, value_name = "VERSION|TIME")]
    pub as_of: Option<String>,
    /// At most so many rows; -1 for all
    #[arg(long, default_value_t = 5, allow_hyphen_values = true, value_name = "N")]
    pub limit: i64,
    /// Form of the rows
    #[arg(long, value_enum, default_value = "text")]
    pub output: ShowOutput,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowOutput {
    Json,
    Text,
}

#[derive(Args, Debug, Clone)]
pub struct RunOperationArgs {
    /// The macro, with its package where needed: `package.macro`
    #[arg(required_unless_present = "sql")]
    pub macro_name: Option<String>,
    #[arg(long, hide = true, value_name = "SQL")]
    pub sql: Option<String>,
    /// Its arguments as a YAML mapping
    #[arg(long, default_value = "{}", value_name = "YAML")]
    pub args: String,
}

#[derive(Subcommand, Debug, Clone)]
pub enum SourceCommand {
    /// Check how old the newest row of each source is against its `freshness`, and write sources.json
    #[command(alias = "snapshot-freshness")]
    Freshness(FreshnessArgs),
}

#[derive(Args, Debug, Clone)]
pub struct FreshnessArgs {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Where to write the results [default: sources.json in the target folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IngestArgs {
    #[command(subcommand)]
    pub command: Option<IngestCommand>,
    #[command(flatten)]
    pub flags: IngestFlags,
}

#[derive(Args, Debug, Clone)]
pub struct IngestFlags {
    /// Sources to follow, such as source:shop.orders; all that have an `ingest` block if none is named
    #[arg(short, long, num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Sources to leave out
    #[arg(long, num_args = 1.., value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// End when all is there that the sources had at the start
    #[arg(long, conflicts_with = "duration")]
    pub until_caught_up: bool,
    /// End after this time, such as 30s, 10m or 2h
    #[arg(long = "for", value_name = "TIME")]
    pub duration: Option<String>,
    /// Copy the tables anew before following them
    #[arg(long)]
    pub resnapshot: bool,
    /// Go on behind changes that the source has lost
    #[arg(long)]
    pub accept_gap: bool,
}

#[derive(Subcommand, Debug, Clone)]
pub enum IngestCommand {
    /// Tell how far the tables have come and what the sources hold back for them
    Status(IngestSelection),
    /// Check the sources, and tell the statement that mends each fault
    Doctor(IngestSelection),
    /// Let go of a source: drop its slot and publication, and its tables with --tables
    Reset(IngestReset),
}

#[derive(Args, Debug, Clone)]
pub struct IngestSelection {
    /// Sources, such as source:shop.orders; all that have an `ingest` block if none is named
    #[arg(short, long, num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
}

#[derive(Args, Debug, Clone)]
pub struct IngestReset {
    /// Sources, such as source:shop.orders; their connections' other tables have to be copied anew too
    #[arg(short, long, num_args = 1.., value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Drop the tables of the lake too
    #[arg(long)]
    pub tables: bool,
}

#[derive(Subcommand, Debug, Clone)]
pub enum DocsCommand {
    /// Write the site, manifest.json and catalog.json into the target folder
    Generate(DocsGenerateArgs),
    /// Show the site on a local address
    Serve(DocsServeArgs),
}

#[derive(Args, Debug, Clone, Default)]
pub struct DocsGenerateArgs {
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Compile nothing: the site shows source code only
    #[arg(long)]
    pub no_compile: bool,
    #[arg(long, hide = true, overrides_with = "no_compile")]
    pub compile: bool,
    /// Leave the warehouse's catalog empty
    #[arg(long)]
    pub empty_catalog: bool,
    /// Accepted: the site is one static folder in any case
    #[arg(long = "static")]
    pub static_site: bool,
}

#[derive(Args, Debug, Clone)]
pub struct DocsServeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on [default: 8080]
    #[arg(long, default_value_t = 8080, hide_default_value = true)]
    pub port: u16,
    /// Open a browser
    #[arg(long)]
    pub browser: bool,
    /// Open no browser (the default)
    #[arg(long)]
    pub no_browser: bool,
}

#[derive(Args, Debug, Clone)]
pub struct CleanArgs {
    /// Refuse paths outside the project [default]
    #[arg(long)]
    pub clean_project_files_only: bool,
    /// Also clean paths outside the project
    #[arg(long)]
    pub no_clean_project_files_only: bool,
}

#[derive(Subcommand, Debug, Clone)]
pub enum GenCommand {
    /// The TICKIT tables as pipe-delimited text
    Tickit(GenTickitArgs),
}

#[derive(Args, Debug, Clone)]
pub struct GenTickitArgs {
    /// Folder to write into
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Times the real size (425 thousand rows)
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub scale: u32,
    /// The same number gives the same rows, another one others
    #[arg(long, default_value_t = headwater::generate::SEED, value_name = "N")]
    pub seed: u64,
}

#[derive(Args, Debug, Clone)]
pub struct DemoArgs {
    /// Times the real size
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub scale: u32,
}
