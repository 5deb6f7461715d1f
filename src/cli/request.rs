//! What several commands ask of the library in the same way: the selection, the runner, the exit of an outcome.

use std::sync::Arc;

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::execute::RunOutcome;
use headwater::graph::{SelectionArgs, State};
use headwater::name::{ResourceType, UniqueId};
use headwater::pipeline::{self, Deferral, Loaded, Runner};
use headwater::plan::Verb;
use indexmap::IndexSet;
use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::args::SelectionFlags;
use crate::cli::session::{Opened, Session};

/// The exit code of a process ended by ctrl-C, as shells have it.
const INTERRUPTED: i32 = 130;

/// 1 where a node failed or the run was interrupted; a warning counts under `--warn-error`.
pub fn exit_of(outcome: &RunOutcome, opened: &Opened) -> Exit {
    let warned = |status| opened.settings.warn_error && status == headwater::result::Status::Warn;
    let failed = outcome.results.iter().any(|result| result.is_failure() || warned(result.status));
    if failed || outcome.interrupted { Exit::Failure } else { Exit::Success }
}

/// What the executor needs from the command line; ctrl-C or SIGTERM cancels it, a second one ends the process at once.
///
/// Errors: `--defer` without an earlier manifest.
pub fn runner(session: &Session, opened: &Opened) -> Outcome<Runner> {
    let deferral = deferral(session, &opened.loaded)?;
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    let events = opened.events.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        tell_interrupted(events.as_ref());
        trigger.cancel();
        asked_to_stop().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(Runner {
        settings: opened.settings.clone(),
        events: opened.events.clone(),
        cancel,
        world: session.world.clone(),
        deferral,
    })
}

/// Waits for ctrl-C or, where there is one, SIGTERM: what schedulers and containers send.
async fn asked_to_stop() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<Option<()>>();
    tokio::select! {
        () = interrupt => {}
        _ = terminate => {}
    }
}

fn tell_interrupted(events: &dyn EventSink) {
    events.emit(Event::Message { text: "Interrupted: running nodes are stopped, the rest are skipped".to_string(), info: true });
}

