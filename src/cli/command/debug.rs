//! `headwater debug`: what is installed, what was found, whether the engine answers.

use headwater::diagnostic::Diagnostic;
use headwater::pipeline;
use headwater::project::Project;

use crate::cli::args::DebugArgs;
use crate::cli::session::Session;
use crate::cli::{Exit, VERSION};

pub fn run(args: &DebugArgs, session: &Session) -> Exit {
    if args.config_dir {
        let folder = session.settings.load.profiles_dir.clone().unwrap_or_else(|| session.folder());
        session.say(&format!("{}", folder.display()));
        return Exit::Success;
    }
    session.say(&format!("headwater version: {VERSION}\nos info: {} {}", std::env::consts::OS, std::env::consts::ARCH));
    let project = match pipeline::load_project(session.world.as_ref(), &session.settings.load) {
        Ok((project, _)) => project,
        Err(error) => return misconfigured(*error, session),
    };
    let ok = session.settings.style.green("OK found and valid");
    if args.connection {
        session.say("Skipping steps before connection verification");
    } else {
        session.say(&format!(
            "Configuration:\n  dbt_project.yml [{ok}]\n  profile `{}`, target `{}` [{ok}]",
            project.target.profile_name, project.target.target_name
        ));
    }
    connection(&project, session)
}

/// Which of the two files is at fault, in dbt's words.
fn misconfigured(error: Diagnostic, session: &Session) -> Exit {
    if error.code == "project-not-found" {
        return session.complain(&session.folder(), error);
    }
    let wrong = session.settings.style.red("ERROR invalid");
    let of_profile = error.code.starts_with("profile") || error.code.starts_with("target");
    let (file, name) = if of_profile { ("Profile", "profiles.yml") } else { ("Project", "dbt_project.yml") };
    session.say(&format!("Configuration:\n  {name} file [{wrong}]\n1 check failed:"));
    session.say(&format!("{file} loading failed for the following reason:\n{}", in_words_of_dbt(&error, session)));
    session.complain(&session.folder(), error);
    Exit::Failure
}

fn in_words_of_dbt(error: &Diagnostic, session: &Session) -> String {
    let names: Vec<&str> = error.message.split('`').skip(1).step_by(2).collect();
    match (error.code, names.as_slice(), &session.settings.load.profiles_dir) {
        ("target-not-found", [profile, target, ..], _) => {
            format!("The profile '{profile}' does not have a target named '{target}'.")
        }
        ("profile-not-found", [profile], _) => format!("Could not find profile named '{profile}'"),
        ("profile-not-found", [], Some(folder)) => format!("dbt looked for a profiles.yml file in {}", folder.display()),
        _ => error.message.clone(),
    }
}

fn connection(project: &Project, session: &Session) -> Exit {
    session.say("Connection:");
    for (label, value) in described(project) {
        session.say(&format!("  {label}: {value}"));
    }
    let tested = super::block_on(async {
        let adapter = pipeline::connect(project).await?;
        adapter.query("select 1 as id", None).await.map_err(|error| Box::new(Diagnostic::error(error.code, error.message)))
    });
    match tested {
        Ok(Ok(_)) => {
            session.say(&format!("  Connection test: [{}]\n", session.settings.style.green("OK connection ok")));
            session.say("All checks passed!");
            Exit::Success
        }
        Ok(Err(error)) => {
            session.say(&format!("  Connection test: [{}]", session.settings.style.red("ERROR")));
            session.complain(&project.root, *error);
            Exit::Failure
        }
        Err(error) => session.complain(&project.root, Diagnostic::error("io", error.to_string())),
    }
}

/// The settings of the connection that are no secrets.
fn described(project: &Project) -> Vec<(&'static str, String)> {
    let shown = ["path", "host", "port", "user", "dbname"];
    let target = &project.target;
    let kind = match target.engine == target.adapter_type {
        true => target.engine.clone(),
        false => format!("{} (by the embedded engine, {})", target.adapter_type, target.engine),
    };
    let mut lines = vec![("type", kind)];
    for key in shown {
        if let Some(value) = project.target.settings.get(key) {
            lines.push((key, value.as_str().map_or_else(|| value.to_string(), str::to_string)));
        }
    }
    lines.push(("database", project.target.database.clone()));
    lines.push(("schema", project.target.schema.clone()));
    lines.push(("threads", project.target.threads.to_string()));
    lines
}
