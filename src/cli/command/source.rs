//! `headwater source freshness`: how old the newest row of each source is.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::pipeline;
use headwater::plan::Verb;

use crate::cli::Exit;
use crate::cli::args::{FreshnessArgs, RunFlags, SourceCommand};
use crate::cli::request::{chosen, exit_of, runner};
use crate::cli::session::{Opened, Session};

pub fn run(command: &SourceCommand, session: &Session) -> Exit {
    let SourceCommand::Freshness(args) = command;
    let opened = match session.open("freshness", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(check(args, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

/// What dbt deprecates of this command.
fn deprecated(args: &FreshnessArgs, opened: &Opened) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(output) = &args.output {
        let message = format!("dbt deprecates a path of one's own for sources.json: --output {}", output.display());
        found.push(Diagnostic::warning("freshness-output", message).help("copy the file from the target folder"));
    }
    let runs_hooks = opened.loaded.project.flags.get("source_freshness_run_project_hooks").and_then(serde_json::Value::as_bool);
    let has_hooks = opened.loaded.manifest.nodes.values().any(|node| node.hook.is_some());
    if runs_hooks == Some(false) && has_hooks {
        let message = "dbt deprecates `source freshness` without on-run-start and on-run-end";
        let help = "set `flags: {source_freshness_run_project_hooks: true}` in dbt_project.yml";
        found.push(Diagnostic::warning("freshness-hooks", message).help(help));
    }
    found
}

async fn check(args: &FreshnessArgs, session: &Session, opened: Opened) -> Outcome<Exit> {
    deprecated(args, &opened).into_iter().for_each(|warning| opened.events.emit(Event::Diagnostic(warning)));
    let chosen = chosen(&args.selection, Verb::Freshness.resource_types(), &opened, session)?;
    if chosen.is_empty() {
        opened.events.emit(Event::Message {
            text: "Nothing to do. Try checking your model configs and model specification args".to_string(),
            info: true,
        });
    }
    let outcome = pipeline::freshness(&opened.loaded, &chosen, runner(session, &opened)?).await?;
    if session.settings.write_json {
        pipeline::write_freshness(&opened.loaded, &outcome, args.output.as_deref(), &opened.invocation)?;
    }
    Ok(exit_of(&outcome.run, &opened))
}
