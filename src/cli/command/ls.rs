//! `headwater ls`: the project's resources, a line each.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::name::UniqueId;
use headwater::pipeline;
use headwater::plan::{self, Verb};
use indexmap::IndexSet;

use crate::cli::Exit;
use crate::cli::args::{LsArgs, RunFlags};
use crate::cli::request::{chosen, runner};
use crate::cli::session::{Opened, Session};

pub fn run(args: &LsArgs, session: &Session) -> Exit {
    let mut opened = match session.open("list", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let listed = chosen(&args.selection, Verb::List.resource_types(), &opened, session).and_then(|chosen| {
        let output = plan::LsOutput::parse(args.output.as_str())?;
        if args.output_keys.iter().any(|key| key.split('.').next() == Some("column_lineage")) {
            plan_queries(&chosen, session, &mut opened)?;
        }
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
            session.say_all(&lines);
            Exit::Success
        }
        Err(error) => session.complain(&root, *error),
    }
}

/// Plans the queries of what is chosen and of all above, as nothing else tells where columns come from.
fn plan_queries(chosen: &IndexSet<UniqueId>, session: &Session, opened: &mut Opened) -> Outcome<()> {
    let work = async { pipeline::column_lineage(&opened.loaded, chosen, runner(session, opened)?).await };
    let lineage = super::block_on(work).map_err(|error| Box::new(Diagnostic::error("io", error.to_string())))??;
    pipeline::keep_lineage(&mut opened.loaded, lineage);
    Ok(())
}
