//! `headwater show`: rows of models or of a query.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::execute::{self, ShowSubject, Shown};
use headwater::plan::{self, Verb};
use headwater::rows::Rows;
use indexmap::IndexSet;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::args::{RunFlags, ShowArgs, ShowOutput};
use crate::cli::request::{chosen, runner};
use crate::cli::session::{Opened, Session};

pub fn run(args: &ShowArgs, session: &Session) -> Exit {
    let flags = RunFlags {
        selection: args.selection.clone(),
        full_refresh: args.full_refresh,
        no_introspect: args.introspection.no_introspect,
        ..RunFlags::default()
    };
    let mut opened = match session.open("show", &flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    opened.settings.as_of.clone_from(&args.as_of);
    let root = opened.loaded.project.root.clone();
    match super::block_on(show(args, session, opened)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn show(args: &ShowArgs, session: &Session, opened: Opened) -> Outcome<Exit> {
    let (subjects, chosen) = subjects(args, session, &opened)?;
    let limit = usize::try_from(args.limit).ok();
    let plan = plan::plan(&opened.loaded.manifest, &opened.loaded.dag, Verb::Show, &chosen);
    let request = runner(session, &opened)?.request(&opened.loaded, plan).await?;
    for subject in subjects {
        match execute::show(request.clone(), subject, limit).await {
            Ok(shown) => session.say(&preview(&shown, args)),
            Err(message) => {
                let root = opened.loaded.project.root.clone();
                return Ok(session.complain(&root, Diagnostic::error("show", message)));
            }
        }
    }
    Ok(Exit::Success)
}

fn subjects(
    args: &ShowArgs,
    session: &Session,
    opened: &Opened,
) -> Outcome<(Vec<ShowSubject>, IndexSet<headwater::name::UniqueId>)> {
    if let Some(sql) = &args.inline {
        return Ok((vec![ShowSubject::Inline(sql.clone())], IndexSet::new()));
    }
    if args.selection.select.is_empty() {
        return Diagnostic::error("bad-argument", "nothing to show")
            .help("name a node with --select, or give a query with --inline")
            .fail();
    }
    let mut chosen = chosen(&args.selection, Verb::Show.resource_types(), opened, session)?;
    // A model's name selects its tests too; what is shown is the model.
    if chosen.iter().any(|id| id.kind() != "test") {
        chosen.retain(|id| id.kind() != "test");
    }
    Ok((chosen.iter().cloned().map(ShowSubject::Node).collect(), chosen))
}

fn preview(shown: &Shown, args: &ShowArgs) -> String {
    match args.output {
        ShowOutput::Json => as_json(shown, args.inline.is_some()),
        ShowOutput::Text => {
            let title = if args.inline.is_some() {
                "Previewing inline node:".to_string()
            } else {
                format!("Previewing node '{}':", shown.name)
            };
            format!("{title}\n{}", as_table(&shown.rows))
        }
    }
}

/// dbt's form: `{"node": name, "show": [{column: value, …}]}`; an inline query has no node.
fn as_json(shown: &Shown, inline: bool) -> String {
    let rows = shown.rows.rows.iter().map(|row| {
        let cells = shown.rows.columns.iter().zip(row).map(|(column, cell)| (column.name.clone(), cell.to_json()));
        cells.collect::<serde_json::Map<_, _>>()
    });
    let rows: Vec<_> = rows.collect();
    let value = if inline { json!({"show": rows}) } else { json!({"node": shown.name, "show": rows}) };
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// A table in the form agate prints and dbt shows.
fn as_table(rows: &Rows) -> String {
    let mut widths: Vec<usize> = rows.columns.iter().map(|column| column.name.chars().count()).collect();
    let texts: Vec<Vec<String>> = rows.rows.iter().map(|row| row.iter().map(headwater::rows::Cell::display).collect()).collect();
    for row in &texts {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &String>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        format!("| {} |", padded.join(" | "))
    };
    let names: Vec<String> = rows.columns.iter().map(|column| column.name.clone()).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut lines = vec![line(&mut names.iter()), line(&mut rule.iter())];
    lines.extend(texts.iter().map(|row| line(&mut row.iter())));
    lines.join("\n")
}
