//! What `run_results.json` keeps of a call under `args`, and templates see as `invocation_args_dict`: every flag of the command
//! by dbt's name, typed or not.
//!
//! Which flags a command has, their defaults, and which are left out while they are off are dbt's (1.12.6).

use headwater::execute::RunSettings;
use headwater::manifest::JsonMap;
use headwater::project::{MASK, Project};
use serde_json::{Value as Json, json};

use crate::cli::args::{IndirectSelection, LogFormat, RunFlags};
use crate::cli::session::Session;
use crate::cli::settings::Settings;

/// Flags that only `flags:` of dbt_project.yml sets, with dbt's defaults.
const BEHAVIOURS: [(&str, bool); 24] = [
    ("require_batched_execution_for_custom_microbatch_strategy", true),
    ("require_explicit_package_overrides_for_builtin_materializations", true),
    ("require_resource_names_without_spaces", true),
    ("source_freshness_run_project_hooks", true),
    ("skip_nodes_if_on_run_start_fails", true),
    ("state_modified_compare_more_unrendered_values", true),
    ("state_modified_compare_vars", false),
    ("require_yaml_configuration_for_mf_time_spines", true),
    ("require_nested_cumulative_type_params", true),
    ("validate_macro_args", true),
    ("require_all_warnings_handled_by_warn_error", true),
    ("require_generic_test_arguments_property", true),
    ("require_unique_project_resource_names", false),
    ("require_ref_searches_node_package_before_root", false),
    ("require_valid_schema_from_generate_schema_name", false),
    ("allow_jinja_file_extensions", false),
    ("require_sql_header_in_test_configs", false),
    ("support_custom_ref_kwargs", false),
    ("require_corrected_analysis_fqns", false),
    ("require_source_and_semantic_model_names_without_spaces", false),
    ("enable_grouped_warn_error_parser_logs", false),
    ("use_catalogs_v2", false),
    ("latest_version_pointer_enabled_by_default", false),
    ("strict_mode", false),
];

/// Flags of every command that change nothing here, as they are when nothing is typed.
const ACCEPTED: [(&str, bool); 13] = [
    ("cache_selected_only", false),
    ("hints_enabled", true),
    ("macro_debugging", false),
    ("partial_parse_file_diff", true),
    ("populate_cache", true),
    ("send_anonymous_usage_stats", false),
    ("show_resource_report", false),
    ("snowflake_projects_otel", false),
    ("static_parser", true),
    ("upload_to_artifacts_ingest_api", false),
    ("use_colors_file", true),
    ("use_fast_test_edges", false),
    ("use_v2_parser", false),
];

/// Flags that dbt leaves out while they are off.
const ONLY_IF_ON: [&str; 5] = ["debug", "full_refresh", "fail_fast", "warn_error", "store_failures"];

impl Session {
    /// The flags of this call of `which`.
    pub fn artifact_args(&self, which: &str, flags: &RunFlags, (run, project): (&RunSettings, &Project)) -> JsonMap {
        let mut args = JsonMap::new();
        args.insert("which".to_string(), json!(which));
        args.insert("invocation_command".to_string(), json!(invocation_command(&self.settings.secrets)));
        for (name, default) in BEHAVIOURS.iter().chain(&ACCEPTED) {
            let value = project.flags.get(*name).cloned().unwrap_or(Json::Bool(*default));
            args.insert((*name).to_string(), value);
        }
        args.extend(self.output_args());
        args.extend(self.place_args(project));
        args.extend(selection_args(which, flags));
        args.extend(run_args(which, run));
        args.extend(self.windows(flags).artifact_args());
        args.extend(self.args.artifact_args());
        args.extend(flags.command_args.clone());
        args.retain(|name, value| {
            let is_off = *value == Json::Bool(false) && ONLY_IF_ON.contains(&name.as_str());
            !value.is_null() && !is_off
        });
        args
    }

