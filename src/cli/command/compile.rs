//! `headwater compile`: the SQL as it would be sent.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::execute::{self, RunOutcome};
use headwater::name::UniqueId;
use headwater::pipeline;
use headwater::plan::Verb;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::args::{CompileArgs, RunFlags, ShowOutput};
use crate::cli::request::{chosen, exit_of, runner};
use crate::cli::session::{Opened, Session};

pub fn run(args: &CompileArgs, session: &Session) -> Exit {
    let output = if args.output == ShowOutput::Json { "json" } else { "text" };
    let own = [("output", json!(output)), ("inline", json!(args.inline)), ("inject_ephemeral_ctes", json!(true))];
    let flags = RunFlags {
        selection: args.selection.clone(),
        command_args: own.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
        full_refresh: args.full_refresh,
        empty: args.empty,
        no_empty: args.no_empty,
        no_introspect: args.introspection.no_introspect,
        static_analysis: args.static_analysis,
        ..RunFlags::default()
    };
    let opened = match session.open("compile", &flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(compile(args, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn compile(args: &CompileArgs, session: &Session, mut opened: Opened) -> Outcome<Exit> {
    let runner = runner(session, &opened)?;
    if let Some(sql) = &args.inline {
        let plan = headwater::plan::plan(&opened.loaded.manifest, &opened.loaded.dag, Verb::Compile, &indexmap::IndexSet::new());
        let request = runner.request(&opened.loaded, plan).await?;
        let text =
            execute::compile_text(request, sql.clone()).await.map_err(|error| Box::new(Diagnostic::error("compile", error)))?;
        session.say(&shown_sql("inline_query", &text, args.output));
        return Ok(Exit::Success);
    }
    let chosen = chosen(&args.selection, Verb::Compile.resource_types(), &opened, session)?;
    let outcome = pipeline::run(&opened.loaded, Verb::Compile, &chosen, runner).await?;
    if session.settings.write_json {
        pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    for (name, code) in asked_for(&args.selection.select, &opened, &outcome) {
        session.say(&shown_sql(name, code, args.output));
    }
    // dbt stops at the first node that does not compile and calls that a failure of the command.
    Ok(if exit_of(&outcome, &opened) == Exit::Success { Exit::Success } else { Exit::Trouble })
}

/// What is printed: the nodes that were asked for by name, or the only one that was compiled; not the tests that came along.
fn asked_for<'a>(select: &[String], opened: &'a Opened, outcome: &'a RunOutcome) -> Vec<(&'a str, &'a str)> {
    if select.is_empty() {
        return Vec::new();
    }
    let named = |id: &UniqueId| opened.loaded.manifest.nodes.get(id).map_or("", |node| node.name.as_str());
    let all: Vec<(&str, &str)> = outcome.compiled.iter().map(|(id, compiled)| (named(id), compiled.code.as_str())).collect();
    if all.len() == 1 {
        return all;
    }
    let wanted: Vec<&str> = select.iter().flat_map(|text| text.split_whitespace()).collect();
    all.into_iter().filter(|(name, _)| wanted.contains(name)).collect()
}

fn shown_sql(name: &str, sql: &str, output: ShowOutput) -> String {
    match output {
        ShowOutput::Json => json!({"node": name, "compiled": sql}).to_string(),
        ShowOutput::Text => format!("Compiled node '{name}' is:\n{sql}"),
    }
}
