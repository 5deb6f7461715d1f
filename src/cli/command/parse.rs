//! `headwater parse`: reads the whole project and writes `manifest.json`.

use headwater::pipeline;

use crate::cli::Exit;
use crate::cli::args::RunFlags;
use crate::cli::session::{Session, report};

pub fn run(session: &Session) -> Exit {
    match parse(session) {
        Ok(()) => Exit::Success,
        Err(exit) => exit,
    }
}

fn parse(session: &Session) -> Result<(), Exit> {
    let prepared = session.prepare("parse", &RunFlags::default())?;
    let write = session.settings.write_json;
    if write && let Some(warnings) = pipeline::renew_manifest(session.world.as_ref(), &prepared.project, &prepared.invocation) {
        return report(&prepared.events, warnings);
    }
    let opened = session.load(prepared)?;
    if !write {
        return Ok(());
    }
    let written = pipeline::write_parsed(session.world.as_ref(), &opened.loaded, &opened.invocation);
    let written = written.map_err(|error| session.complain(&opened.loaded.project.root, *error));
    // The process ends here: giving back the manifest piece by piece would take longer than reading it.
    std::mem::forget(opened.loaded);
    written
}
