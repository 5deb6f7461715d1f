//! Packages: what `packages.yml` or `dependencies.yml` lists, resolved to exact versions, kept in `package-lock.yml` and put into
//! the packages folder. The only stage that reaches the network, and only when asked to (`deps`).
//!
//! Follows dbt's `deps` (<https://docs.getdbt.com/reference/commands/deps>): the same files, the same lock file with the same
//! hash, so that a lock made by dbt is taken as it is. What is unpacked cannot leave its folder: see [`archive`].

mod add;
mod archive;
mod checkout;
mod hub;
mod list;
mod lock;
mod resolve;
mod spec;
mod version;

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::event::{Event, EventSink};
use crate::project::{BaseContext, LoadOptions, project_root, yaml};
use crate::source::Location;
use crate::world::World;

pub use add::{AddedFrom, Addition, add};
pub use version::{Constraint, satisfying};

use list::PackageList;
use resolve::{Pinned, Source};

/// What `deps` is asked for.
#[derive(Clone, Debug, Default)]
pub struct DepsRequest {
    pub options: LoadOptions,
    /// Resolve anew though the lock file fits the list.
    pub upgrade: bool,
    /// Write the lock file and install nothing.
    pub lock_only: bool,
    /// Take versions whose `require-dbt-version` names another dbt.
    pub any_dbt_version: bool,
}

/// What every step needs: the machine, where words go, and a folder for downloads that goes away afterwards.
struct Work<'a> {
    world: &'a dyn World,
    events: &'a dyn EventSink,
    root: PathBuf,
    downloads: tempfile::TempDir,
    hub: hub::Hub,
}

impl Work<'_> {
    fn say(&self, text: impl Into<String>) {
        self.events.emit(Event::Message { text: text.into(), info: true });
    }
}

/// Resolves the project's packages where the lock file does not fit the list, and installs them. The folder of packages is
/// replaced as a whole, once everything has been fetched: a failure leaves the old one as it was.
///
/// # Errors
/// What is wrong in the list, what the hub, git or an address did not give, and archives that are not safe to unpack.
pub async fn install(world: &dyn World, request: &DepsRequest, events: &dyn EventSink) -> Outcome<()> {
    let root = project_root(world, &request.options)?;
    let list = PackageList::of_project(world, &root, &request.options)?;
    let downloads = tempfile::tempdir().map_err(|error| io("the downloads' folder cannot be made", &error))?;
    let hub = hub::Hub::new(world, request.any_dbt_version)?;
    let mut work = Work { world, events, root, downloads, hub };
    if list.specs.is_empty() {
        work.say(format!("Warning: No packages were found in {}", list.file));
        return Ok(());
    }
    let path = work.root.join(lock::FILE);
    let locked = lock::read(world, &path)?.filter(|lock| !request.upgrade && lock.sha1_hash == spec::hash(&list.specs));
    let packages = match locked {
        Some(lock) => lock.packages,
        None => {
            let pinned = resolve::resolve(&mut work, &list).await?;
            work.hub.warnings.drain(..).for_each(|warning| events.emit(Event::Diagnostic(warning)));
            lock::write(&path, &pinned, &list.specs)?;
            work.say(format!("Updating lock file in file path: {}", path.display()));
            lock::read(world, &path)?.map(|lock| lock.packages).unwrap_or_default()
        }
    };
    if request.lock_only { Ok(()) } else { install_all(&mut work, packages, &list).await }
}

/// Fetches every package into a folder beside the packages folder, then swaps the two.
async fn install_all(work: &mut Work<'_>, packages: Vec<Pinned>, list: &PackageList) -> Outcome<()> {
    let target = safe_install_path(work, list)?;
    let parent = target.parent().unwrap_or(&work.root);
    std::fs::create_dir_all(parent).map_err(|error| io("the packages' folder cannot be made", &error))?;
    let fresh = tempfile::Builder::new().prefix(".packages-").tempdir_in(parent);
    let fresh = fresh.map_err(|error| io("the packages' folder cannot be made", &error))?;
    let mut digests = Vec::new();
    for package in packages {
        work.say(format!("Installing {}", package.shown_name()));
        let placed = resolve::install(work, &package, fresh.path()).await?;
        lock::check_digest(&package, &placed)?;
        work.say(format!("Installed from {}", package.version_name()));
        if let Source::Hub { package: name, version } = &package.source {
            let latest = work.hub.latest(name).await?;
            let told =
                if latest == *version { "Up to date!".to_string() } else { format!("Updated version available: {latest}") };
            work.say(told);
        }
        if let Source::Git { subdirectory: Some(folder), .. } = &package.source {
            work.say(format!("and subdirectory {folder}"));
        }
        digests.extend(placed.digest.map(|digest| (package.name.clone(), digest)));
    }
    lock::write_digests(&work.root.join(lock::FILE), &digests)?;
    swap(fresh, &target)
}

/// The packages folder goes away when packages are installed, so it must not hold the project itself or lie at a root.
fn safe_install_path(work: &Work<'_>, list: &PackageList) -> Outcome<PathBuf> {
    let target = list.install_path.clone();
    if work.root.starts_with(&target) || target.parent().is_none() {
        return Diagnostic::error("packages-path", format!("packages cannot be installed into {}", target.display()))
            .at(Location::file("dbt_project.yml"))
            .help("`packages-install-path` names a folder of its own, whose content `deps` replaces: `dbt_packages`")
            .fail();
    }
    Ok(target)
}

fn swap(fresh: tempfile::TempDir, target: &Path) -> Outcome<()> {
    let failed = |error: std::io::Error| io("the packages' folder cannot be replaced", &error);
    let old = fresh.path().with_extension("old");
    let had = std::fs::symlink_metadata(target).is_ok();
    if had {
        std::fs::rename(target, &old).map_err(failed)?;
    }
    std::fs::rename(fresh.keep(), target).map_err(failed)?;
    if had {
        remove(&old).map_err(failed)?;
    }
    Ok(())
}

/// Removes a folder, or the link that stands there; what a link leads to stays.
fn remove(path: &Path) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

fn io(what: &str, error: &std::io::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("io", format!("{what}: {error}")))
}

/// `name:` of the package in `folder`, which is also the folder's name once installed, so that it must be a plain one.
fn project_name(world: &dyn World, folder: &Path, options: &LoadOptions) -> Outcome<String> {
    let path = folder.join("dbt_project.yml");
    let shown = path.display().to_string();
    let bytes = world.read(&path).map_err(|_| {
        Box::new(
            Diagnostic::error("package-not-found", format!("there is no package in {}", folder.display()))
                .help("a package is a folder with a dbt_project.yml; of a repository, `subdirectory` names it"),
        )
    })?;
    let (yaml, _) = yaml::parse(&String::from_utf8_lossy(&bytes), &shown)?;
    let context = BaseContext::new(world, options.vars.clone(), None).with_secrets();
    let name = yaml.get("name").map(|name| context.render_yaml(name, &|_| false)).transpose()?;
    let name = name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Diagnostic::error("package-name", format!("`{name}` is no package's name"))
            .at(Location::file(shown))
            .help("`name` in dbt_project.yml is made of letters, digits and underscores")
            .fail();
    }
    Ok(name)
}
