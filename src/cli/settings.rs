//! What the user meant: arguments first, then `DBT_*` environment variables, then the project's `flags:`, then defaults.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::manifest::JsonMap;
use headwater::project::{self, LoadOptions, yaml};
use headwater::world::World;
use serde_json::Value as Json;

use crate::cli::args::{GlobalArgs, LogFormat, LogLevel};
use crate::cli::style::Style;
use crate::cli::warning::WarningRules;

/// Resolved global settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub load: LoadOptions,
    pub state: StateSettings,
    pub json_log: bool,
    pub level: LogLevel,
    pub style: Style,
    pub log_file: LogFile,
    /// Width to which a node's line is filled.
    pub width: usize,
    /// The values of secret environment variables.
    pub secrets: Arc<[String]>,
    /// Whether the output of `print()` is shown.
    pub print: bool,
    pub fail_fast: bool,
    pub warnings: WarningRules,
    pub write_json: bool,
    /// Whether packages made for other versions of dbt are left out.
    pub version_check: bool,
    /// Whether to use what an earlier command parsed; none if nothing was said.
    pub partial_parse: Option<bool>,
    pub invocation_id: String,
    pub started_at: DateTime<Utc>,
}

/// What of an earlier run is read. Folders are relative to the project's root.
#[derive(Clone, Debug, Default)]
pub struct StateSettings {
    pub folder: Option<PathBuf>,
    pub defer: bool,
    pub favor_state: bool,
    /// Another folder for deferring.
    pub defer_folder: Option<PathBuf>,
}

/// Where the log file lies and what goes into it.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// The folder; `logs` of the project where none is given.
    pub folder: Option<PathBuf>,
    pub json: bool,
    /// `None` of the levels: no file.
    pub level: LogLevel,
}

/// The name of the file in the log folder.
pub const LOG_NAME: &str = "headwater.log";

impl Settings {
    pub fn resolve(args: &GlobalArgs, world: &dyn World) -> Outcome<Self> {
        let env = Environment { world, project: project_flags(args, world) };
        let quiet = env.flag(args.quiet, args.no_quiet, "DBT_QUIET");
        let debug = env.flag(args.debug, args.no_debug, "DBT_DEBUG");
        let level = args.log_level.or_else(|| level_named(&env.text("DBT_LOG_LEVEL")?)).unwrap_or(LogLevel::Info);
        let level = if quiet.unwrap_or(false) {
            LogLevel::Error
        } else if debug.unwrap_or(false) {
            LogLevel::Debug
        } else {
            level
        };
        let json = |typed: Option<LogFormat>, name: &str| match typed {
            Some(format) => format == LogFormat::Json,
            None => env.text(name).is_some_and(|format| format == "json"),
        };
        let log_file = LogFile {
            folder: args.log_path.clone().or_else(|| env.path("DBT_LOG_PATH")),
            json: json(args.log_format_file, "DBT_LOG_FORMAT_FILE"),
            level: args.log_level_file.or_else(|| level_named(&env.text("DBT_LOG_LEVEL_FILE")?)).unwrap_or(LogLevel::Debug),
        };
        let width = args.printer_width.or_else(|| env.text("DBT_PRINTER_WIDTH")?.parse().ok()).unwrap_or(80);
        Ok(Self {
            load: load_options(args, &env)?,
            state: state(args, &env),
            json_log: json(args.log_format, "DBT_LOG_FORMAT"),
            level,
            log_file,
            width,
            secrets: project::secrets(world).into(),
            print: env.flag(args.print, args.no_print, "DBT_PRINT").unwrap_or(true),
            style: Style { colors: colors(args, &env) },
            fail_fast: env.flag(args.fail_fast, args.no_fail_fast, "DBT_FAIL_FAST").unwrap_or(false),
            warnings: warning_rules(args, &env)?,
            write_json: env.flag(args.write_json, args.no_write_json, "DBT_WRITE_JSON").unwrap_or(true),
            version_check: env
                .flag(args.accepted.version_check, args.accepted.no_version_check, "DBT_VERSION_CHECK")
                .unwrap_or(true),
            partial_parse: env.flag(args.accepted.partial_parse, args.accepted.no_partial_parse, "DBT_PARTIAL_PARSE"),
            invocation_id: world.new_id(),
            started_at: world.now(),
        })
    }

    /// Whether something is switched on: typed, or by an environment variable.
    pub fn environment_flag(&self, world: &dyn World, name: &str, typed: bool) -> bool {
        Environment { world, project: JsonMap::new() }.flag(typed, false, name).unwrap_or(false)
    }

    /// The value of an option: typed, or from an environment variable.
    pub fn environment_text(&self, world: &dyn World, name: &str, typed: Option<&String>) -> Option<String> {
        typed.cloned().or_else(|| Environment { world, project: JsonMap::new() }.text(name))
    }
}

/// Where a flag that was not typed comes from: a variable, else the project's `flags:`.
struct Environment<'a> {
    world: &'a dyn World,
    project: JsonMap,
}

/// What dbt takes from a project's `flags:` of what the command line and the environment may set too, without `DBT_`.
const PROJECT_FLAGS: [&str; 14] = [
    "DEBUG",
    "FAIL_FAST",
    "INDIRECT_SELECTION",
    "LOG_FORMAT",
    "LOG_FORMAT_FILE",
    "LOG_LEVEL",
    "LOG_LEVEL_FILE",
    "PRINTER_WIDTH",
    "SEND_ANONYMOUS_USAGE_STATS",
    "USE_COLORS",
    "VERSION_CHECK",
    "WARN_ERROR",
    "WARN_ERROR_OPTIONS",
    "WRITE_JSON",
];

