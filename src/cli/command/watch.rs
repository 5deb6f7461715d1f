//! `headwater watch`: builds what an edit touches, and what stands below it, until ctrl-C.

use std::time::Duration;

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::graph;
use headwater::name::UniqueId;
use headwater::pipeline;
use headwater::plan::Verb;
use indexmap::IndexSet;
use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::args::RunFlags;
use crate::cli::request::{asked_to_stop, carry_out_until, chosen};
use crate::cli::session::{Opened, Session};

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_millis(200);

pub fn run(flags: &RunFlags, session: &Session) -> Exit {
    let opened = match session.open(Verb::Build.as_str(), flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(watch(flags, session, opened)) {
        Ok(Ok(())) => Exit::Success,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn watch(flags: &RunFlags, session: &Session, mut opened: Opened) -> Outcome<()> {
    let stop = CancellationToken::new();
    let trigger = stop.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        trigger.cancel();
        asked_to_stop().await;
        std::process::exit(crate::cli::request::INTERRUPTED);
    });
    let world = session.world.as_ref();
    let mut seen = pipeline::sight(world, &opened.loaded.project)?;
    tell(&opened, format!("Watching {} files: save one and what it changes is built; ctrl-C ends", seen.len()));
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
        // A folder that cannot be listed just now may be listed the next time.
        let Ok(now) = pipeline::sight(world, &opened.loaded.project) else { continue };
        if now == seen {
            continue;
        }
        seen = now;
        // Mistakes are printed; the next edit may mend them.
        let Ok(new) = session.open(Verb::Build.as_str(), flags) else { continue };
        seen = pipeline::sight(world, &new.loaded.project).unwrap_or(seen);
        let touched = touched(flags, session, &opened, &new)?;
        opened = new.clone();
        if !touched.is_empty() {
            carry_out_until(stop.clone(), Verb::Build, &touched, session, new).await?;
        }
    }
    Ok(())
}

fn tell(opened: &Opened, text: String) {
    opened.events.emit(Event::Message { text, info: true });
}

/// What was edited and all below it, of what is selected.
fn touched(flags: &RunFlags, session: &Session, old: &Opened, new: &Opened) -> Outcome<IndexSet<UniqueId>> {
    let selected = chosen(&flags.selection, Verb::Build.resource_types(), new, session)?;
    let edited = graph::edited(&old.loaded.manifest, &new.loaded.manifest);
    let mut touched = IndexSet::new();
    for id in edited {
        // What came in as standing below something brought all below itself.
        if !touched.contains(&id) {
            touched.extend(new.loaded.dag.descendants(&id, None));
            touched.insert(id);
        }
    }
    Ok(selected.into_iter().filter(|id| touched.contains(id)).collect())
}
