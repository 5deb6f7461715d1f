//! `run`, `test`, `build` and `seed`: one plan, carried out.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::name::UniqueId;
use headwater::pipeline;
use headwater::plan::Verb;
use indexmap::IndexSet;

use crate::cli::Exit;
use crate::cli::args::RunFlags;
use crate::cli::request::{chosen, exit_of, runner};
use crate::cli::session::{Opened, Session};

pub fn run(verb: Verb, flags: &RunFlags, session: &Session) -> Exit {
    let opened = match session.open(verb.as_str(), flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(carry_out(verb, flags, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn carry_out(verb: Verb, flags: &RunFlags, session: &Session, opened: Opened) -> Outcome<Exit> {
    let chosen = chosen(&flags.selection, verb.resource_types(), &opened, session)?;
    carry_out_on(verb, &chosen, session, opened).await
}

/// Runs the verb on nodes that are chosen already.
pub async fn carry_out_on(verb: Verb, chosen: &IndexSet<UniqueId>, session: &Session, mut opened: Opened) -> Outcome<Exit> {
    if chosen.is_empty() {
        opened.events.emit(Event::Message {
            text: "Nothing to do. Try checking your model configs and model specification args".to_string(),
            info: true,
        });
    }
    let runner = runner(session, &opened);
    let outcome = pipeline::run(&opened.loaded, verb, chosen, runner).await?;
    if session.settings.write_json {
        pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    Ok(exit_of(&outcome, &opened))
}
