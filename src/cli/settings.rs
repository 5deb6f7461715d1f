//! What the user meant: arguments first, then `DBT_*` environment variables, then the project's `flags:`, then defaults.

use std::io::IsTerminal;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::manifest::JsonMap;
use headwater::project::{LoadOptions, yaml};
use headwater::world::World;
use serde_json::{Value as Json, json};

use crate::cli::args::{GlobalArgs, LogFormat, LogLevel};
use crate::cli::style::Style;

/// Resolved global settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub load: LoadOptions,
    pub json_log: bool,
    pub level: LogLevel,
    pub style: Style,
    pub fail_fast: bool,
    pub warn_error: bool,
    pub write_json: bool,
    pub invocation_id: String,
    pub started_at: DateTime<Utc>,
}

impl Settings {
    pub fn resolve(args: &GlobalArgs, world: &dyn World) -> Outcome<Self> {
        let env = Environment { world };
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
        let json_log = match args.log_format {
            Some(format) => format == LogFormat::Json,
            None => env.text("DBT_LOG_FORMAT").is_some_and(|format| format == "json"),
        };
        Ok(Self {
            load: load_options(args, &env)?,
            json_log,
            level,
            style: Style { colors: colors(args, &env) },
            fail_fast: env.flag(args.fail_fast, args.no_fail_fast, "DBT_FAIL_FAST").unwrap_or(false),
            warn_error: env.flag(args.warn_error, false, "DBT_WARN_ERROR").unwrap_or(false),
            write_json: env.flag(args.write_json, args.no_write_json, "DBT_WRITE_JSON").unwrap_or(true),
            invocation_id: world.new_id(),
            started_at: world.now(),
        })
    }

    /// Whether an environment variable switches something on.
    pub fn environment_flag(&self, world: &dyn World, name: &str) -> bool {
        Environment { world }.flag(false, false, name).unwrap_or(false)
    }

    /// The settings as `run_results.json` keeps them under `args`.
    pub fn artifact_args(&self, which: &str) -> JsonMap {
        let mut args = JsonMap::new();
        args.insert("which".to_string(), json!(which));
        args.insert("invocation_command".to_string(), json!(format!("headwater {which}")));
        args.insert("fail_fast".to_string(), json!(self.fail_fast));
        args.insert("warn_error".to_string(), json!(self.warn_error));
        args.insert("write_json".to_string(), json!(self.write_json));
        args.insert("vars".to_string(), Json::Object(self.load.vars.clone()));
        args
    }
}

struct Environment<'a> {
    world: &'a dyn World,
}

impl Environment<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.world.env(name).filter(|value| !value.is_empty())
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
