//! `headwater init`: a new project that builds at once on the embedded engine.

use std::path::Path;

use headwater::diagnostic::{Diagnostic, Outcome};

use crate::cli::Exit;
use crate::cli::args::InitArgs;
use crate::cli::session::Session;

/// The files of a new project: path below its folder and content; `{name}` stands for the project's name.
const STARTER: [(&str, &str); 8] = [
    ("dbt_project.yml", include_str!("../../../templates/init/dbt_project.yml")),
    ("README.md", include_str!("../../../templates/init/README.md")),
    (".gitignore", include_str!("../../../templates/init/gitignore")),
    ("seeds/customers.csv", include_str!("../../../templates/init/customers.csv")),
    ("models/staging/stg_customers.sql", include_str!("../../../templates/init/stg_customers.sql")),
    ("models/marts/customers_by_country.sql", include_str!("../../../templates/init/customers_by_country.sql")),
    ("models/properties.yml", include_str!("../../../templates/init/properties.yml")),
    ("macros/.gitkeep", ""),
];

/// Folders dbt projects have, empty at the start.
const FOLDERS: [&str; 3] = ["analyses", "snapshots", "tests"];

pub fn run(args: &InitArgs, session: &Session) -> Exit {
    let folder = session.folder();
    let name = args.project_name.clone().unwrap_or_else(|| "my_project".to_string());
    match create(&folder, &name) {
        Ok(()) => {
            println!("Your new project \"{name}\" is in {}\n\n  cd {name}\n  headwater build\n", folder.join(&name).display());
            Exit::Success
        }
        Err(error) => session.complain(&folder, *error),
    }
}

fn create(folder: &Path, name: &str) -> Outcome<()> {
    let valid = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if name.is_empty() || !valid || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Diagnostic::error("project-name", format!("`{name}` is not a valid project name"))
            .help("use lower-case letters, digits and underscores, with a letter first")
            .fail();
    }
    let root = folder.join(name);
    if root.exists() {
        return Diagnostic::error("project-exists", format!("{} exists already", root.display()))
            .help("choose another name")
            .fail();
    }
    let write = || -> std::io::Result<()> {
        for (path, text) in STARTER {
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, text.replace("{name}", name))?;
        }
        for folder in FOLDERS {
            std::fs::create_dir_all(root.join(folder))?;
            std::fs::write(root.join(folder).join(".gitkeep"), "")?;
        }
        Ok(())
    };
    write().map_err(|error| Box::new(Diagnostic::error("io", format!("cannot write {}: {error}", root.display()))))
}
