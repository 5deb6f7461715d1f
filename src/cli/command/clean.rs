//! `headwater clean`: removes the folders of `clean-targets`.

use std::path::{Component, Path, PathBuf};

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::event::{Event, EventSink};

use crate::cli::Exit;
use crate::cli::args::CleanArgs;
use crate::cli::session::Session;
use headwater::pipeline;
use headwater::project::Project;

pub fn run(args: &CleanArgs, session: &Session) -> Exit {
    let project = match pipeline::load_project(session.world.as_ref(), &session.settings.load) {
        Ok((project, _)) => project,
        Err(error) => return session.complain(&session.folder(), *error),
    };
    let cleans = |folder: &str| project.clean_targets.iter().any(|target| target == folder);
    let installs_into = project.packages_install_path.strip_prefix(&project.root).unwrap_or(&project.packages_install_path);
    if cleans("dbt_modules") && !cleans(&installs_into.to_string_lossy()) {
        let message = "`clean-targets` has `dbt_modules`, but packages are installed into `dbt_packages`";
        let warning = Diagnostic::warning("packages-install-path", message);
        let warning = warning.help("change `clean-targets`, or set `packages-install-path: dbt_modules` in dbt_project.yml");
        session.events(&project.root, "", "clean").emit(Event::Diagnostic(warning));
    }
    match clean(&project, args.no_clean_project_files_only) {
        Ok(removed) => {
            for path in &removed {
                session.say(&format!("Cleaned {}", path.display()));
            }
            session.say("Finished cleaning all paths.");
            Exit::Success
        }
        Err(error) => session.complain(&project.root, *error),
    }
}

/// Checks every path before the first is removed, so that a refused one leaves all as it was.
fn clean(project: &Project, outside_allowed: bool) -> Outcome<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for target in &project.clean_targets {
        let path = normal(&project.root.join(target));
        let refused = if path == normal(&project.root) || normal(&project.root).starts_with(&path) {
            Some("it holds the project itself")
        } else if !outside_allowed && !path.starts_with(normal(&project.root)) {
            Some("it lies outside the project")
        } else {
            source_folder(project, &path)
        };
        if let Some(reason) = refused {
            return Diagnostic::error("clean-refused", format!("`{target}` in clean-targets is not removed: {reason}"))
                .help("name only folders that builds make, such as `target`")
                .fail();
        }
        paths.push(path);
    }
    paths.retain(|path| path.exists());
    for path in &paths {
        std::fs::remove_dir_all(path)
            .map_err(|error| Box::new(Diagnostic::error("io", format!("cannot remove {}: {error}", path.display()))))?;
    }
    Ok(paths)
}

/// Why a path must stay: it is, or holds, a folder the project's own text lies in.
fn source_folder(project: &Project, path: &Path) -> Option<&'static str> {
    let package = project.packages.first()?;
    let folders = [&package.model_paths, &package.seed_paths, &package.test_paths, &package.macro_paths, &package.snapshot_paths];
    let held = folders.into_iter().flatten().any(|folder| normal(&project.root.join(folder)).starts_with(path));
    held.then_some("it holds source files of the project")
}

/// The path without `.` and `..`, by its text alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
