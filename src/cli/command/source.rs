//! `headwater source freshness`: how old the newest row of each source is.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::pipeline;
use headwater::plan::Verb;

use crate::cli::Exit;
use crate::cli::args::{FreshnessArgs, RunFlags, SourceCommand};
use crate::cli::request::{chosen, exit_of, runner};
use crate::cli::session::{Opened, Session};

pub fn run(command: &SourceCommand, session: &Session) -> Exit {
    let SourceCommand::Freshness(args) = command;
    let opened = match session.open("freshness", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(check(args, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn check(args: &FreshnessArgs, session: &Session, opened: Opened) -> Outcome<Exit> {
    let chosen = chosen(&args.selection, Verb::Freshness.resource_types(), &opened, session)?;
    if chosen.is_empty() {
        opened.events.emit(Event::Message {
            text: "Nothing to do. Try checking your model configs and model specification args".to_string(),
            info: true,
        });
    }
    let outcome = pipeline::freshness(&opened.loaded, &chosen, runner(session, &opened)?).await?;
    if session.settings.write_json {
        pipeline::write_freshness(&opened.loaded, &outcome, args.output.as_deref(), &opened.invocation)?;
    }
    Ok(exit_of(&outcome.run, &opened))
}
