//! `headwater docs generate` and `docs serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};
use headwater::plan::Verb;
use headwater::{pipeline, serve};

use crate::cli::Exit;
use crate::cli::args::{DocsCommand, DocsGenerateArgs, DocsServeArgs, RunFlags};
use crate::cli::request::{chosen, runner};
use crate::cli::session::{Opened, Session};

pub fn run(command: &DocsCommand, session: &Session) -> Exit {
    match command {
        DocsCommand::Generate(args) => generate(args, session),
        DocsCommand::Serve(args) => serve_site(args, session),
    }
}

fn generate(args: &DocsGenerateArgs, session: &Session) -> Exit {
    let own = [("compile", !args.no_compile), ("empty_catalog", args.empty_catalog), ("static", args.static_site)];
    let command_args = own.into_iter().map(|(key, on)| (key.to_string(), on.into())).collect();
    let flags = RunFlags { selection: args.selection.clone(), command_args, ..RunFlags::default() };
    let opened = match session.open("generate", &flags) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let (root, events) = (opened.loaded.project.root.clone(), opened.events.clone());
    match super::block_on(write(args, session, opened)) {
        Ok(Ok((pages, site))) => {
            let text = format!("Site of {pages} pages written to {}", site.join("index.html").display());
            events.emit(Event::Message { text, info: true });
            Exit::Success
        }
        Ok(Err(error)) => session.complain(&root, *error),
        Err(error) => session.complain(&root, Diagnostic::error("io", error.to_string())),
    }
}

async fn write(args: &DocsGenerateArgs, session: &Session, mut opened: Opened) -> Outcome<(usize, PathBuf)> {
    let site = opened.loaded.project.target_path.join("site");
    let compile =
        if args.no_compile { None } else { Some(chosen(&args.selection, Verb::Compile.resource_types(), &opened, session)?) };
    let request = pipeline::DocsRequest { compile, catalog: !args.empty_catalog, site: site.clone() };
    let runner = runner(session, &opened)?;
    let pages = pipeline::docs(&mut opened.loaded, &request, &opened.invocation.clone(), runner).await?;
    Ok((pages, site))
}

fn serve_site(args: &DocsServeArgs, session: &Session) -> Exit {
    let project = match pipeline::load_project(session.world.as_ref(), &session.settings.load) {
        Ok((project, _)) => project,
        Err(error) => return session.complain(&session.folder(), *error),
    };
    let site = project.target_path.join("site");
    let address = match args.host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, args.port),
        Err(_) if args.host == "localhost" => SocketAddr::from(([127, 0, 0, 1], args.port)),
        Err(_) => {
            let error = Diagnostic::error("bad-argument", format!("`{}` is not an IP address", args.host));
            return session.complain(&project.root, error.help("use 127.0.0.1, or another address of this machine"));
        }
    };
    if !site.join("index.html").exists() {
        let error = Diagnostic::error("no-site", format!("there is no site in {}", site.display()));
        return session.complain(&project.root, error.help("run `headwater docs generate` first"));
    }
    let stop = async {
        // Without a signal handler the server still runs; it then ends with the process.
        let _ = tokio::signal::ctrl_c().await;
    };
    let started = |address: SocketAddr| println!("Serving docs at http://{address}\nPress Ctrl+C to exit.");
    match super::block_on(serve::folder(site, address, started, stop)) {
        Ok(Ok(())) => Exit::Success,
        Ok(Err(error)) | Err(error) => {
            session.complain(&project.root, Diagnostic::error("io", format!("cannot serve on {address}: {error}")));
            Exit::Trouble
        }
    }
}
