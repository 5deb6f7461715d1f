//! The commands, one file each; this list is the only place that knows them all.

mod clean;
mod compile;
mod debug;
mod demo;
mod deps;
mod docs;
mod generate;
mod init;
mod ls;
mod parse;
mod retry;
mod run;
mod run_operation;
mod show;
mod source;
mod watch;

use std::time::Duration;

use headwater::diagnostic::Diagnostic;

use crate::cli::args::Command;
use crate::cli::session::Session;
use crate::cli::{Exit, reference};
use headwater::plan::Verb;

/// How long a busy thread may hold the end of the process.
const BUSY_THREADS_GRACE: Duration = Duration::from_millis(200);

/// Runs one command to its exit.
pub fn dispatch(command: Command, session: &Session) -> Exit {
    match command {
        Command::Init(args) => init::run(&args, session),
        Command::Debug(args) => debug::run(&args, session),
        Command::Parse(_) => parse::run(session),
        Command::Ls(args) => ls::run(&args, session),
        Command::Compile(args) => compile::run(&args, session),
        Command::Run(flags) => run::run(Verb::Run, &flags, session),
        Command::Test(flags) => run::run(Verb::Test, &flags, session),
        Command::Build(flags) => run::run(Verb::Build, &flags, session),
        Command::Watch(flags) => watch::run(&flags, session),
        Command::Seed(flags) => run::run(Verb::Seed, &flags, session),
        Command::Show(args) => show::run(&args, session),
        Command::RunOperation(args) => run_operation::run(&args, session),
        Command::Source(command) => source::run(&command, session),
        Command::Docs(command) => docs::run(&command, session),
        Command::Deps(_) => deps::run(session),
        Command::Retry(args) => retry::run(&args, session),
        Command::Snapshot(_) => not_yet(session, "snapshot", "snapshots are read and listed, and nothing builds them yet"),
        Command::Clone(_) => not_yet(session, "clone", "build the tables into the other schema instead: --target"),
        Command::Clean(args) => clean::run(&args, session),
        Command::Gen(command) => generate::run(&command, session),
        Command::Demo(args) => demo::run(&args, session),
        Command::Reference => {
            print!("{}", reference::markdown());
            Exit::Success
        }
    }
}

/// A command of dbt's that is not built.
fn not_yet(session: &Session, name: &str, help: &str) -> Exit {
    let error = Diagnostic::error("not-supported-yet", format!("`headwater {name}` is not built yet")).help(help);
    session.complain(&session.folder(), error)
}

/// Runs asynchronous work to its end on a runtime of its own. Threads that are still busy then (a template that loops, after
/// Ctrl-C) do not hold the process.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(8 << 20).build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(BUSY_THREADS_GRACE);
    Ok(outcome)
}
