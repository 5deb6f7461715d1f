//! `run`, `test`, `build`, `seed` and `snapshot`: one plan, carried out.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::plan::Verb;

use crate::cli::Exit;
use crate::cli::args::RunFlags;
use crate::cli::request::{carry_out, chosen};
use crate::cli::session::{Opened, Session};

pub fn run(verb: Verb, flags: &RunFlags, session: &Session) -> Exit {
    let opened = match session.open(verb.as_str(), flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(on_selection(verb, flags, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn on_selection(verb: Verb, flags: &RunFlags, session: &Session, opened: Opened) -> Outcome<Exit> {
    let chosen = chosen(&flags.selection, verb.resource_types(), &opened, session)?;
    carry_out(verb, &chosen, session, opened).await
}