    /// What is printed and written, and how.
    fn output_args(&self) -> JsonMap {
        let Settings { log_file, style, .. } = &self.settings;
        let format = |format: Option<LogFormat>, default: &str| format.map_or(default.to_string(), |it| it.word().to_string());
        let settings = &self.settings;
        object([
            ("debug", json!(self.args.debug)),
            ("fail_fast", json!(settings.fail_fast)),
            ("log_format", json!(format(self.args.log_format, if settings.json_log { "json" } else { "default" }))),
            ("log_format_file", json!(format(self.args.log_format_file, if log_file.json { "json" } else { "debug" }))),
            ("log_level", json!(settings.level.name())),
            ("log_level_file", json!(log_file.level.name())),
            ("log_file_max_bytes", json!(10 * 1024 * 1024)),
            ("maximum_seed_size_mib", json!(self.args.accepted.maximum_seed_size_mib.unwrap_or(1))),
            ("partial_parse", json!(settings.partial_parse.unwrap_or(true))),
            ("print", json!(settings.print)),
            ("printer_width", json!(settings.width)),
            ("quiet", json!(self.args.quiet)),
            ("show_all_deprecations", json!(settings.warnings.all_deprecations)),
            ("use_colors", json!(style.colors)),
            ("version_check", json!(settings.version_check)),
            ("warn_error", json!(settings.warnings.all_errors)),
            ("warn_error_options", settings.warnings.options()),
            ("write_json", json!(settings.write_json)),
        ])
    }

    /// Where the project lies and what it is given.
    fn place_args(&self, project: &Project) -> JsonMap {
        let folder = |path: &std::path::Path| json!(path.to_string_lossy());
        let settings = &self.settings;
        let logs = settings.log_file.folder.clone().unwrap_or_else(|| project.root.join("logs"));
        object([
            ("project_dir", folder(&project.root)),
            ("profiles_dir", folder(settings.load.profiles_dir.as_deref().unwrap_or(&project.root))),
            ("log_path", folder(&logs)),
            ("target_path", json!(settings.load.target_path)),
            ("threads", json!(settings.load.threads)),
            ("vars", Json::Object(settings.load.vars.clone())),
        ])
    }
}

/// The command line, with the program's name as it is installed; secrets in it are masked.
fn invocation_command(secrets: &[String]) -> String {
    let words = std::env::args().skip(1);
    let command = words.fold("headwater".to_string(), |command, word| command + " " + &word);
    secrets.iter().filter(|secret| !secret.is_empty()).fold(command, |command, secret| command.replace(secret, MASK))
}

/// What is worked on; the commands that make nothing of resource types have no flag for them.
fn selection_args(which: &str, flags: &RunFlags) -> JsonMap {
    let selection = &flags.selection;
    let mode = selection.indirect_selection.map_or("eager", IndirectSelection::as_str);
    let mut args = object([("indirect_selection", json!(mode)), ("selector", json!(selection.selector))]);
    if which != "run-operation" {
        args.extend(object([("select", json!(selection.select)), ("exclude", json!(selection.exclude))]));
    }
    if matches!(which, "build" | "test" | "clone" | "list") {
        let types = [
            ("resource_types", json!(selection.resource_type)),
            ("exclude_resource_types", json!(selection.exclude_resource_type)),
        ];
        args.extend(object(types));
    }
    args
}

fn run_args(which: &str, run: &RunSettings) -> JsonMap {
    let mut args = object([("introspect", json!(!run.no_introspect)), ("full_refresh", json!(run.full_refresh))]);
    if matches!(which, "build" | "run" | "seed" | "snapshot" | "compile") {
        args.insert("empty".to_string(), json!(run.empty));
    }
    if matches!(which, "build" | "test") {
        args.insert("store_failures".to_string(), json!(run.store_failures));
    }
    if which == "build" {
        args.extend(object([("export_saved_queries", json!(false)), ("include_saved_query", json!(false))]));
    }
    if matches!(which, "build" | "seed") {
        args.insert("show".to_string(), json!(false));
    }
    if run.audit {
        args.insert("audit".to_string(), json!(true));
    }
    args
}

fn object<const N: usize>(entries: [(&str, Json); N]) -> JsonMap {
    entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}
