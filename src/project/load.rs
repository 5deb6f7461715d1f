//! The way in: from a folder and the command line's settings to a [`Project`].

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::jinja_text::BaseContext;
use super::yaml::{self, Yaml};
use super::{Package, Project, dbt_project, package, profile, selectors};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::source::Location;
use crate::world::World;

const PROJECT_FILE: &str = "dbt_project.yml";

/// What the command line and its environment say about which project to load and how.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Where `dbt_project.yml` lies; without it the current folder or the nearest one above that holds one.
    pub project_dir: Option<PathBuf>,
    /// Where `profiles.yml` lies; without it `DBT_PROFILES_DIR`, the current folder, the project's folder, `~/.dbt`.
    pub profiles_dir: Option<PathBuf>,
    pub profile: Option<String>,
    pub target: Option<String>,
    /// `--vars`.
    pub vars: JsonMap,
    /// Relative to the project's folder.
    pub target_path: Option<PathBuf>,
    pub threads: Option<usize>,
}

/// Loads `dbt_project.yml`, the chosen target and the packages.
///
/// # Errors
/// The first mistake that leaves nothing to work with; misspelt keys, absent packages and duplicate YAML keys are warnings.
pub fn load(world: &dyn World, options: &LoadOptions) -> Outcome<(Project, Vec<Diagnostic>)> {
    let root = project_root(world, options)?;
    let mut warnings = Vec::new();
    let text = dbt_project::read(world, &root, &root, &mut warnings)?;
    let profile_name = profile_name(world, options, &text.yaml)?;
    let target = profile::choose(world, options, &root, profile_name.as_deref(), &mut warnings)?;

    let file_vars = dbt_project::vars_file(world, &root, &text.yaml)?;
    let mut vars = file_vars.clone().unwrap_or_default();
    vars.extend(options.vars.clone());
    let context = BaseContext::new(world, vars, Some(target.context()));
    let mut own = dbt_project::package(&text, &context, &mut warnings)?;
    own.vars.extend(file_vars.unwrap_or_default());

    let mut settings = dbt_project::settings(&text, &own)?;
    if let Some((flags, place)) = profile::flags(world, options, &root)? {
        if !settings.flags.is_empty() {
            return Diagnostic::error(
                "profile-config",
                "`config` in profiles.yml and `flags` in dbt_project.yml exclude each other",
            )
            .at(place)
            .help("keep `flags` in dbt_project.yml")
            .fail();
        }
        let warning = Diagnostic::warning("profile-config", "dbt deprecates `config` in profiles.yml").at(place);
        warnings.push(warning.help("move its keys to `flags` in dbt_project.yml"));
        settings.flags = flags;
    }
    let selectors = selectors::read(world, &root, &context)?;
    let packages_install_path = join(&root, Path::new(&settings.packages_install_path));
    let loader = package::Loader { world, options, root: &own.root, target: &target };
    let installed = package::load(&loader, &own, &packages_install_path, &mut warnings)?;
    let target_path = options.target_path.as_deref().unwrap_or(Path::new(&settings.target_path));
    let project = Project {
        name: own.name.clone(),
        packages: std::iter::once(own).chain(installed).map(Arc::new).collect(),
        cli_vars: options.vars.clone(),
        target_path: join(&root, target_path),
        packages_install_path,
        clean_targets: settings.clean_targets,
        query_comment: settings.query_comment,
        flags: settings.flags,
        selectors,
        target,
        root,
    };
    Ok((project, warnings))
}

/// `flags:` (or, as once, `config:` of profiles.yml) of the project that `options` name; none where the file cannot be read.
pub fn project_flags(world: &dyn World, options: &LoadOptions) -> Option<JsonMap> {
    let root = project_root(world, options).ok()?;
    let (yaml, _) = read_yaml(world, &root.join(PROJECT_FILE), PROJECT_FILE).ok()??;
    let own = yaml.get("flags").and_then(Yaml::to_json_map);
    own.or_else(|| profile::flags(world, options, &root).ok()?.map(|(flags, _)| flags))
}

/// The folder of the project: the one named, or the nearest with a `dbt_project.yml` from the current folder upwards.
///
/// # Errors
/// `project-not-found`.
pub fn project_root(world: &dyn World, options: &LoadOptions) -> Outcome<PathBuf> {
    let current = current_folder(world)?;
    if let Some(folder) = &options.project_dir {
        let root = join(&current, folder);
        if world.exists(&root.join(PROJECT_FILE)) {
            return Ok(root);
        }
        return Diagnostic::error("project-not-found", format!("there is no {PROJECT_FILE} in {}", root.display()))
            .help("`--project-dir` names the folder that holds it")
            .fail();
    }
    let found = current.ancestors().find(|folder| world.exists(&folder.join(PROJECT_FILE)));
    found.map(Path::to_path_buf).ok_or_else(|| {
        let message = format!("there is no {PROJECT_FILE} in {} or any folder above it", current.display());
        Box::new(
            Diagnostic::error("project-not-found", message)
                .help("go to the project's folder, name it with `--project-dir`, or start a new one with `headwater init`"),
        )
    })
}

