//! One invocation: settings, the machine, and where events go. Loads the project for the commands that need it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::execute::RunSettings;
use headwater::invocation::Invocation;
use headwater::pipeline::{self, Loaded};
use headwater::project::Project;
use headwater::world::{OsWorld, World};

use crate::cli::Exit;
use crate::cli::args::{GlobalArgs, RunFlags};
use crate::cli::json_printer::JsonPrinter;
use crate::cli::printer::TextPrinter;
use crate::cli::settings::Settings;

/// What a command has to work with.
pub struct Session {
    pub settings: Settings,
    pub world: Arc<dyn World>,
}

/// A loaded project and where its events go.
pub struct Opened {
    pub loaded: Loaded,
    pub events: Arc<dyn EventSink>,
    pub settings: RunSettings,
    pub invocation: Invocation,
}

impl Session {
    pub fn start(args: &GlobalArgs) -> Outcome<Self> {
        let world: Arc<dyn World> = Arc::new(OsWorld);
        Ok(Self { settings: Settings::resolve(args, world.as_ref())?, world })
    }

    /// Where the console's events go; `root` is where source lines are read from.
    pub fn events(&self, root: &Path, target_name: &str) -> Arc<dyn EventSink> {
        self.events_of("", root, target_name)
    }

    /// `which` is the command; those that only compile say less of each node.
    fn events_of(&self, which: &str, root: &Path, target_name: &str) -> Arc<dyn EventSink> {
        if self.settings.json_log {
            return Arc::new(JsonPrinter::new(self.settings.level, self.settings.invocation_id.clone()));
        }
        let (level, style) = (self.settings.level, self.settings.style);
        let printer = TextPrinter::new(level, style, root.to_path_buf(), target_name.to_string());
        Arc::new(printer.compiling(matches!(which, "compile" | "generate")))
    }

    /// Loads the project; every diagnostic is printed. `Err` is the exit to end with.
    pub fn open(&self, which: &str, flags: &RunFlags) -> Result<Opened, Exit> {
        let (project, events) = match pipeline::load_project(self.world.as_ref(), &self.settings.load) {
            Ok((project, warnings)) => {
                let events = self.events_of(which, &project.root, &project.target.target_name);
                self.report(events.as_ref(), warnings)?;
                (project, events)
            }
            Err(error) => return Err(self.complain(&self.folder(), *error)),
        };
        let project = Arc::new(project);
        let settings = self.run_settings(which, flags, &project);
        let invocation = self.invocation(which, &settings);
        match pipeline::load(self.world.as_ref(), project.clone(), &invocation) {
            Ok((loaded, diagnostics)) => {
                self.report(events.as_ref(), diagnostics)?;
                Ok(Opened { loaded, events, settings, invocation })
            }
            Err(error) => Err(self.complain(&project.root, *error)),
        }
    }

    /// Prints diagnostics; an error among them (or a warning under `--warn-error`) ends the command.
    fn report(&self, events: &dyn EventSink, diagnostics: Vec<Diagnostic>) -> Result<(), Exit> {
        let fatal = diagnostics.iter().any(|d| d.is_error() || self.settings.warn_error);
        for diagnostic in diagnostics {
            events.emit(Event::Diagnostic(diagnostic));
        }
        if fatal { Err(Exit::Trouble) } else { Ok(()) }
    }

    /// Prints one diagnostic that ended the command; dbt's exit code for that is 2.
    pub fn complain(&self, root: &Path, error: Diagnostic) -> Exit {
        self.events(root, "").emit(Event::Diagnostic(error));
        Exit::Trouble
    }

    fn invocation(&self, which: &str, settings: &RunSettings) -> Invocation {
        Invocation {
            id: self.settings.invocation_id.clone(),
            started_at: self.settings.started_at,
            flags: settings.flags(),
            args: self.settings.artifact_args(which),
        }
    }

    /// The run's flags: typed, then from the environment, then the project's `flags:`.
    fn run_settings(&self, which: &str, flags: &RunFlags, project: &Project) -> RunSettings {
        let project_flag = |name: &str| project.flags.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false);
        let env = |name: &str| self.settings.environment_flag(self.world.as_ref(), name);
        RunSettings {
            which: which.to_string(),
            threads: project.target.threads.max(1),
            full_refresh: flags.full_refresh || env("DBT_FULL_REFRESH"),
            fail_fast: self.settings.fail_fast || project_flag("fail_fast"),
            empty: flags.empty || env("DBT_EMPTY"),
            store_failures: flags.store_failures || env("DBT_STORE_FAILURES") || project_flag("store_failures"),
            warn_error: self.settings.warn_error || project_flag("warn_error"),
            no_introspect: false,
        }
    }

    /// The project folder as far as it is known before loading.
    pub fn folder(&self) -> PathBuf {
        self.settings.load.project_dir.clone().unwrap_or_else(|| PathBuf::from("."))
    }
}
