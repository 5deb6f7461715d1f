//! `headwater parse`: reads the whole project and writes `manifest.json`.

use headwater::pipeline;

use crate::cli::Exit;
use crate::cli::args::RunFlags;
use crate::cli::session::Session;

pub fn run(session: &Session) -> Exit {
    let opened = match session.open("parse", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    if !session.settings.write_json {
        return Exit::Success;
    }
    match pipeline::write_manifest(&opened.loaded, &opened.invocation) {
        Ok(()) => Exit::Success,
        Err(error) => session.complain(&opened.loaded.project.root, *error),
    }
}
