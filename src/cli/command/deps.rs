//! `headwater deps`: which packages are there. Local ones are read where they lie; nothing is fetched.

use headwater::diagnostic::{Diagnostic, Severity};
use headwater::pipeline;

use crate::cli::Exit;
use crate::cli::session::Session;

pub fn run(session: &Session) -> Exit {
    let (project, warnings) = match pipeline::load_project(session.world.as_ref(), &session.settings.load) {
        Ok(loaded) => loaded,
        Err(error) => return session.complain(&session.folder(), *error),
    };
    for package in project.packages.iter().skip(1) {
        let version = package.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let folder = package.root.strip_prefix(&project.root).unwrap_or(&package.root);
        session.say(&format!("{}{version} in {}", package.name, folder.display()));
    }
    let Some(missing) = warnings.into_iter().find(|warning| warning.code == "package-not-installed") else {
        if project.packages.len() < 2 {
            session.say("The project uses no packages.");
        }
        return Exit::Success;
    };
    let error = Diagnostic { severity: Severity::Error, ..missing };
    session.complain(&project.root, error.help("packages from the hub, Git and archives are not fetched by headwater yet"))
}
