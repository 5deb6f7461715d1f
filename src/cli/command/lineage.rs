//! `headwater lineage`: which columns a column comes from, and which come from it.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::graph::SelectionArgs;
use headwater::name::ResourceType;
use headwater::pipeline;
use headwater::plan::{ColumnGraph, Way};
use serde_json::json;

use crate::cli::Exit;
use crate::cli::args::{LineageArgs, RunFlags, ShowOutput};
use crate::cli::request::runner;
use crate::cli::session::{Opened, Session};

pub fn run(args: &LineageArgs, session: &Session) -> Exit {
    let opened = match session.open("lineage", &RunFlags::default()) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let root = opened.loaded.project.root.clone();
    match super::block_on(show(args, session, opened)) {
        Ok(Ok(())) => Exit::Success,
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn show(args: &LineageArgs, session: &Session, opened: Opened) -> Outcome<()> {
    let everything = SelectionArgs {
        resource_types: vec![ResourceType::Model, ResourceType::Seed, ResourceType::Snapshot],
        indirect_selection: "eager".to_string(),
        ..SelectionArgs::default()
    };
    let chosen = pipeline::select(&opened.loaded, &everything, opened.events.as_ref())?;
    let lineage = pipeline::column_lineage(&opened.loaded, &chosen, runner(session, &opened)?).await?;
    let graph = ColumnGraph::new(&opened.loaded.manifest, &lineage);
    let ways: &[Way] = match (args.upstream, args.downstream) {
        (true, _) => &[Way::Upstream],
        (_, true) => &[Way::Downstream],
        _ => &[Way::Upstream, Way::Downstream],
    };
    for column in graph.find(&args.column)? {
        match args.output {
            ShowOutput::Text => graph.tree(&column, ways).iter().for_each(|line| session.say(line)),
            ShowOutput::Json => {
                let edges = |way| ways.contains(&way).then(|| graph.edges(&column, way));
                let line = json!({"column": column, "upstream": edges(Way::Upstream), "downstream": edges(Way::Downstream)});
                session.say(&line.to_string());
            }
        }
    }
    Ok(())
}
