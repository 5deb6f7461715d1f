//! The list of a folder's packages: `packages.yml`, or `packages:` in `dependencies.yml`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::spec::{self, Spec};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::project::yaml::{self, Yaml};
use crate::project::{BaseContext, LoadOptions, join, package_list};
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
        let (file, specs) = entries(world, root, options)?;
        let context = BaseContext::new(world, options.vars.clone(), None);
        let yaml = read(world, root, "dbt_project.yml")?;
        let place = yaml.as_ref().and_then(|yaml| yaml.get("packages-install-path"));
        let place = place.map(|place| context.render_yaml(place, &|_| false)).transpose()?;
        let place = world.env("DBT_PACKAGES_INSTALL_PATH").or(place.as_ref().and_then(Json::as_str).map(str::to_string));
        let install_path = join(root, Path::new(place.as_deref().unwrap_or(INSTALL_PATH)));
        Ok(Self { file, specs, install_path, options: options.clone() })
    }
}

/// The entries a package lists for itself.
pub fn of_package(world: &dyn World, folder: &Path, options: &LoadOptions) -> Outcome<Vec<Spec>> {
    Ok(entries(world, folder, options)?.1)
}

fn entries(world: &dyn World, folder: &Path, options: &LoadOptions) -> Outcome<(&'static str, Vec<Spec>)> {
    let Some(list) = package_list(world, folder, folder)? else { return Ok(("packages.yml", Vec::new())) };
    let context = BaseContext::new(world, options.vars.clone(), None).with_secrets();
    let specs = list.entries.iter().map(|item| spec::read(item, &context, list.rendered)).collect::<Outcome<_>>()?;
    Ok((list.file, specs))
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