/// `flags:` of dbt_project.yml. The file is read again, and its mistakes told, when the project is loaded.
fn project_flags(args: &GlobalArgs, world: &dyn World) -> JsonMap {
    let variable = || world.env("DBT_PROJECT_DIR").or_else(|| world.env("DBT_ENGINE_PROJECT_DIR")).map(PathBuf::from);
    let options = LoadOptions { project_dir: args.project_dir.clone().or_else(variable), ..LoadOptions::default() };
    project::project_flags(world, &options).unwrap_or_default()
}

impl Environment<'_> {
    /// The variable, also under the name with `DBT_ENGINE_` that dbt reads since 1.11.
    fn text(&self, name: &str) -> Option<String> {
        let newer = || self.world.env(&name.replacen("DBT_", "DBT_ENGINE_", 1));
        self.world.env(name).or_else(newer).filter(|value| !value.is_empty()).or_else(|| self.of_project(name))
    }

    /// What the project's `flags:` say of the flag that the variable sets; a mapping as YAML text.
    fn of_project(&self, name: &str) -> Option<String> {
        let flag = name.strip_prefix("DBT_").filter(|flag| PROJECT_FLAGS.contains(flag))?;
        match self.project.get(&flag.to_lowercase())? {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// What was typed wins; then the variable (`1/true/yes/on` in any case is true, as click reads it).
    fn flag(&self, on: bool, off: bool, name: &str) -> Option<bool> {
        if on || off {
            return Some(on);
        }
        let value = self.text(name)?.to_lowercase();
        Some(matches!(value.as_str(), "1" | "true" | "t" | "yes" | "y" | "on"))
    }
}

fn warning_rules(args: &GlobalArgs, env: &Environment<'_>) -> Outcome<WarningRules> {
    let typed = env.flag(args.warn_error, args.no_warn_error, "DBT_WARN_ERROR").unwrap_or(false);
    let options = args.warn_error_options.clone().or_else(|| env.text("DBT_WARN_ERROR_OPTIONS"));
    let mut rules = WarningRules::from_options(&mapping("--warn-error-options", options.as_deref())?)?;
    rules.all_errors |= typed;
    let accepted = &args.accepted;
    let show_all = env.flag(accepted.show_all_deprecations, accepted.no_show_all_deprecations, "DBT_SHOW_ALL_DEPRECATIONS");
    rules.all_deprecations = show_all.unwrap_or(false);
    Ok(rules)
}

fn load_options(args: &GlobalArgs, env: &Environment<'_>) -> Outcome<LoadOptions> {
    let threads = match env.text("DBT_THREADS") {
        Some(text) if args.threads.is_none() => text.parse().ok(),
        _ => args.threads,
    };
    if threads == Some(0) {
        return Diagnostic::error("bad-argument", "`--threads` must be at least 1").fail();
    }
    Ok(LoadOptions {
        project_dir: args.project_dir.clone().or_else(|| env.path("DBT_PROJECT_DIR")),
        profiles_dir: args.profiles_dir.clone().or_else(|| env.path("DBT_PROFILES_DIR")),
        profile: args.profile.clone().or_else(|| env.text("DBT_PROFILE")),
        target: args.target.clone().or_else(|| env.text("DBT_TARGET")),
        vars: mapping("--vars", args.vars.clone().or_else(|| env.text("DBT_VARS")).as_deref())?,
        target_path: args.target_path.clone().or_else(|| env.path("DBT_TARGET_PATH")),
        threads,
    })
}

/// The older names of the variables are read where the newer are not set.
fn state(args: &GlobalArgs, env: &Environment<'_>) -> StateSettings {
    let typed = &args.state;
    let flag = |on: bool, off: bool, name: &str, older: &str| {
        env.flag(on, off, name).or_else(|| env.flag(false, false, older)).unwrap_or(false)
    };
    let folder = typed.state.clone().or_else(|| env.path("DBT_STATE")).or_else(|| env.path("DBT_ARTIFACT_STATE_PATH"));
    StateSettings {
        folder,
        defer: flag(typed.defer, typed.no_defer, "DBT_DEFER", "DBT_DEFER_TO_STATE"),
        favor_state: flag(typed.favor_state, typed.no_favor_state, "DBT_FAVOR_STATE", "DBT_FAVOR_STATE_MODE"),
        defer_folder: typed.defer_state.clone().or_else(|| env.path("DBT_DEFER_STATE")),
    }
}

/// A YAML mapping given on the command line.
pub fn mapping(flag: &str, text: Option<&str>) -> Outcome<JsonMap> {
    let Some(text) = text else {
        return Ok(JsonMap::new());
    };
    let wrong = |reason: String| {
        Diagnostic::error("bad-argument", format!("`{flag}` is not a YAML mapping: {reason}"))
            .help(format!("expected a form like {flag} '{{key: value}}'"))
    };
    let (yaml, _) = yaml::parse(text, flag).map_err(|error| Box::new(wrong(error.message.clone())))?;
    match yaml.to_json() {
        Json::Object(map) => Ok(map),
        Json::Null => Ok(JsonMap::new()),
        other => wrong(format!("it holds {other}")).fail(),
    }
}

fn colors(args: &GlobalArgs, env: &Environment<'_>) -> bool {
    let typed = env.flag(args.use_colors, args.no_use_colors, "DBT_USE_COLORS");
    typed.unwrap_or_else(|| env.text("NO_COLOR").is_none() && std::io::stdout().is_terminal())
}

fn level_named(name: &str) -> Option<LogLevel> {
    match name.to_lowercase().as_str() {
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warn" => Some(LogLevel::Warn),
        "error" => Some(LogLevel::Error),
        "none" => Some(LogLevel::None),
        _ => None,
    }
}
