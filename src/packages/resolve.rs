//! From listed packages to exact ones, breadth first through what they list in turn, and from exact ones to folders.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::checkout::{self, Wanted};
use super::list::{self, PackageList};
use super::spec::{self, Kind, Spec};
use super::{Work, archive, io, project_name};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::project::{BaseContext, LoadOptions, yaml};

/// An exact package.
#[derive(Clone, Debug, PartialEq)]
pub struct Pinned {
    /// The name in its `dbt_project.yml`; empty where a lock file of an older dbt does not tell.
    pub name: String,
    pub source: Source,
    /// Of its files, where the lock file knows it.
    pub digest: Option<String>,
}

/// Where exactly a package comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Hub { package: String, version: String },
    Git { url: String, shown: String, revision: String, subdirectory: Option<String> },
    Tarball { url: String, shown: String },
    Local { path: String },
}

/// A package in the packages folder.
pub struct Placed {
    /// Of archives only: git has its commit, a local package is what it is.
    pub digest: Option<String>,
}

impl Pinned {
    /// How messages call it.
    pub fn shown_name(&self) -> String {
        match &self.source {
            Source::Hub { package, .. } => package.clone(),
            Source::Git { shown, subdirectory: Some(sub), .. } => format!("{shown}/{sub}"),
            Source::Git { shown, .. } => shown.clone(),
            Source::Tarball { .. } => self.name.clone(),
            Source::Local { path } => path.clone(),
        }
    }

    /// dbt's words for which version it is.
    pub fn version_name(&self) -> String {
        match &self.source {
            Source::Hub { version, .. } => format!("version {version}"),
            Source::Git { revision, .. } if revision == "HEAD" => "HEAD (default revision)".to_string(),
            Source::Git { revision, .. } => format!("revision {revision}"),
            Source::Tarball { shown, .. } => format!("tarball (url: {shown})"),
            Source::Local { path } => format!("<local @ {path}>"),
        }
    }

    /// Its entry in the lock file, keys in order.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let name = ("name", self.name.clone());
        match &self.source {
            Source::Hub { package, version } => vec![name, ("package", package.clone()), ("version", version.clone())],
            Source::Git { shown, revision, subdirectory, .. } => {
                let sub = subdirectory.iter().map(|sub| ("subdirectory", sub.clone()));
                [("git", shown.clone()), name, ("revision", revision.clone())].into_iter().chain(sub).collect()
            }
            Source::Tarball { shown, .. } => vec![name, ("tarball", shown.clone())],
            Source::Local { path } => vec![("local", path.clone()), name],
        }
    }
}

/// The exact packages of a list, in the order they were found.
pub async fn resolve(work: &mut Work<'_>, list: &PackageList) -> Outcome<Vec<Pinned>> {
    let mut wanted: IndexMap<String, Vec<Spec>> = IndexMap::new();
    let mut found: IndexMap<String, Pinned> = IndexMap::new();
    let mut pending = list.specs.clone();
    while !pending.is_empty() {
        let mut changed: Vec<String> = Vec::new();
        for spec in pending.drain(..) {
            let key = key(&spec.kind);
            let specs = wanted.entry(key.clone()).or_default();
            // What is known already asks for nothing new: packages that list each other come to an end.
            if !specs.iter().any(|known| known.kind == spec.kind) {
                specs.push(spec);
                changed.push(key);
            }
        }
        changed.dedup();
        for key in changed {
            let (pinned, lists) = pin(work, &wanted[&key], &list.options).await?;
            found.insert(key, pinned);
            pending.extend(lists);
        }
    }
    let found: Vec<Pinned> = found.into_values().collect();
    check_names(work, &found, &list.options)?;
    Ok(found)
}