/// `profile:` of `dbt_project.yml`, which may be Jinja, but cannot know the target yet.
fn profile_name(world: &dyn World, options: &LoadOptions, yaml: &Yaml) -> Outcome<Option<String>> {
    let Some(value) = yaml.get("profile").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let Some(text) = value.as_str() else {
        return Diagnostic::error("project-value", format!("`profile` is a profile's name, not {}", value.kind()))
            .at(value.location.clone())
            .fail();
    };
    let context = BaseContext::new(world, options.vars.clone(), None).with_secrets();
    let rendered = context.render_text(text, &value.location)?;
    Ok(Some(rendered.as_str().map_or_else(|| rendered.to_string(), str::to_string)))
}

pub(super) fn current_folder(world: &dyn World) -> Outcome<PathBuf> {
    world
        .current_folder()
        .map_err(|error| Box::new(Diagnostic::error("file-unreadable", format!("the current folder cannot be read: {error}"))))
}

/// `path` seen from `base`, without `.` and `..`; links are not followed.
pub fn join(base: &Path, path: &Path) -> PathBuf {
    let mut joined = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    joined
}

/// How messages name a file: relative to the project where it is in it, below `~` where it is there, else in full.
pub(super) fn shown_path(world: &dyn World, root: &Path, path: &Path) -> String {
    if let Ok(relative) = path.strip_prefix(root) {
        return slashed(relative);
    }
    match home(world).as_deref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(relative) => format!("~/{}", slashed(relative)),
        None => path.display().to_string(),
    }
}

pub(super) fn home(world: &dyn World) -> Option<PathBuf> {
    world.env("HOME").or_else(|| world.env("USERPROFILE")).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// A relative path with `/` between its parts on every machine.
pub(super) fn slashed(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// A YAML file, where it exists, without the white space at its end, as dbt reads it.
pub(super) fn read_yaml(world: &dyn World, path: &Path, shown: &str) -> Outcome<Option<(Yaml, Vec<Diagnostic>)>> {
    if !world.exists(path) {
        return Ok(None);
    }
    let text = read_to_string(world, path, shown)?;
    yaml::parse(text.trim_end(), shown).map(Some)
}

/// A whole text file: UTF-8, without a byte order mark, its line ends `\n` as Python's text mode and Jinja give them.
pub(super) fn read_to_string(world: &dyn World, path: &Path, shown: &str) -> Outcome<String> {
    let bytes = world.read(path).map_err(|error| {
        Box::new(Diagnostic::error("file-unreadable", format!("the file cannot be read: {error}")).at(Location::file(shown)))
    })?;
    let text = String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(&error, shown)))?;
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    };
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}

fn not_utf8(error: &std::string::FromUtf8Error, shown: &str) -> Diagnostic {
    let index = error.utf8_error().valid_up_to();
    let valid = String::from_utf8_lossy(&error.as_bytes()[..index]);
    let (line, column) = yaml::line_and_column(&valid, index);
    let byte = error.as_bytes()[index];
    Diagnostic::error("not-utf-8", format!("the byte 0x{byte:02X} here is no valid UTF-8"))
        .at(Location::new(shown, line, column))
        .help("save the file with the encoding UTF-8")
}

impl Project {
    /// The project's own package.
    pub fn own_package(&self) -> &Arc<Package> {
        self.packages.first().expect("a loaded project has its own package first")
    }

    pub fn package(&self, name: &str) -> Option<&Arc<Package>> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The variables that `var()` sees in `package`, with dbt's order: command line, the project's own for that package, the
    /// project's own, the package's for itself, the package's.
    pub fn vars_for(&self, package: &str) -> JsonMap {
        let mut vars = JsonMap::new();
        let own = self.own_package();
        for source in self.package(package).filter(|found| found.name != own.name).into_iter().chain([own]) {
            vars.extend(source.vars.clone());
            if let Some(scoped) = source.vars.get(package).and_then(serde_json::Value::as_object) {
                vars.extend(scoped.clone());
            }
        }
        vars.extend(self.cli_vars.clone());
        vars
    }

    /// Every file of every package; see [`discover`](super::discover).
    pub fn files(&self, world: &dyn World) -> Outcome<Vec<super::ProjectFile>> {
        super::discover(world, self)
    }
}
