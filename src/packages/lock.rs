//! `package-lock.yml`: the exact packages of a project, in dbt's format. Content digests of archives are kept in comments at its
//! end, which dbt leaves unread: `# sha256 <name> <digest>`.

use std::fmt::Write as _;
use std::path::Path;

use super::list;
use super::resolve::{Pinned, Placed, Source};
use super::spec::{self, Kind, Spec};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::project::BaseContext;
use crate::project::yaml::Yaml;
use crate::world::World;

/// The file's name, beside `dbt_project.yml`.
pub const FILE: &str = "package-lock.yml";
const DIGEST_MARK: &str = "# sha256 ";

/// What a lock file holds.
pub struct Lock {
    pub packages: Vec<Pinned>,
    /// Of the list it was made from.
    pub sha1_hash: String,
}

/// Reads the lock file, if there is one.
pub fn read(world: &dyn World, path: &Path) -> Outcome<Option<Lock>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let Some(yaml) = list::read(world, folder, FILE)? else { return Ok(None) };
    let context = BaseContext::new(world, JsonMap::new(), None).with_secrets();
    let digests = digests(&world.read(path).unwrap_or_default());
    let entries = yaml.get("packages").and_then(Yaml::as_sequence).unwrap_or_default();
    let specs: Vec<Spec> = entries.iter().map(|entry| spec::read(entry, &context, true)).collect::<Outcome<_>>()?;
    let packages = specs.into_iter().map(|spec| {
        let name = spec.name.clone().unwrap_or_default();
        let digest = digests.iter().find(|(known, _)| *known == name).map(|(_, digest)| digest.clone());
        Pinned { name, source: pinned(spec.kind), digest }
    });
    let sha1_hash = yaml.get("sha1_hash").and_then(Yaml::as_str).unwrap_or_default().to_string();
    Ok(Some(Lock { packages: packages.collect(), sha1_hash }))
}

fn pinned(kind: Kind) -> Source {
    match kind {
        Kind::Hub { package, versions, .. } => Source::Hub { package, version: versions.join(",") },
        Kind::Git { url, shown, revision, subdirectory, .. } => {
            Source::Git { url, shown, revision: revision.unwrap_or_else(|| "HEAD".to_string()), subdirectory }
        }
        Kind::Tarball { url, shown } => Source::Tarball { url, shown },
        Kind::Local { path } => Source::Local { path },
    }
}

/// Writes the lock file of a list.
pub fn write(path: &Path, packages: &[Pinned], specs: &[Spec]) -> Outcome<()> {
    let mut text = String::from("packages:\n");
    for package in packages {
        for (index, (key, value)) in package.fields().into_iter().enumerate() {
            let lead = if index == 0 { "  - " } else { "    " };
            // Writing to a String does not fail.
            let _ = writeln!(text, "{lead}{key}: {}", scalar(&value));
        }
    }
    let _ = writeln!(text, "sha1_hash: {}", spec::hash(specs));
    std::fs::write(path, text).map_err(|error| super::io(&format!("{FILE} cannot be written"), &error))
}

/// Notes the digests of what was unpacked at the end of the lock file.
pub fn write_digests(path: &Path, digests: &[(String, String)]) -> Outcome<()> {
    let failed = |error: std::io::Error| super::io(&format!("{FILE} cannot be written"), &error);
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with(DIGEST_MARK)).map(str::to_string).collect();
    lines.extend(digests.iter().map(|(name, digest)| format!("{DIGEST_MARK}{name} {digest}")));
    let renewed = lines.join("\n") + "\n";
    if renewed == text { Ok(()) } else { std::fs::write(path, renewed).map_err(failed) }
}

fn digests(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let marked = text.lines().filter_map(|line| line.strip_prefix(DIGEST_MARK)?.split_once(' '));
    marked.map(|(name, digest)| (name.to_string(), digest.trim().to_string())).collect()
}

/// Whether what was unpacked is what the lock file was made with.
pub fn check_digest(package: &Pinned, placed: &Placed) -> Outcome<()> {
    match (&package.digest, &placed.digest) {
        (Some(expected), Some(found)) if expected != found => {
            let message = format!("{} is not what {FILE} was made with: its content has changed", package.shown_name());
            Diagnostic::error("package-checksum", message)
                .help(format!("expected sha256 {expected}, got {found}; if the change is meant, run `deps --upgrade`"))
                .fail()
        }
        _ => Ok(()),
    }
}

/// A text as YAML: plain where it cannot be read as anything else.
fn scalar(text: &str) -> String {
    let plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_./:@+-".contains(letter));
    let starts_well = text.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '.' || letter == '/');
    let is_other = text.parse::<f64>().is_ok() || text.ends_with(':') || matches!(text, "true" | "false" | "null" | "yes" | "no");
    if plain && starts_well && !is_other { text.to_string() } else { format!("'{}'", text.replace('\'', "''")) }
}
