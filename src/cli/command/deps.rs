//! `headwater deps`: installs the packages a project lists.

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::packages::{self, AddedFrom, Addition, DepsRequest};

use crate::cli::Exit;
use crate::cli::args::{DepsArgs, PackageSource};
use crate::cli::session::Session;

pub fn run(args: &DepsArgs, session: &Session) -> Exit {
    let folder = session.folder();
    match super::block_on(install(args, session)) {
        Ok(Ok(())) => Exit::Success,
        Ok(Err(error)) => session.complain(&folder, *error),
        Err(error) => session.complain(&folder, Diagnostic::error("io", error.to_string())),
    }
}

async fn install(args: &DepsArgs, session: &Session) -> Outcome<()> {
    let options = &session.settings.load;
    let events = session.events(&session.folder(), "", "deps");
    if let Some(text) = &args.add_package {
        let from = match args.source {
            PackageSource::Hub => AddedFrom::Hub,
            PackageSource::Git => AddedFrom::Git,
            PackageSource::Local => AddedFrom::Local,
        };
        packages::add(session.world.as_ref(), options, &Addition::parse(text, from)?, events.as_ref())?;
    }
    let request = DepsRequest {
        options: options.clone(),
        upgrade: args.upgrade,
        lock_only: args.lock,
        any_dbt_version: !session.settings.version_check,
    };
    packages::install(session.world.as_ref(), &request, events.as_ref()).await
}
