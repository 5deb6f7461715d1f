//! `headwater ls`: the project's resources, a line each.

use headwater::plan::{self, Verb};

use crate::cli::Exit;
use crate::cli::args::{LsArgs, RunFlags};
use crate::cli::request::chosen;
use crate::cli::session::Session;

pub fn run(args: &LsArgs, session: &Session) -> Exit {
    let opened = match session.open("list", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let listed = chosen(&args.selection, Verb::List.resource_types(), &opened, session).and_then(|chosen| {
        let output = plan::LsOutput::parse(args.output.as_str())?;
        Ok(plan::ls(&opened.loaded.manifest, &chosen, output, &args.output_keys))
    });
    // The process ends here: giving back the manifest piece by piece would take longer than reading it.
    let root = opened.loaded.project.root.clone();
    std::mem::forget(opened.loaded);
    match listed {
        Ok(lines) if lines.is_empty() => {
            eprintln!("No nodes selected!");
            Exit::Success
        }
        Ok(lines) => {
            for line in lines {
                session.say(&line);
            }
            Exit::Success
        }
        Err(error) => session.complain(&root, *error),
    }
}
