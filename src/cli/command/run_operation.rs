//! `headwater run-operation`: one macro, called.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::execute;
use headwater::manifest::JsonMap;
use headwater::plan::{self, Verb};
use indexmap::IndexSet;

use crate::cli::Exit;
use crate::cli::args::{RunFlags, RunOperationArgs};
use crate::cli::request::{exit_of, runner};
use crate::cli::session::{Opened, Session};
use crate::cli::settings::mapping;

pub fn run(args: &RunOperationArgs, session: &Session) -> Exit {
    let arguments = match mapping("--args", Some(&args.args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            session.complain(&session.folder(), *error);
            return Exit::Trouble;
        }
    };
    let mut command_args = JsonMap::new();
    command_args.insert("macro".to_string(), args.macro_name.clone().into());
    command_args.insert("args".to_string(), arguments.clone().into());
    let opened = match session.open("run-operation", &RunFlags { command_args, ..RunFlags::default() }) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    let Some(name) = args.macro_name.as_ref().filter(|_| args.sql.is_none()) else {
        let error = Diagnostic::error("not-supported-yet", "--sql: run-operation calls macros only");
        return session.complain(&root, error.help("put the statement into a macro: {% do run_query('...') %}"));
    };
    if let Err(error) = known(name, &opened) {
        return session.complain(&root, *error);
    }
    match super::block_on(call(name, &arguments, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

/// A macro that does not exist fails the command before anything is connected.
fn known(name: &str, opened: &Opened) -> Outcome<()> {
    let (package, bare) = name.split_once('.').map_or((None, name), |(package, bare)| (Some(package), bare));
    if opened.loaded.jinja.find_macro(bare, package).is_some() {
        return Ok(());
    }
    let names = opened.loaded.manifest.macros.values().map(|known| known.name.as_str());
    Diagnostic::error("macro-not-found", format!("there is no macro `{name}` to call")).suggest(bare, names).fail()
}

async fn call(name: &str, arguments: &JsonMap, session: &Session, mut opened: Opened) -> Outcome<Exit> {
    let plan = plan::plan(&opened.loaded.manifest, &opened.loaded.dag, Verb::Run, &IndexSet::new());
    let request = runner(session, &opened)?.request(&opened.loaded, plan).await?;
    let outcome = execute::run_operation(request, name, arguments).await;
    for message in outcome.results.iter().filter(|result| result.is_failure()).filter_map(|result| result.message.clone()) {
        session.complain(&opened.loaded.project.root, Diagnostic::error("operation", message));
    }
    if session.settings.write_json {
        headwater::pipeline::write_run(&mut opened.loaded, &outcome, &opened.invocation)?;
    }
    Ok(exit_of(&outcome, &opened))
}