/// What makes two entries the same package: a Git address with and without `.git` is one.
fn key(kind: &Kind) -> String {
    match kind {
        Kind::Hub { package, .. } => format!("hub {package}"),
        Kind::Git { url, subdirectory, .. } => {
            format!("git {} {}", url.trim_end_matches('/').trim_end_matches(".git"), subdirectory.as_deref().unwrap_or_default())
        }
        Kind::Tarball { url, .. } => format!("tarball {url}"),
        Kind::Local { path } => format!("local {path}"),
    }
}

/// The exact package that all entries for it agree on, and what it lists in turn.
async fn pin(work: &mut Work<'_>, specs: &[Spec], options: &LoadOptions) -> Outcome<(Pinned, Vec<Spec>)> {
    let Some(first) = specs.first() else { unreachable!("a package is wanted because an entry names it") };
    let source = match &first.kind {
        Kind::Hub { package, .. } => return pin_hub(work, package, specs).await,
        Kind::Git { url, shown, subdirectory, .. } => {
            let revision = one_revision(specs, shown)?;
            warn_unpinned(work, specs, shown, &revision);
            Source::Git { url: url.clone(), shown: shown.clone(), revision, subdirectory: subdirectory.clone() }
        }
        Kind::Tarball { url, shown } => Source::Tarball { url: url.clone(), shown: shown.clone() },
        Kind::Local { path } => Source::Local { path: path.clone() },
    };
    let mut pinned = Pinned { name: first.name.clone().unwrap_or_default(), source, digest: None };
    let (folder, commit) = fetch(work, &pinned).await?;
    if let (Source::Git { revision, .. }, Some(commit)) = (&mut pinned.source, commit) {
        *revision = commit;
    }
    let placed =
        |error: Box<Diagnostic>| if error.location.is_none() { Box::new(error.at(first.location.clone())) } else { error };
    pinned.name = project_name(work.world, &folder, options).map_err(placed)?;
    Ok((pinned, list::of_package(work.world, &folder, options)?))
}

async fn pin_hub(work: &mut Work<'_>, package: &str, specs: &[Spec]) -> Outcome<(Pinned, Vec<Spec>)> {
    let mut all = Vec::new();
    let mut early = false;
    for spec in specs {
        if let Kind::Hub { versions, prerelease, .. } = &spec.kind {
            all.extend(versions.iter().cloned());
            early |= prerelease;
        }
    }
    let place = specs.first().map(|spec| spec.location.clone());
    let version = work.hub.newest(package, &all, early).await.map_err(|error| match place {
        Some(place) => Box::new(error.at(place)),
        None => error,
    })?;
    let release = work.hub.release(package, &version).await?;
    let context = BaseContext::new(work.world, JsonMap::new(), None);
    let mut lists = Vec::new();
    for entry in &release.packages {
        // JSON is YAML.
        let (entry, _) = yaml::parse(&entry.to_string(), &format!("{package} on the hub"))?;
        lists.push(spec::read(&entry, &context, false)?);
    }
    let source = Source::Hub { package: package.to_string(), version };
    Ok((Pinned { name: release.name, source, digest: None }, lists))
}

fn one_revision(specs: &[Spec], shown: &str) -> Outcome<String> {
    let revisions =
        specs.iter().filter_map(|spec| if let Kind::Git { revision, .. } = &spec.kind { revision.clone() } else { None });
    let mut revisions: Vec<String> = revisions.collect();
    revisions.dedup();
    match &revisions[..] {
        [] => Ok("HEAD".to_string()),
        [one] => Ok(one.clone()),
        many => {
            let message = format!("git dependencies should contain exactly one version. {shown} contains: {}", many.join(", "));
            let error = Diagnostic::error("package-version", message).help("let all packages name the same revision");
            match specs.first() {
                Some(first) => error.at(first.location.clone()).fail(),
                None => error.fail(),
            }
        }
    }
}

