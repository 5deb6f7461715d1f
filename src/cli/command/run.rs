//! `run`, `test`, `build` and `seed`: one plan, carried out.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::Event;
use headwater::pipeline;
use headwater::plan::Verb;

use crate::cli::Exit;
use crate::cli::args::RunFlags;
use crate::cli::request::{exit_of, runner, selection};
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

async fn carry_out(verb: Verb, flags: &RunFlags, session: &Session, mut opened: Opened) -> Outcome<Exit> {
    let wanted = selection(&flags.selection, verb.resource_types(), &opened.loaded, session)?;
    let chosen = pipeline::select(&opened.loaded, &wanted, opened.events.as_ref())?;
    if chosen.is_empty() {
        opened.events.emit(Event::Message {
            text: "Nothing to do. Try checking your model configs and model specification args".to_string(),
            info: true,
        });
    }
    let runner = runner(session, &opened);
    let outcome = pipeline::run(&opened.loaded, verb, &chosen, runner).await?;
    if session.settings.write_json {
        pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    Ok(exit_of(&outcome, session))
}
