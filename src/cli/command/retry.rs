//! `headwater retry`: the last command again, on the nodes that failed or were skipped.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::name::UniqueId;
use headwater::plan::Verb;
use indexmap::IndexSet;
use serde_json::Value as Json;

use crate::cli::Exit;
use crate::cli::args::{RetryArgs, RunFlags};
use crate::cli::request::carry_out;
use crate::cli::session::{Opened, Session};

/// The commands whose nodes can be run again.
const VERBS: [Verb; 4] = [Verb::Run, Verb::Test, Verb::Build, Verb::Seed];

/// What the last run left in `run_results.json`.
struct Last {
    verb: Verb,
    full_refresh: bool,
    unfinished: Vec<String>,
}

pub fn run(args: &RetryArgs, session: &Session) -> Exit {
    let project = match headwater::pipeline::load_project(session.world.as_ref(), &session.settings.load) {
        Ok((project, _)) => project,
        Err(error) => return session.complain(&session.folder(), *error),
    };
    let last = match last(&project.target_path.join("run_results.json")) {
        Ok(last) => last,
        Err(error) => return session.complain(&project.root, *error),
    };
    let flags = RunFlags { full_refresh: args.full_refresh || last.full_refresh, ..RunFlags::default() };
    let opened = match session.open(last.verb.as_str(), &flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let chosen = nodes(&last, &opened);
    match super::block_on(carry_out(last.verb, &chosen, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&project.root, *error),
        Err(error) => session.complain(&project.root, Diagnostic::error("io", error.to_string())),
    }
}

fn last(path: &std::path::Path) -> Outcome<Last> {
    let text = std::fs::read(path).ok();
    let Some(results) = text.and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok()) else {
        return Diagnostic::error("nothing-to-retry", format!("there is no run to retry: {} is not there", path.display()))
            .help("run `headwater build` first")
            .fail();
    };
    let which = results["args"]["which"].as_str().unwrap_or_default();
    let Some(verb) = VERBS.into_iter().find(|verb| verb.as_str() == which) else {
        return Diagnostic::error("nothing-to-retry", format!("`{which}` was the last command; it cannot be retried"))
            .help("run, test, build and seed can")
            .fail();
    };
    let done = |result: &&Json| !matches!(result["status"].as_str(), Some("success" | "pass" | "warn" | "no-op"));
    let results_of = results["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let unfinished = results_of.iter().filter(done).filter_map(|result| result["unique_id"].as_str().map(str::to_string));
    let full_refresh = results["args"]["full_refresh"].as_bool().unwrap_or(false);
    Ok(Last { verb, full_refresh, unfinished: unfinished.collect() })
}

/// The nodes of the last run that are still in the project.
fn nodes(last: &Last, opened: &Opened) -> IndexSet<UniqueId> {
    let unfinished: std::collections::HashSet<&str> = last.unfinished.iter().map(String::as_str).collect();
    let known = |id: &&UniqueId| unfinished.contains(id.as_str());
    opened.loaded.manifest.nodes.keys().filter(known).cloned().collect()
}
