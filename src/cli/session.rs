//! One invocation: settings, the machine, and where events go. Loads the project for the commands that need it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::pipeline::{self, Loaded};
use headwater::world::{OsWorld, World};

use crate::cli::Exit;
use crate::cli::args::GlobalArgs;
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
}

impl Session {
    pub fn start(args: &GlobalArgs) -> Outcome<Self> {
        let world: Arc<dyn World> = Arc::new(OsWorld);
        Ok(Self { settings: Settings::resolve(args, world.as_ref())?, world })
    }

    /// Where the console's events go; `root` is where source lines are read from.
    pub fn events(&self, root: &Path, target_name: &str) -> Arc<dyn EventSink> {
        if self.settings.json_log {
            return Arc::new(JsonPrinter::new(self.settings.level, self.settings.invocation_id.clone()));
        }
        Arc::new(TextPrinter::new(self.settings.level, self.settings.style, root.to_path_buf(), target_name.to_string()))
    }

    /// Loads the project; every diagnostic is printed. `Err` is the exit to end with.
    pub fn open(&self) -> Result<Opened, Exit> {
        let project = match pipeline::load_project(self.world.as_ref(), &self.settings.load) {
            Ok((project, warnings)) => {
                let events = self.events(&project.root, &project.target.target_name);
                self.report(events.as_ref(), warnings)?;
                (Arc::new(project), events)
            }
            Err(error) => return Err(self.complain(&self.folder(), *error)),
        };
        let (project, events) = project;
        let invocation = self.invocation();
        match pipeline::load(self.world.as_ref(), project.clone(), &invocation) {
            Ok((loaded, diagnostics)) => {
                self.report(events.as_ref(), diagnostics)?;
                Ok(Opened { loaded, events })
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
        if fatal { Err(Exit::Failure) } else { Ok(()) }
    }

    /// Prints one diagnostic that ended the command.
    pub fn complain(&self, root: &Path, error: Diagnostic) -> Exit {
        self.events(root, "").emit(Event::Diagnostic(error));
        Exit::Failure
    }

    pub fn invocation(&self) -> pipeline::Invocation {
        pipeline::Invocation { id: self.settings.invocation_id.clone(), started_at: self.settings.started_at }
    }

    /// The project folder as far as it is known before loading.
    pub fn folder(&self) -> PathBuf {
        self.settings.load.project_dir.clone().unwrap_or_else(|| PathBuf::from("."))
    }
}
