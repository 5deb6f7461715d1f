//! The command line: arguments, settings, printing, exit codes; one file a command under `command/`.

mod args;
mod artifact_args;
mod command;
mod json_printer;
mod legacy;
mod line;
mod output;
mod printer;
mod reference;
mod render;
mod request;
mod session;
mod settings;
mod style;
mod warning;
mod window;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::Cli;
use session::Session;

/// What `--version` prints: our own version and the version of dbt whose format is spoken.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (dbt 1.12.6 format)");

/// The stack of every thread that may plan SQL, whose trees are as deep as the longest chain of operators. Only what is used of
/// it takes memory.
const STACK_BYTES: usize = 128 << 20;

/// How a command ended, as dbt's exit codes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Success,
    /// The command ran; a node, a test or the project's text failed.
    Failure,
    /// The command could not be carried out: bad arguments, an outside failure.
    Trouble,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => ExitCode::SUCCESS,
            Exit::Failure => ExitCode::from(1),
            Exit::Trouble => ExitCode::from(2),
        }
    }
}

/// Parses the arguments and runs the command they name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match Session::start(&cli.global) {
        Ok(session) => on_deep_stack(|| command::dispatch(cli.command, &session)).into(),
        Err(error) => {
            eprintln!("{}", render::diagnostic(&error, std::path::Path::new("."), style::Style { colors: false }));
            Exit::Trouble.into()
        }
    }
}

/// Runs a command on a thread with room enough; on this one if there can be no other.
fn on_deep_stack(command: impl FnOnce() -> Exit + Send) -> Exit {
    let mut command = Some(command);
    let ended = std::thread::scope(|scope| {
        let run = || command.take().map(|command| command());
        let thread = std::thread::Builder::new().name("command".to_string()).stack_size(STACK_BYTES).spawn_scoped(scope, run);
        thread.ok().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    match ended.flatten() {
        Some(exit) => exit,
        None => command.map_or(Exit::Trouble, |command| command()),
    }
}

/// Help and version go to standard output with 0; a wrong argument to standard error with 2, as clap and dbt do.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe while printing help is no failure worth telling.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => Exit::Trouble.into(),
    }
}
