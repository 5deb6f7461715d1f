//! One invocation: settings, the machine, and where events go. Loads the project for the commands that need it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::execute::{RunSettings, TypeCheck};
use headwater::invocation::Invocation;
use headwater::pipeline::{self, Loaded};
use headwater::project::Project;
use headwater::world::{OsWorld, World};

use crate::cli::Exit;
use crate::cli::args::{GlobalArgs, LogLevel, RunFlags, StaticAnalysis};
use crate::cli::json_printer::JsonPrinter;
use crate::cli::legacy;
use crate::cli::line::Manner;
use crate::cli::output::{Output, Outputs};
use crate::cli::printer::TextPrinter;
use crate::cli::settings::Settings;
use crate::cli::style::Style;
use crate::cli::window::{TypedWindows, Windows};

/// What a command has to work with.
pub struct Session {
    /// As typed, for `retry`, which runs an earlier command with its own.
    pub args: GlobalArgs,
    pub settings: Settings,
    pub world: Arc<dyn World>,
}

/// A project of which nothing is parsed yet.
pub struct Prepared {
    pub project: Arc<Project>,
    pub events: Arc<Outputs>,
    pub settings: RunSettings,
    pub invocation: Invocation,
}

/// A loaded project and where its events go.
#[derive(Clone)]
pub struct Opened {
    pub loaded: Loaded,
    pub events: Arc<Outputs>,
    pub settings: RunSettings,
    pub invocation: Invocation,
}

impl Session {
    pub fn start(args: &GlobalArgs) -> Outcome<Self> {
        let world: Arc<dyn World> = Arc::new(OsWorld);
        Ok(Self { args: args.clone(), settings: Settings::resolve(args, world.as_ref())?, world })
    }

    /// Where events go: the console and the log file. `root` is where source lines are read from; `which` is the command.
    pub fn events(&self, root: &Path, target_name: &str, which: &str) -> Arc<Outputs> {
        let settings = &self.settings;
        let compiling = matches!(which, "compile" | "generate" | "show");
        let manner = Manner { style: settings.style, width: settings.width, compiling };
        let printer = |json: bool, level: LogLevel, manner: Manner, output: Output| -> Box<dyn EventSink> {
            let target_name = target_name.to_string();
            if json {
                let invocation_id = settings.invocation_id.clone();
                return Box::new(JsonPrinter { level, manner, invocation_id, target_name, output });
            }
            Box::new(TextPrinter { level, manner, root: root.to_path_buf(), target_name, output, state: Mutex::default() })
        };
        let mut sinks = vec![printer(settings.json_log, settings.level, manner, Output::console(settings.secrets.clone()))];
        if let Some(file) = self.log(root) {
            let plain = Manner { style: Style { colors: false }, ..manner };
            sinks.push(printer(settings.log_file.json, settings.log_file.level, plain, file));
        }
        Arc::new(Outputs::new(sinks, settings.warnings.clone(), settings.print))
    }

    /// The log file, where one is wanted and its folder is known: outside a project only `--log-path` tells.
    fn log(&self, root: &Path) -> Option<Output> {
        let log = &self.settings.log_file;
        let in_project = || root.join("dbt_project.yml").exists().then(|| root.join("logs"));
        let folder = log.folder.clone().or_else(in_project).filter(|_| log.level != LogLevel::None)?;
        Output::log(&folder, self.settings.secrets.clone())
    }

    /// A line of the command's own output: `ls`, `show`, `compile`. Under JSON logs it is a line of those.
    pub fn say(&self, text: &str) {
        if self.settings.json_log {
            self.events(Path::new(""), "", "").emit(Event::Print { text: text.to_string() });
        } else {
            Output::console(self.settings.secrets.clone()).line(text);
        }
    }

    /// Lines of the command's own output, as many [`say`](Self::say) would print them.
    pub fn say_all(&self, lines: &[String]) {
        if self.settings.json_log {
            lines.iter().for_each(|line| self.say(line));
        } else {
            // The console would pass on each line by itself.
            self.say(&lines.join("\n"));
        }
    }

    /// Loads the project; every diagnostic is printed. `Err` is the exit to end with.
    pub fn open(&self, which: &str, flags: &RunFlags) -> Result<Opened, Exit> {
        self.load(self.prepare(which, flags)?)
    }

    /// Reads the project's settings and target; every diagnostic is printed.
    pub fn prepare(&self, which: &str, flags: &RunFlags) -> Result<Prepared, Exit> {
        let (project, events) = match pipeline::load_project(self.world.as_ref(), &self.settings.load) {
            Ok((project, warnings)) => {
                let events = self.events(&project.root, &project.target.target_name, which);
                self.begin(events.as_ref(), which);
                let about = self.settings.warnings.about.iter().cloned();
                report(events.as_ref(), about.chain(legacy::of_call(self.world.as_ref())).chain(warnings).collect())?;
                (project, events)
            }
            Err(error) => return Err(self.complain(&self.folder(), *error)),
        };
        let project = Arc::new(project);
        let settings = match self.run_settings(which, flags, &project) {
            Ok(settings) => settings,
            Err(error) => return Err(self.complain(&project.root, *error)),
        };
        let invocation = self.invocation(which, flags, (&settings, &project));
        Ok(Prepared { project, events, settings, invocation })
    }

