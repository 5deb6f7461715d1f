//! Packages: those installed in `dbt_packages`, local ones in place, and those listed but not there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use super::jinja_text::BaseContext;
use super::load::{LoadOptions, join, read_yaml, shown_path};
use super::yaml::Yaml;
use super::{Package, Target, dbt_project};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::source::Location;
use crate::world::World;

/// Local packages that name local packages, so deep, and no deeper.
const MAX_LOCAL_DEPTH: usize = 16;

/// One entry of `packages:`.
struct Listed {
    /// As it is written: `dbt-labs/dbt_utils`, a Git address, a path.
    written: String,
    /// The package's name as far as the entry tells.
    name: String,
    local: Option<String>,
    location: Location,
}

/// The packages of the project in name order, its own excepted.
pub(super) fn load(
    loader: &Loader<'_>,
    own: &Package,
    install_path: &Path,
    warnings: &mut Vec<Diagnostic>,
) -> Outcome<Vec<Package>> {
    let mut found = BTreeMap::new();
    let listed = loader.listed(&own.root)?;
    loader.load_local(&own.root, &listed, &mut found, 0)?;
    loader.load_installed(install_path, &mut found)?;
    if found.contains_key(&own.name) {
        return Diagnostic::error("package-name", format!("an installed package is called `{}` as the project is", own.name))
            .help("rename one of the two")
            .fail();
    }
    warnings.extend(loader.not_installed(&listed, &found, install_path));
    Ok(found.into_values().collect())
}

/// What reading a package's files takes.
pub(super) struct Loader<'a> {
    pub world: &'a dyn World,
    pub options: &'a LoadOptions,
    /// The project's folder.
    pub root: &'a Path,
    pub target: &'a Target,
}

impl Loader<'_> {
    /// A package's own file renders without the command line's vars, and its warnings are its author's business.
    fn package(&self, folder: &Path) -> Outcome<Package> {
        let mut ignored = Vec::new();
        let text = dbt_project::read(self.world, self.root, folder, &mut ignored)?;
        let context = BaseContext::new(self.world, JsonMap::new(), Some(self.target.context()));
        dbt_project::package(&text, &context, &mut ignored)
    }

    fn load_installed(&self, install_path: &Path, found: &mut BTreeMap<String, Package>) -> Outcome<()> {
        let files = self.world.walk_linked(install_path).map_err(|error| {
            let shown = shown_path(self.world, self.root, install_path);
            Box::new(
                Diagnostic::error("file-unreadable", format!("the packages cannot be read: {error}")).at(Location::file(shown)),
            )
        })?;
        let projects = files.iter().filter(|file| {
            file.ends_with("dbt_project.yml") && file.strip_prefix(install_path).is_ok_and(|rest| rest.components().count() == 2)
        });
        let local: std::collections::BTreeSet<String> = found.keys().cloned().collect();
        for folder in projects.filter_map(|file| file.parent()) {
            let package = self.package(folder)?;
            // A local package and what `dbt deps` made of it are one, whatever its folder is called.
            if local.contains(&package.name) || found.values().any(|other| same_folder_name(other, folder)) {
                continue;
            }
            if let Some(other) = found.get(&package.name) {
                return Diagnostic::error("package-name", format!("two packages are called `{}`", package.name))
                    .help(format!("they lie in {} and {}", other.root.display(), folder.display()))
                    .fail();
            }
            found.insert(package.name.clone(), package);
        }
        Ok(())
    }

    /// Local packages are read where they lie; `dbt deps` would only link them.
    fn load_local(&self, base: &Path, listed: &[Listed], found: &mut BTreeMap<String, Package>, depth: usize) -> Outcome<()> {
        for entry in listed {
            let Some(path) = &entry.local else { continue };
            let folder = [base, self.root].iter().map(|base| join(base, Path::new(path))).find(|folder| self.has_project(folder));
            let Some(folder) = folder else {
                return Diagnostic::error("package-not-found", format!("there is no package in `{path}`"))
                    .at(entry.location.clone())
                    .help("a local package is a folder with a dbt_project.yml, relative to the project's folder")
                    .fail();
            };
            let package = self.package(&folder)?;
            if found.contains_key(&package.name) || folder == self.root {
                continue;
            }
            found.insert(package.name.clone(), package);
            if depth < MAX_LOCAL_DEPTH {
                self.load_local(&folder, &self.listed(&folder)?, found, depth + 1)?;
            }
        }
        Ok(())
    }

    fn has_project(&self, folder: &Path) -> bool {
        self.world.exists(&folder.join("dbt_project.yml"))
    }

    fn listed(&self, folder: &Path) -> Outcome<Vec<Listed>> {
        let context = BaseContext::new(self.world, self.options.vars.clone(), None).with_secrets();
        let Some(list) = package_list(self.world, self.root, folder)? else { return Ok(Vec::new()) };
        list.entries.iter().map(|item| listed(item, &context, list.rendered)).collect()
    }

    /// The packages that are listed and not there: a mistake, as in dbt. A package whose project goes by another name than its
    /// address counts as there where a package is installed that no entry names. Projects with external tables are only warned:
    /// what they need of dbt_external_tables is built in, and what they need of others shows when they call it.
    fn not_installed(&self, listed: &[Listed], found: &BTreeMap<String, Package>, install_path: &Path) -> Option<Diagnostic> {
        let missing: Vec<&Listed> = listed.iter().filter(|entry| entry.local.is_none() && !is_found(entry, found)).collect();
        let first = missing.first()?;
        let unnamed = found.iter().filter(|(name, package)| {
            package.root.starts_with(install_path) && !listed.iter().any(|entry| is_called(entry, name, package))
        });
        if unnamed.count() >= missing.len() {
            return None;
        }
        let names: Vec<String> = missing.iter().map(|entry| format!("`{}`", entry.written)).collect();
        let shown = shown_path(self.world, self.root, install_path);
        let text = format!("packages are not installed: {}", names.join(", "));
        let external = missing.iter().any(|entry| entry.name == "dbt_external_tables");
        let diagnostic = if external { Diagnostic::warning } else { Diagnostic::error }("package-not-installed", text)
            .at(first.location.clone())
            .help(format!("run `headwater deps` once, or put each package's folder into {shown}/"));
        Some(if external { diagnostic.help("`stage_external_sources` is built in and needs no package") } else { diagnostic })
    }
}

