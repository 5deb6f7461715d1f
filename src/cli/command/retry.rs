//! `headwater retry`: the last command again, with its flags, on the nodes that failed, were skipped or were never reached.
//!
//! How the last command ended is in `run_results.json`; of a run that was killed, in its journal.

use std::path::Path;

use headwater::compile::moment;
use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::execute::EarlierBatches;
use headwater::manifest::JsonMap;
use headwater::name::UniqueId;
use headwater::pipeline;
use headwater::result::Status;
use serde_json::Value as Json;

use crate::cli::Exit;
use crate::cli::args::{
    CloneArgs, Command, CompileArgs, DocsCommand, DocsGenerateArgs, EarlierRun, GlobalArgs, Introspection, RetryArgs, RunFlags,
    RunOperationArgs, SelectionFlags, ShowOutput, WindowFlags,
};
use crate::cli::session::Session;

/// The commands that can be run again, as `run_results.json` names them.
const COMMANDS: [&str; 9] = ["build", "run", "test", "seed", "snapshot", "compile", "generate", "clone", "run-operation"];

/// How the last command ended.
struct Last {
    which: String,
    args: JsonMap,
    unfinished: Vec<String>,
    earlier: EarlierRun,
    /// The run was killed: nobody wrote its results.
    was_killed: bool,
}

pub fn run(args: &RetryArgs, session: &Session) -> Exit {
    let project = match pipeline::load_project(session.world.as_ref(), &session.settings.load) {
        Ok((project, _)) => project,
        Err(error) => return session.complain(&session.folder(), *error),
    };
    let folder = session.settings.state.folder.as_ref().map_or(project.target_path.clone(), |state| project.root.join(state));
    let again = last(&folder, session).and_then(|last| {
        let command = command(args, &last)?;
        Ok((last, command))
    });
    let (last, command) = match again {
        Ok(again) => again,
        Err(error) => return session.complain(&project.root, *error),
    };
    let again = match Session::start(&global(&session.args, &last.args)) {
        Ok(again) => again,
        Err(error) => return session.complain(&project.root, *error),
    };
    if last.was_killed {
        let text = format!("The last `{}` was killed: {} nodes had not succeeded", last.which, last.unfinished.len());
        again.events(&project.root, "", "").emit(Event::Message { text, info: true });
    }
    super::dispatch(command, &again)
}

fn last(folder: &Path, session: &Session) -> Outcome<Last> {
    let retried = |status: Status| match status {
        Status::Success | Status::Pass | Status::NoOp => false,
        Status::Warn => session.settings.warnings.all_errors,
        _ => true,
    };
    if let Some(killed) = pipeline::unfinished_run(folder) {
        let open = killed.nodes.iter().filter(|(_, status)| status.is_none_or(retried));
        let unfinished = open.map(|(id, _)| id.to_string()).collect();
        return named(killed.args, unfinished, None);
    }
    let path = folder.join("run_results.json");
    let text = std::fs::read(&path).ok();
    let Some(results) = text.and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok()) else {
        return Diagnostic::error("nothing-to-retry", format!("Could not find previous run in '{}'", folder.display()))
            .help("run `headwater build` first; `retry` reads the run_results.json that it leaves")
            .fail();
    };
    let status = |result: &Json| serde_json::from_value::<Status>(result["status"].clone()).unwrap_or(Status::Error);
    let all = results["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let open = all.iter().filter(|result| retried(status(result)));
    let unfinished = open.filter_map(|result| result["unique_id"].as_str().map(str::to_string)).collect();
    let started_at = results["metadata"]["invocation_started_at"].as_str().and_then(moment);
    let earlier = EarlierRun { started_at, batches: all.iter().filter_map(batches).collect() };
    named(results["args"].as_object().cloned().unwrap_or_default(), unfinished, Some(earlier))
}

/// How far a microbatch model came.
fn batches(result: &Json) -> Option<(UniqueId, EarlierBatches)> {
    Some((UniqueId::new(result["unique_id"].as_str()?), EarlierBatches::from_json(&result["batch_results"])?))
}