fn warn_unpinned(work: &Work<'_>, specs: &[Spec], shown: &str, revision: &str) {
    let Some(first) = specs.first() else { return };
    let wants = specs.iter().all(|spec| matches!(spec.kind, Kind::Git { warn_unpinned: true, .. }));
    if wants && matches!(revision, "HEAD" | "main" | "master") {
        let how = if revision == "HEAD" { "not pinned, using HEAD (default branch)" } else { "pinned to a branch" };
        let warning = Diagnostic::warning("package-unpinned", format!("the git package \"{shown}\" is {how}"))
            .at(first.location.clone())
            .help("name a tag or a commit with `revision`, or switch this off with `warn-unpinned: false`");
        work.events.emit(crate::event::Event::Diagnostic(warning));
    }
}

fn check_names(work: &Work<'_>, packages: &[Pinned], options: &LoadOptions) -> Outcome<()> {
    let own = project_name(work.world, &work.root, options)?;
    for (index, package) in packages.iter().enumerate() {
        let message = if package.name == own {
            format!("the package {} is called `{own}` as the project is", package.shown_name())
        } else if let Some(other) = packages[..index].iter().find(|other| other.name == package.name) {
            format!("two packages are called `{}`: {} and {}", package.name, other.shown_name(), package.shown_name())
        } else {
            continue;
        };
        return Diagnostic::error("package-name", message)
            .help("give the package's source once, in the same way everywhere")
            .fail();
    }
    Ok(())
}

/// The package's folder among the downloads; for Git the commit too.
async fn fetch(work: &mut Work<'_>, package: &Pinned) -> Outcome<(PathBuf, Option<String>)> {
    let folder = work.downloads.path().join(work.world.new_id());
    match &package.source {
        Source::Local { path } => Ok((work.root.join(path), None)),
        Source::Git { url, shown, revision, subdirectory } => {
            let wanted = Wanted { url, shown, revision, subdirectory: subdirectory.as_deref() };
            let found = checkout::checkout(&wanted, &folder)?;
            Ok((found.folder, Some(found.commit)))
        }
        Source::Tarball { url, shown } => Ok((download(work, url, shown, &folder).await?, None)),
        Source::Hub { package, version } => {
            let url = work.hub.release(package, version).await?.tarball;
            Ok((download(work, &url, &url, &folder).await?, None))
        }
    }
}

async fn download(work: &Work<'_>, url: &str, shown: &str, folder: &Path) -> Outcome<PathBuf> {
    let Some(bytes) = work.hub.get(url, shown).await? else {
        return Diagnostic::error("package-not-found", format!("there is nothing at {shown}")).fail();
    };
    archive::unpack(&bytes, folder, shown)
}

/// Puts a package into the packages folder, under its project's name.
pub async fn install(work: &mut Work<'_>, package: &Pinned, packages: &Path) -> Outcome<Placed> {
    let (folder, _) = fetch(work, package).await?;
    let place = packages.join(project_name(work.world, &folder, &LoadOptions::default())?);
    let failed = |error: std::io::Error| io(&format!("{} cannot be installed", package.shown_name()), &error);
    if let Source::Local { .. } = package.source {
        link(&folder, &place).map_err(failed)?;
        return Ok(Placed { digest: None });
    }
    let digest = match package.source {
        Source::Hub { .. } | Source::Tarball { .. } => Some(archive::digest(&folder).map_err(failed)?),
        _ => None,
    };
    // The downloads may lie on another file system, where a rename does not reach.
    if std::fs::rename(&folder, &place).is_err() {
        copy(&folder, &place).map_err(failed)?;
    }
    Ok(Placed { digest })
}

/// As dbt does: a link where the system has them, so that edits show at once, else a copy.
fn link(folder: &Path, place: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::symlink(std::fs::canonicalize(folder)?, place).is_ok() {
        return Ok(());
    }
    copy(folder, place)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(std::io::Error::from)?;
        let place = to.join(entry.path().strip_prefix(from).unwrap_or(Path::new("")));
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&place)?;
        } else if entry.file_type().is_file() {
            std::fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}