/// What a folder lists below `packages`, not rendered yet.
pub struct ListedPackages {
    pub file: &'static str,
    /// Whether the entries are templates: those of `packages.yml` are, those of `dependencies.yml` are not.
    pub rendered: bool,
    pub entries: Vec<Yaml>,
}

/// The list in the folder's `packages.yml` or `dependencies.yml`; none where neither has one. `root` is the project's folder,
/// from which messages name files.
pub fn package_list(world: &dyn World, root: &Path, folder: &Path) -> Outcome<Option<ListedPackages>> {
    let mut found = None;
    for (file, rendered) in [("packages.yml", true), ("dependencies.yml", false)] {
        let path = folder.join(file);
        let Some((yaml, _)) = read_yaml(world, &path, &shown_path(world, root, &path))? else { continue };
        let Some(packages) = yaml.get("packages").filter(|packages| !packages.is_null()) else { continue };
        if found.is_some() {
            return Diagnostic::error("packages-twice", "`packages` is given in packages.yml and in dependencies.yml too")
                .at(packages.location.clone())
                .help("keep it in one of the two files")
                .fail();
        }
        let Some(entries) = packages.as_sequence() else {
            return Diagnostic::error("packages-value", format!("`packages` is a list, not {}", packages.kind()))
                .at(packages.location.clone())
                .fail();
        };
        found = Some(ListedPackages { file, rendered, entries: entries.to_vec() });
    }
    Ok(found)
}

/// Two folders of one name hold one package: a local one and the link to it.
fn same_folder_name(package: &Package, folder: &Path) -> bool {
    package.root.file_name() == folder.file_name()
}

fn is_found(entry: &Listed, found: &BTreeMap<String, Package>) -> bool {
    found.iter().any(|(name, package)| is_called(entry, name, package))
}

/// An entry means a package by its name or by its folder's.
fn is_called(entry: &Listed, name: &str, package: &Package) -> bool {
    let folder = package.root.file_name().map(|name| name.to_string_lossy());
    let alike = |name: &str| name.replace('-', "_") == entry.name;
    alike(name) || folder.as_deref().is_some_and(alike)
}

fn listed(item: &Yaml, context: &BaseContext<'_>, rendered: bool) -> Outcome<Listed> {
    let value = if rendered { context.render_yaml(item, &|_| false)? } else { item.to_json() };
    let text = |key: &str| value.get(key).and_then(Json::as_str).map(str::to_string);
    let kinds = ["package", "git", "private", "tarball", "local"];
    let Some(kind) = kinds.iter().find(|kind| text(kind).is_some_and(|text| !text.is_empty())) else {
        return Diagnostic::error("packages-value", "an entry of `packages` names no package")
            .at(item.location.clone())
            .help("it has one of the keys `package`, `git`, `private`, `tarball` or `local`")
            .fail();
    };
    let written = text(kind).unwrap_or_default();
    let last = written.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = text("name").filter(|_| *kind != "package").unwrap_or_else(|| last.trim_end_matches(".git").to_string());
    // A Git address may carry a token, so that only its end is shown.
    let shown = if matches!(*kind, "git" | "tarball") { name.clone() } else { written.clone() };
    Ok(Listed {
        name: name.replace('-', "_"),
        local: (*kind == "local").then_some(written),
        written: shown,
        location: item.get(kind).unwrap_or(item).location.clone(),
    })
}
