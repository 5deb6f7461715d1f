//! `headwater demo`: the main job from nothing: data for the example project, everything built and tested, the site.

use std::path::{Path, PathBuf};
use std::time::Instant;

use headwater::diagnostic::Diagnostic;
use headwater::generate;

use crate::cli::Exit;
use crate::cli::args::{Command, DemoArgs, DocsCommand, DocsGenerateArgs, RunFlags};
use crate::cli::session::Session;

/// Where the example lies in a checkout, and where its sources look for data.
const PROJECT: &str = "example_project";
const DATA: &str = "data/tickit";

pub fn run(args: &DemoArgs, session: &Session) -> Exit {
    let root = session.settings.load.project_dir.clone().unwrap_or_else(|| PathBuf::from(PROJECT));
    if !root.join("dbt_project.yml").exists() {
        let error = Diagnostic::error("no-example", format!("there is no example project in {}", root.display()))
            .help("run it in a checkout of headwater, or name the folder with --project-dir");
        return session.complain(Path::new("."), error);
    }
    if let Err(exit) = data(&root, args.scale.max(1), session) {
        return exit;
    }
    let mut inner = session.settings.clone();
    inner.load.project_dir = Some(root.clone());
    let inner = Session { args: session.args.clone(), settings: inner, world: session.world.clone() };
    let built = super::dispatch(Command::Build(RunFlags::default()), &inner);
    if built != Exit::Success {
        return built;
    }
    let site = DocsGenerateArgs::default();
    let documented = super::dispatch(Command::Docs(DocsCommand::Generate(site)), &inner);
    if documented == Exit::Success {
        println!("\nThe tables are in {}, one Delta table a folder.", root.join("warehouse").display());
        println!("The site is {}", root.join("target/site/index.html").display());
        println!("Look at a mart: headwater show --project-dir {} --select fct_sales", root.display());
    }
    documented
}

fn data(root: &Path, scale: u32, session: &Session) -> Result<(), Exit> {
    let started = Instant::now();
    let out = root.join(DATA);
    let files = generate::tickit(&out, scale, generate::SEED).map_err(|error| {
        session.complain(root, Diagnostic::error("io", format!("cannot write below {}: {error}", out.display())));
        Exit::Trouble
    })?;
    let rows: u64 = files.iter().map(|(_, rows)| rows).sum();
    println!("Made {rows} rows in {} files below {} in {:.1} s", files.len(), out.display(), started.elapsed().as_secs_f64());
    Ok(())
}
