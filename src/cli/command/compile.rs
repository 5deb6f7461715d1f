//! `headwater compile`: the SQL as it would be sent.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::execute;
use headwater::pipeline;
use headwater::plan::Verb;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::args::{CompileArgs, RunFlags, ShowOutput};
use crate::cli::request::{exit_of, runner, selection};
use crate::cli::session::{Opened, Session};

pub fn run(args: &CompileArgs, session: &Session) -> Exit {
    let flags = RunFlags { full_refresh: args.full_refresh, ..RunFlags::default() };
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
    let runner = runner(session, &opened);
    if let Some(sql) = &args.inline {
        let plan = headwater::plan::plan(&opened.loaded.manifest, &opened.loaded.dag, Verb::Compile, &indexmap::IndexSet::new());
        let request = runner.request(&opened.loaded, plan).await?;
        let text =
            execute::compile_text(request, sql.clone()).await.map_err(|error| Box::new(Diagnostic::error("compile", error)))?;
        print_sql("inline_query", &text, args.output);
        return Ok(Exit::Success);
    }
    let wanted = selection(&args.selection, Verb::Compile.resource_types(), &opened.loaded, session)?;
    let chosen = pipeline::select(&opened.loaded, &wanted, opened.events.as_ref())?;
    let outcome = pipeline::run(&opened.loaded, Verb::Compile, &chosen, runner).await?;
    if session.settings.write_json {
        pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    // One node was asked for: its SQL is the answer.
    if let (false, [(id, compiled)]) = (args.selection.select.is_empty(), outcome.compiled.iter().collect::<Vec<_>>().as_slice())
    {
        let name = opened.loaded.manifest.nodes.get(*id).map(|node| node.name.clone()).unwrap_or_default();
        print_sql(&name, &compiled.code, args.output);
    }
    // dbt stops at the first node that does not compile and calls that a failure of the command.
    Ok(if exit_of(&outcome, session) == Exit::Success { Exit::Success } else { Exit::Trouble })
}

fn print_sql(name: &str, sql: &str, output: ShowOutput) {
    match output {
        ShowOutput::Json => println!("{}", json!({"node": name, "compiled": sql})),
        ShowOutput::Text => println!("Compiled node '{name}' is:\n{sql}"),
    }
}
