//! `headwater ingest`: sources whose rows come from a database are followed into the lake.

use std::time::Duration;

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::ingest::{self, IngestError, Limit, Request};
use headwater::pipeline::{self, Following};
use headwater::plan::Verb;
use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::args::{IngestArgs, IngestCommand, IngestFlags, RunFlags, SelectionFlags};
use crate::cli::request::{INTERRUPTED, asked_to_stop, chosen};
use crate::cli::session::{Opened, Session};

pub fn run(args: &IngestArgs, session: &Session) -> Exit {
    let opened = match session.open("ingest", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    let done = super::block_on(async {
        match &args.command {
            None => follow(&args.flags, session, &opened).await,
            Some(IngestCommand::Status(selection)) => {
                let following = following(&selection.select, &[], session, &opened)?;
                tell(ingest::status(&following.feeds, &following.connections, &following.lake).await, session, &opened)
            }
            Some(IngestCommand::Doctor(selection)) => {
                let following = following(&selection.select, &[], session, &opened)?;
                tell(ingest::doctor(&following.feeds, &following.connections, &following.lake).await, session, &opened)
            }
            Some(IngestCommand::Reset(reset)) => {
                let following = following(&reset.select, &[], session, &opened)?;
                let Following { feeds, connections, lake, .. } = &following;
                tell(ingest::reset(feeds, connections, lake, reset.tables).await, session, &opened)
            }
        }
    });
    match done {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

fn following(select: &[String], exclude: &[String], session: &Session, opened: &Opened) -> Outcome<Following> {
    let flags = SelectionFlags { select: select.to_vec(), exclude: exclude.to_vec(), ..SelectionFlags::default() };
    let chosen = chosen(&flags, Verb::Freshness.resource_types(), opened, session)?;
    pipeline::following(session.world.as_ref(), &session.settings.load, &opened.loaded, &chosen)
}

async fn follow(flags: &IngestFlags, session: &Session, opened: &Opened) -> Outcome<Exit> {
    let limit = match (&flags.duration, flags.until_caught_up) {
        (Some(text), _) => Limit::For(duration(text)?),
        (None, true) => Limit::CaughtUp,
        (None, false) => Limit::None,
    };
    let Following { feeds, others, connections, lake } = following(&flags.select, &flags.exclude, session, opened)?;
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        trigger.cancel();
        asked_to_stop().await;
        std::process::exit(INTERRUPTED);
    });
    let (accept_gap, resnapshot) = (flags.accept_gap, flags.resnapshot);
    let events = opened.events.clone();
    let failures = ingest::run(Request { feeds, others, connections, lake, limit, accept_gap, resnapshot, events, cancel }).await;
    if failures.is_empty() {
        return Ok(Exit::Success);
    }
    for failure in failures {
        opened.events.emit(Event::Diagnostic(diagnostic(failure)));
    }
    Ok(Exit::Failure)
}

/// Prints what a look at the sources gave; a fault found makes the exit a failure.
fn tell(found: Result<ingest::Findings, IngestError>, session: &Session, opened: &Opened) -> Outcome<Exit> {
    let found = found.map_err(|error| Box::new(diagnostic(error)))?;
    for line in found.lines {
        session.say(&line);
    }
    let is_sound = found.faults.is_empty();
    for fault in found.faults {
        opened.events.emit(Event::Diagnostic(diagnostic(fault)));
    }
    Ok(if is_sound { Exit::Success } else { Exit::Failure })
}

fn diagnostic(error: IngestError) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.code, error.message);
    match error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// `30s`, `10m`, `2h`.
fn duration(text: &str) -> Outcome<Duration> {
    let wrong = || {
        let message = format!("`--for {text}` is no time");
        Box::new(Diagnostic::error("bad-argument", message).help("expected a whole number with s, m or h: 30s, 10m, 2h"))
    };
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().map_err(|_| wrong())?;
    let seconds = match text[split..].trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?))
}
