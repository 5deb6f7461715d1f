//! `headwater clone`: an earlier run's tables under this target's names.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::pipeline::{self, Deferral};
use headwater::plan::Verb;

use crate::cli::Exit;
use crate::cli::args::{CloneArgs, RunFlags};
use crate::cli::request::{chosen, earlier_manifest, exit_of, runner};
use crate::cli::session::{Opened, Session};

pub fn run(args: &CloneArgs, session: &Session) -> Exit {
    let flags = RunFlags { selection: args.selection.clone(), full_refresh: args.full_refresh, ..RunFlags::default() };
    let opened = match session.open("clone", &flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(clone(args, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn clone(args: &CloneArgs, session: &Session, mut opened: Opened) -> Outcome<Exit> {
    let state = earlier_manifest(session, &opened.loaded)?;
    let chosen = chosen(&args.selection, Verb::Clone.resource_types(), &opened, session)?;
    let mut runner = runner(session, &opened)?;
    runner.deferral = Some(Deferral { state, favor: true });
    let outcome = pipeline::run(&opened.loaded, Verb::Clone, &chosen, runner).await?;
    if session.settings.write_json {
        pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    Ok(exit_of(&outcome, &opened))
}
