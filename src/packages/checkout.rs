//! Packages from git, through the `git` program of the machine: its credentials and settings apply.

use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::diagnostic::{Diagnostic, Outcome};

/// A repository's files at one commit.
pub struct Checkout {
    /// The package's folder, within the repository where `subdirectory` says so.
    pub folder: PathBuf,
    /// The commit's full hash.
    pub commit: String,
}

/// What to check out. `shown` is the address without secrets.
pub struct Wanted<'a> {
    pub url: &'a str,
    pub shown: &'a str,
    /// A branch, a tag or a full commit hash; `HEAD` for the default branch.
    pub revision: &'a str,
    pub subdirectory: Option<&'a str>,
}

/// Fetches one commit into an empty folder, without its history. Submodules are not followed, hooks do not run, and links become
/// files that hold their target, so that nothing leads out of the folder.
pub fn checkout(wanted: &Wanted<'_>, folder: &Path) -> Outcome<Checkout> {
    if wanted.url.starts_with('-') || wanted.revision.starts_with('-') {
        return failed(wanted, "an address or revision cannot begin with `-`");
    }
    let sub = subdirectory(wanted)?;
    std::fs::create_dir_all(folder).map_err(|error| super::io("a folder for git cannot be made", &error))?;
    git(wanted, folder, &["init", "--quiet"])?;
    git(wanted, folder, &["remote", "add", "origin", "--", wanted.url])?;
    let shallow = git(wanted, folder, &["fetch", "--quiet", "--depth", "1", "--no-tags", "origin", "--", wanted.revision]);
    let spec = match shallow {
        Ok(_) => "FETCH_HEAD".to_string(),
        // A server may refuse a bare commit: then everything is fetched, and the commit is looked up there.
        Err(error) if is_commit(wanted.revision) => {
            git(wanted, folder, &["fetch", "--quiet", "--tags", "origin"]).map_err(|_| error)?;
            wanted.revision.to_string()
        }
        Err(error) => return Err(error),
    };
    git(wanted, folder, &["checkout", "--quiet", "--detach", &spec])?;
    let commit = git(wanted, folder, &["rev-parse", "HEAD"])?.trim().to_string();
    std::fs::remove_dir_all(folder.join(".git")).map_err(|error| super::io("git's own folder cannot be removed", &error))?;
    Ok(Checkout { folder: folder.join(sub), commit })
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn subdirectory(wanted: &Wanted<'_>) -> Outcome<PathBuf> {
    let Some(sub) = wanted.subdirectory else { return Ok(PathBuf::new()) };
    let path = Path::new(sub);
    if path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Ok(path.to_path_buf());
    }
    failed(wanted, &format!("`subdirectory: {sub}` leaves the repository"))
}

/// Runs git in the folder and gives what it printed. It never asks for anything.
fn git(wanted: &Wanted<'_>, folder: &Path, arguments: &[&str]) -> Outcome<String> {
    let settings = ["-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "protocol.ext.allow=never"];
    let mut command = Command::new("git");
    command.args(settings).args(arguments).current_dir(folder);
    for (name, value) in [("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C"), ("GIT_CONFIG_COUNT", "0")] {
        command.env(name, value);
    }
    // A command that git itself started (a hook) hands these on; they would point at another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let output = match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return failed(wanted, &format!("the program `git` does not start: {error}")),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).replace(wanted.url, wanted.shown);
    failed(wanted, said.trim())
}

fn failed<T>(wanted: &Wanted<'_>, why: &str) -> Outcome<T> {
    Diagnostic::error("package-git", format!("{} at {} cannot be fetched: {why}", wanted.shown, wanted.revision))
        .help("try `git ls-remote` with the address: it has to work without asking for a password")
        .fail()
}