    /// Parses what was prepared; every diagnostic is printed.
    pub fn load(&self, prepared: Prepared) -> Result<Opened, Exit> {
        let Prepared { project, events, settings, invocation } = prepared;
        match pipeline::load(self.world.as_ref(), project.clone(), &invocation) {
            Ok((loaded, diagnostics)) => {
                report(events.as_ref(), diagnostics)?;
                Ok(Opened { loaded, events, settings, invocation })
            }
            Err(error) => Err(self.complain(&project.root, *error)),
        }
    }

    /// The first line of an invocation in the log file.
    fn begin(&self, events: &Outputs, which: &str) {
        let text = format!("headwater {} {which}, invocation {}", super::VERSION, self.settings.invocation_id);
        events.emit(Event::Message { text, info: false });
    }

    /// Prints one diagnostic that ended the command; dbt's exit code for that is 2.
    pub fn complain(&self, root: &Path, error: Diagnostic) -> Exit {
        self.events(root, "", "").emit(Event::Diagnostic(error));
        Exit::Trouble
    }

    fn invocation(&self, which: &str, flags: &RunFlags, (settings, project): (&RunSettings, &Project)) -> Invocation {
        let args = self.artifact_args(which, flags, (settings, project));
        let by_project = || project.flags.get("partial_parse").and_then(serde_json::Value::as_bool);
        Invocation {
            id: self.settings.invocation_id.clone(),
            started_at: self.settings.started_at,
            flags: settings.flags(),
            args,
            partial_parse: self.settings.partial_parse.or_else(by_project).unwrap_or(true),
        }
    }

    /// The run's flags: typed, then from the environment, then the project's `flags:`.
    fn run_settings(&self, which: &str, flags: &RunFlags, project: &Project) -> Outcome<RunSettings> {
        let on = |typed: bool, name: &str| self.settings.environment_flag(self.world.as_ref(), name, typed);
        let started_at = flags.earlier.started_at.unwrap_or(self.settings.started_at);
        let Windows { sample, event_time_start, event_time_end } = self.windows(flags).read(started_at)?;
        Ok(RunSettings {
            which: which.to_string(),
            threads: project.target.threads.max(1),
            full_refresh: on(flags.full_refresh, "DBT_FULL_REFRESH"),
            fail_fast: self.settings.fail_fast,
            empty: !flags.no_empty && on(flags.empty, "DBT_EMPTY"),
            store_failures: on(flags.store_failures, "DBT_STORE_FAILURES"),
            warn_error: self.settings.warnings.all_errors,
            no_introspect: flags.no_introspect,
            audit: flags.audit,
            sample,
            event_time_start,
            event_time_end,
            started_at: Some(started_at),
            batches: flags.earlier.batches.clone(),
            deferred: Arc::default(),
            types: self.type_check(which, flags.static_analysis),
            ..RunSettings::default()
        })
    }

    pub fn windows(&self, flags: &RunFlags) -> TypedWindows {
        let text = |typed: Option<&String>, name: &str| self.settings.environment_text(self.world.as_ref(), name, typed);
        TypedWindows {
            sample: text(flags.windows.sample.as_ref(), "DBT_SAMPLE"),
            event_time_start: text(flags.windows.event_time_start.as_ref(), "DBT_EVENT_TIME_START"),
            event_time_end: text(flags.windows.event_time_end.as_ref(), "DBT_EVENT_TIME_END"),
        }
    }

    /// `--static-analysis`, else `DBT_STATIC_ANALYSIS`, else what the command does by itself.
    fn type_check(&self, which: &str, typed: Option<StaticAnalysis>) -> TypeCheck {
        let asked = typed.or_else(|| StaticAnalysis::parse(&self.world.env("DBT_STATIC_ANALYSIS")?));
        match (asked, which) {
            (Some(StaticAnalysis::Off), _) => TypeCheck::Off,
            (Some(StaticAnalysis::Strict), _) | (_, "compile") => TypeCheck::Errors,
            (_, "run" | "build" | "retry" | "snapshot" | "generate" | "lineage" | "list") => TypeCheck::Lineage,
            _ => TypeCheck::Off,
        }
    }

    /// The project folder as far as it is known before loading.
    pub fn folder(&self) -> PathBuf {
        self.settings.load.project_dir.clone().unwrap_or_else(|| PathBuf::from("."))
    }
}

/// Prints diagnostics; an error among them (or a warning that counts as one) ends the command.
pub fn report(events: &Outputs, diagnostics: Vec<Diagnostic>) -> Result<(), Exit> {
    for diagnostic in diagnostics {
        events.emit(Event::Diagnostic(diagnostic));
    }
    if events.is_fatal() { Err(Exit::Trouble) } else { Ok(()) }
}
