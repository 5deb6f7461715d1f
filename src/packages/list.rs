//! The list of a folder's packages: `packages.yml`, or `packages:` in `dependencies.yml`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::spec::{self, Spec};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::project::yaml::{self, Yaml};
use crate::project::{BaseContext, LoadOptions};
use crate::world::World;

/// Where dbt installs packages when the project does not say.
const INSTALL_PATH: &str = "dbt_packages";

/// What a project or package lists.
#[derive(Clone, Debug)]
pub struct PackageList {
    /// The file the entries come from.
    pub file: &'static str,
    pub specs: Vec<Spec>,
    /// Absolute; of the project only.
    pub install_path: PathBuf,
    pub options: LoadOptions,
}

impl PackageList {
    /// The project's list, and where it wants its packages.
    pub fn of_project(world: &dyn World, root: &Path, options: &LoadOptions) -> Outcome<Self> {
        let (file, specs) = entries(world, root, options, true)?;
        let context = BaseContext::new(world, options.vars.clone(), None);
        let yaml = read(world, root, "dbt_project.yml")?;
        let place = yaml.as_ref().and_then(|yaml| yaml.get("packages-install-path"));
        let place = place.map(|place| context.render_yaml(place, &|_| false)).transpose()?;
        let place = world.env("DBT_PACKAGES_INSTALL_PATH").or(place.as_ref().and_then(Json::as_str).map(str::to_string));
        let install_path = plain(&root.join(place.as_deref().unwrap_or(INSTALL_PATH)));
        Ok(Self { file, specs, install_path, options: options.clone() })
    }
}

/// The entries a package lists for itself.
pub fn of_package(world: &dyn World, folder: &Path, options: &LoadOptions) -> Outcome<Vec<Spec>> {
    Ok(entries(world, folder, options, false)?.1)
}

fn entries(world: &dyn World, folder: &Path, options: &LoadOptions, own: bool) -> Outcome<(&'static str, Vec<Spec>)> {
    let mut found: Option<(&'static str, Vec<Spec>)> = None;
    for (file, rendered) in [("packages.yml", true), ("dependencies.yml", false)] {
        let Some(yaml) = read(world, folder, file)? else { continue };
        let Some(packages) = yaml.get("packages").filter(|packages| !packages.is_null()) else { continue };
        if found.is_some() && own {
            return Diagnostic::error("packages-twice", "`packages` is given in packages.yml and in dependencies.yml too")
                .at(packages.location.clone())
                .help("keep it in one of the two files")
                .fail();
        }
        let Some(items) = packages.as_sequence() else {
            return Diagnostic::error("packages-value", format!("`packages` is a list, not {}", packages.kind()))
                .at(packages.location.clone())
                .fail();
        };
        let context = BaseContext::new(world, options.vars.clone(), None).with_secrets();
        let specs: Vec<Spec> = items.iter().map(|item| spec::read(item, &context, rendered)).collect::<Outcome<_>>()?;
        found.get_or_insert((file, specs));
    }
    Ok(found.unwrap_or(("packages.yml", Vec::new())))
}

/// A YAML file of the folder, if it is there.
pub fn read(world: &dyn World, folder: &Path, file: &str) -> Outcome<Option<Yaml>> {
    let path = folder.join(file);
    if !world.exists(&path) {
        return Ok(None);
    }
    let bytes = world.read(&path).map_err(|error| super::io(&format!("{file} cannot be read"), &error))?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Diagnostic::error("file-encoding", format!("{} is not UTF-8", path.display())).fail();
    };
    Ok(Some(yaml::parse(&text, file)?.0))
}

/// The path without `.` and `..`, links not followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}
