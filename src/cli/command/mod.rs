//! The commands, one file each; this list is the only place that knows them all.

mod clean;
mod clone;
mod compile;
mod debug;
mod demo;
mod deps;
mod docs;
mod generate;
mod ingest;
mod init;
mod lineage;
mod ls;
mod parse;
mod retry;
mod run;
mod run_operation;
mod show;
mod source;
mod watch;

use std::time::Duration;

use crate::cli::args::Command;
use crate::cli::session::Session;
use crate::cli::{Exit, STACK_BYTES, reference};
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
        Command::Lineage(args) => lineage::run(&args, session),
        Command::Run(flags) => run::run(Verb::Run, &flags, session),
        Command::Test(flags) => run::run(Verb::Test, &flags, session),
        Command::Build(flags) => run::run(Verb::Build, &flags, session),
        Command::Watch(flags) => watch::run(&flags, session),
        Command::Seed(flags) => run::run(Verb::Seed, &flags, session),
        Command::Snapshot(flags) => run::run(Verb::Snapshot, &flags, session),
        Command::Show(args) => show::run(&args, session),
        Command::RunOperation(args) => run_operation::run(&args, session),
        Command::Source(command) => source::run(&command, session),
        Command::Ingest(args) => ingest::run(&args, session),
        Command::Docs(command) => docs::run(&command, session),
        Command::Deps(args) => deps::run(&args, session),
        Command::Retry(args) => retry::run(&args, session),
        Command::Clone(args) => clone::run(&args, session),
        Command::Clean(args) => clean::run(&args, session),
        Command::Gen(command) => generate::run(&command, session),
        Command::Demo(args) => demo::run(&args, session),
        Command::Reference => {
            print!("{}", reference::markdown());
            Exit::Success
        }
    }
}

/// Runs asynchronous work to its end on a runtime of its own. Threads that are still busy then (a template that loops, after
/// Ctrl-C) do not hold the process.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(BUSY_THREADS_GRACE);
    Ok(outcome)
}