/// Checks that the command is one that can be run again. Without `earlier` the run was killed.
fn named(args: JsonMap, mut unfinished: Vec<String>, earlier: Option<EarlierRun>) -> Outcome<Last> {
    let which = args.get("which").and_then(Json::as_str).unwrap_or_default().to_string();
    if !COMMANDS.contains(&which.as_str()) {
        return Diagnostic::error("nothing-to-retry", format!("`{which}` was the last command; it cannot be retried"))
            .help(format!("these can: {}", COMMANDS.join(", ")))
            .fail();
    }
    // Hooks are no nodes of their own: they run again with the command.
    unfinished.retain(|id| which == "run-operation" || !id.starts_with("operation."));
    let was_killed = earlier.is_none();
    Ok(Last { which, args, unfinished, earlier: earlier.unwrap_or_default(), was_killed })
}

/// The command as it was called, on what is unfinished.
fn command(typed: &RetryArgs, last: &Last) -> Outcome<Command> {
    let on = |key: &str| last.args.get(key).and_then(Json::as_bool).unwrap_or(false);
    let selection = SelectionFlags { only: Some(last.unfinished.clone()), ..SelectionFlags::default() };
    let full_refresh = typed.full_refresh || on("full_refresh");
    let no_introspect = last.args.get("introspect").and_then(Json::as_bool) == Some(false);
    let text = |key: &str| last.args.get(key).and_then(Json::as_str).map(str::to_string);
    let windows = WindowFlags {
        sample: text("sample"),
        event_time_start: text("event_time_start"),
        event_time_end: text("event_time_end"),
    };
    let introspection = Introspection { no_introspect, introspect: false };
    let flags = RunFlags {
        selection: selection.clone(),
        full_refresh,
        empty: on("empty"),
        store_failures: on("store_failures"),
        audit: on("audit"),
        windows,
        earlier: last.earlier.clone(),
        ..RunFlags::default()
    };
    Ok(match last.which.as_str() {
        "build" => Command::Build(flags),
        "run" => Command::Run(flags),
        "test" => Command::Test(flags),
        "seed" => Command::Seed(flags),
        "snapshot" => Command::Snapshot(flags),
        "clone" => Command::Clone(CloneArgs { selection, full_refresh }),
        "generate" => Command::Docs(DocsCommand::Generate(DocsGenerateArgs { selection, ..DocsGenerateArgs::default() })),
        "compile" => Command::Compile(CompileArgs {
            selection,
            inline: None,
            full_refresh,
            empty: flags.empty,
            no_empty: false,
            introspection,
            static_analysis: None,
            output: ShowOutput::Text,
        }),
        "run-operation" if !last.unfinished.is_empty() => Command::RunOperation(RunOperationArgs {
            macro_name: last.args.get("macro").and_then(Json::as_str).map(str::to_string),
            sql: None,
            args: last.args.get("args").map_or_else(|| "{}".to_string(), Json::to_string),
        }),
        other => {
            return Diagnostic::error("nothing-to-retry", format!("the last `{other}` did all it had to do")).fail();
        }
    })
}

/// The flags of the last call, under those typed now: the variables and threads typed win, of the rest the last ones count.
fn global(typed: &GlobalArgs, last: &JsonMap) -> GlobalArgs {
    let mut args = typed.clone();
    let text = |key: &str| last.get(key).and_then(Json::as_str).map(str::to_string);
    let on = |key: &str| last.get(key).and_then(Json::as_bool).unwrap_or(false);
    let vars = || last.get("vars").filter(|vars| vars.as_object().is_some_and(|vars| !vars.is_empty())).map(Json::to_string);
    args.vars = args.vars.or_else(vars);
    args.threads = args.threads.or_else(|| usize::try_from(last.get("threads")?.as_u64()?).ok());
    args.target = args.target.or_else(|| text("target"));
    args.profile = args.profile.or_else(|| text("profile"));
    args.fail_fast |= on("fail_fast");
    args.state.state = text("state").map(Into::into);
    args.state.defer_state = args.state.defer_state.or_else(|| text("defer_state").map(Into::into));
    args.state.defer |= on("defer");
    args.state.favor_state |= on("favor_state");
    args
}
