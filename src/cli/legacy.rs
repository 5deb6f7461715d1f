//! What dbt deprecates of command lines and environments.

use headwater::diagnostic::Diagnostic;
use headwater::world::World;

/// What variables with the engine's prefix may be called after it: flags of dbt 1.12, and a few that are none.
#[rustfmt::skip]
const VARIABLES: &[&str] = &[
    "ARTIFACT_STATE_PATH", "CACHE_SELECTED_ONLY", "CLEAN_PROJECT_FILES_ONLY", "DEBUG", "DEFER", "DEFER_STATE", "DEFER_TO_STATE",
    "DOWNLOAD_DIR", "EMPTY", "EVENT_TIME_END", "EVENT_TIME_START", "EXCLUDE_RESOURCE_TYPES", "EXPORT_SAVED_QUERIES", "FAIL_FAST",
    "FAVOR_STATE", "FAVOR_STATE_MODE", "FULL_REFRESH", "HINTS_ENABLED", "HOST", "INCLUDE_SAVED_QUERY", "INDIRECT_SELECTION",
    "INTROSPECT", "INVOCATION_ENV", "LOG_CACHE_EVENTS", "LOG_FILE_MAX_BYTES", "LOG_FORMAT", "LOG_FORMAT_FILE", "LOG_LEVEL",
    "LOG_LEVEL_FILE", "LOG_PATH", "MACRO_DEBUGGING", "MAXIMUM_SEED_SIZE_MIB", "NO_PRINT", "PACKAGE_HUB_URL", "PARTIAL_PARSE",
    "PARTIAL_PARSE_FILE_DIFF", "PARTIAL_PARSE_FILE_PATH", "POPULATE_CACHE", "PP_FILE_DIFF_TEST", "PP_TEST", "PRINT",
    "PRINTER_WIDTH", "PROFILE", "PROFILES_DIR", "PROJECT_DIR", "QUIET", "RECORDED_FILE_PATH", "RESOURCE_TYPES", "SAMPLE",
    "SEND_ANONYMOUS_USAGE_STATS", "SHOW_ALL_DEPRECATIONS", "SHOW_RESOURCE_REPORT", "SINGLE_THREADED", "SNOWFLAKE_PROJECTS_OTEL",
    "SQLPARSE", "STATE", "STATIC_ANALYSIS", "STATIC_PARSER", "STORE_FAILURES", "TARGET", "TARGET_PATH", "TEST_STATE_MODIFIED",
    "THREADS", "UPLOAD_TO_ARTIFACTS_INGEST_API", "USE_COLORS", "USE_COLORS_FILE", "USE_EXPERIMENTAL_PARSER",
    "USE_FAST_TEST_EDGES", "USE_V2_PARSER", "V2_PARSER", "VARS", "VERSION_CHECK", "WARN_ERROR", "WARN_ERROR_OPTIONS", "WRITE_JSON",
];

/// The prefix that dbt keeps for itself.
const PREFIX: &str = "DBT_ENGINE_";

/// `--models` and its like, and variables of others with the engine's prefix.
pub fn of_call(world: &dyn World) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let is_old = |word: &str| {
        let flag = word.split('=').next().unwrap_or_default();
        matches!(flag, "--models" | "--model" | "-m") || (word.starts_with("-m") && !word.starts_with("--"))
    };
    if std::env::args().skip(1).any(|word| is_old(&word)) {
        let message = "dbt deprecates `--models`, `--model` and `-m`";
        found.push(Diagnostic::warning("models-flag", message).help("use `--select` or `-s`"));
    }
    let variables = world.environment().into_keys();
    let foreign = variables.filter(|name| name.strip_prefix(PREFIX).is_some_and(|rest| !VARIABLES.contains(&rest)));
    for name in foreign {
        let message = format!("the variable `{name}` begins with `{PREFIX}`, which dbt keeps for itself");
        found.push(Diagnostic::warning("reserved-variable", message).help("give it another name"));
    }
    found
}