/// Runs the verb on nodes that are chosen already.
pub async fn carry_out(verb: Verb, chosen: &IndexSet<UniqueId>, session: &Session, mut opened: Opened) -> Outcome<Exit> {
    if chosen.is_empty() {
        opened.events.emit(Event::Message {
            text: "Nothing to do. Try checking your model configs and model specification args".to_string(),
            info: true,
        });
    }
    let runner = runner(session, &opened)?;
    let outcome = match session.settings.write_json {
        true => pipeline::run_with_journal(&opened.loaded, verb, chosen, (runner, &opened.invocation)).await?,
        false => pipeline::run(&opened.loaded, verb, chosen, runner).await?,
    };
    if session.settings.write_json {
        pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    Ok(exit_of(&outcome, &opened))
}

/// The nodes the command works on; a selection that matches nothing is told, and ends the command where warnings are errors.
pub fn chosen(flags: &SelectionFlags, types: &[ResourceType], opened: &Opened, session: &Session) -> Outcome<IndexSet<UniqueId>> {
    if let Some(only) = &flags.only {
        let ids = only.iter().map(|id| UniqueId::from(id.as_str()));
        return Ok(ids.filter(|id| opened.loaded.dag.contains(id)).collect());
    }
    let wanted = selection(flags, types, &opened.loaded, session)?;
    let chosen = pipeline::select(&opened.loaded, &wanted, opened.events.as_ref())?;
    if opened.events.is_fatal() {
        return Diagnostic::error("warnings-are-errors", "a warning counts as an error here")
            .help("leave out --warn-error, or except the warning with --warn-error-options")
            .fail();
    }
    Ok(chosen)
}

/// The selection of the command line, with the resource types the command works on narrowed by `--resource-type`.
fn selection(flags: &SelectionFlags, types: &[ResourceType], loaded: &Loaded, session: &Session) -> Outcome<SelectionArgs> {
    let wanted = resource_types(&flags.resource_type, types)?;
    let unwanted = resource_types(&flags.exclude_resource_type, types)?;
    let kept = |kind: &ResourceType| (wanted.is_empty() || wanted.contains(kind)) && !unwanted.contains(kind);
    let mut resource_types: Vec<ResourceType> = types.iter().copied().filter(kept).collect();
    // `ls --resource-type analysis` may name what the command leaves out by default.
    resource_types.extend(wanted.iter().filter(|kind| !types.contains(kind)));
    let project_mode = loaded.project.flags.get("indirect_selection").and_then(serde_json::Value::as_str);
    let mode = match flags.indirect_selection {
        Some(mode) => mode.as_str().to_string(),
        None => session
            .world
            .env("DBT_INDIRECT_SELECTION")
            .or(project_mode.map(str::to_string))
            .unwrap_or_else(|| "eager".to_string()),
    };
    let (select, exclude) = (flags.select.clone(), flags.exclude.clone());
    let state = match &session.settings.state.folder {
        // Reading a large manifest takes its time: only where something asks for it.
        Some(folder) if flags.selector.is_some() || select.iter().chain(&exclude).any(|text| asks_for_state(text)) => {
            Some(Arc::new(pipeline::read_state(&loaded.project, folder)?))
        }
        _ => None,
    };
    let selector = flags.selector.clone();
    Ok(SelectionArgs { select, exclude, selector, resource_types, indirect_selection: mode, state })
}

/// Whether a selection uses a method that compares with an earlier run, or may do so by way of a named selector.
fn asks_for_state(text: &str) -> bool {
    ["state", "result", "source_status", "selector"].iter().any(|method| text.contains(&format!("{method}:")))
}

/// What unselected nodes are read from, where `--defer` asks for it.
pub fn deferral(session: &Session, loaded: &Loaded) -> Outcome<Option<Deferral>> {
    let settings = &session.settings.state;
    if !settings.defer {
        return Ok(None);
    }
    earlier_manifest(session, loaded).map(|state| Some(Deferral { state, favor: settings.favor_state }))
}

/// The earlier run's manifest that deferring and cloning need.
pub fn earlier_manifest(session: &Session, loaded: &Loaded) -> Outcome<Arc<State>> {
    let settings = &session.settings.state;
    let Some(folder) = settings.defer_folder.as_ref().or(settings.folder.as_ref()) else {
        return Diagnostic::error(
            "state-missing",
            "--state or --defer-state are required for deferral, but neither was provided",
        )
        .help("name the folder with the earlier run's manifest.json: --state DIR, or DBT_STATE")
        .fail();
    };
    let state = pipeline::read_state(&loaded.project, folder)?;
    if state.manifest.is_none() {
        let message = format!("could not find manifest.json in the --state folder `{}`", folder.display());
        return Diagnostic::error("state-missing", message).help("copy the earlier run's target/manifest.json there").fail();
    }
    Ok(Arc::new(state))
}

fn resource_types(names: &[String], types: &[ResourceType]) -> Outcome<Vec<ResourceType>> {
    let mut found = Vec::new();
    for name in names.iter().flat_map(|name| name.split_whitespace()) {
        match name {
            "all" | "default" => found.extend(types),
            _ => match serde_json::from_value(serde_json::Value::from(name)) {
                Ok(kind) => found.push(kind),
                Err(_) => {
                    let known = [
                        "model",
                        "seed",
                        "snapshot",
                        "test",
                        "analysis",
                        "source",
                        "exposure",
                        "unit_test",
                        "metric",
                        "semantic_model",
                        "saved_query",
                        "all",
                        "default",
                    ];
                    return Diagnostic::error("bad-argument", format!("`{name}` is not a resource type"))
                        .suggest(name, known)
                        .fail();
                }
            },
        }
    }
    Ok(found)
}
