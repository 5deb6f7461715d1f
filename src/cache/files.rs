//! The project's files: whether they are what they were.
//!
//! A file's stamp stands for its content, as in git: where the stamp was taken so soon after the last change that another change
//! could have left it as it is, or where it differs, the content decides.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::diagnostic::Outcome;
use crate::project::{FileKind, Project, ProjectFile, discover};
use crate::world::{Stamp, World};

/// Changes this soon before a stamp was taken do not count as settled: coarse clocks, and file systems that keep whole seconds.
const UNSETTLED_NS: i64 = 2_000_000_000;

/// The files as they were found, and their stamps, taken before any was read.
pub struct Files {
    files: Vec<Arc<ProjectFile>>,
    stamps: Vec<Option<Stamp>>,
}

/// What was found in the files' content.
pub struct Hashes {
    sha256: Vec<Option<String>>,
    /// Whether a property file has Jinja that may read any variable.
    pub reads_variables: bool,
}

/// A file that is not what it was.
pub struct Changed {
    pub file: Arc<ProjectFile>,
    /// Of its content now.
    pub sha256: String,
}

/// What is kept of the files.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// When the stamps were taken, nanoseconds since 1970.
    taken_ns: i64,
    files: Vec<KeptFile>,
}

#[derive(Serialize, Deserialize)]
struct KeptFile {
    kind: String,
    shown: String,
    stamp: Stamp,
    sha256: String,
}

impl Files {
    pub fn discover(world: &dyn World, project: &Project) -> Outcome<Self> {
        let files: Vec<_> = discover(world, project)?.into_iter().map(Arc::new).collect();
        let stamps = files.iter().map(|file| world.stamp(&file.absolute).ok()).collect();
        Ok(Self { files, stamps })
    }

    pub fn all(&self) -> impl Iterator<Item = &ProjectFile> {
        self.files.iter().map(|file| &**file)
    }

    pub fn hashes(&self, world: &dyn World) -> Hashes {
        let mut hashes = Hashes { sha256: Vec::with_capacity(self.files.len()), reads_variables: false };
        for file in &self.files {
            let bytes = world.read(&file.absolute).ok();
            if let Some(bytes) = bytes.as_deref().filter(|_| file.kind == FileKind::Property) {
                hashes.reads_variables |= may_read_variables(bytes);
            }
            hashes.sha256.push(bytes.map(|bytes| sha256(&bytes)));
        }
        hashes
    }

    /// What to keep; none if a file changed since it was found.
    pub fn kept(&self, world: &dyn World, project: &Project, hashes: Hashes) -> Option<Kept> {
        let again = Self::discover(world, project).ok()?;
        if again.stamps != self.stamps || again.files.iter().zip(&self.files).any(|(new, old)| new.absolute != old.absolute) {
            return None;
        }
        let files = self.files.iter().zip(&self.stamps).zip(hashes.sha256).map(|((file, stamp), sha256)| {
            Some(KeptFile { kind: kind(file), shown: file.shown.to_string(), stamp: stamp.clone()?, sha256: sha256? })
        });
        let newest = self.stamps.iter().flatten().filter_map(|stamp| stamp.changed_ns.max(Some(stamp.modified_ns))).max();
        let now = world.now().timestamp_nanos_opt()?;
        // A clock that runs behind the file system's settles nothing.
        let taken_ns = if newest.is_some_and(|newest| newest > now) { i64::MIN } else { now };
        Some(Kept { taken_ns, files: files.collect::<Option<_>>()? })
    }

    /// The files whose content changed; none if files came or went.
    pub fn changed(&self, world: &dyn World, kept: &Kept) -> Option<Vec<Changed>> {
        if self.files.len() != kept.files.len() {
            return None;
        }
        let mut changed = Vec::new();
        for ((file, stamp), old) in self.files.iter().zip(&self.stamps).zip(&kept.files) {
            if *old.shown != *file.shown || old.kind != kind(file) {
                return None;
            }
            let settled = stamp.as_ref().is_some_and(|stamp| *stamp == old.stamp && is_settled(stamp, kept.taken_ns));
            if settled {
                continue;
            }
            let sha256 = sha256_of(world, &file.absolute)?;
            if sha256 != old.sha256 {
                changed.push(Changed { file: file.clone(), sha256 });
            }
        }
        Some(changed)
    }
}

fn kind(file: &ProjectFile) -> String {
    format!("{:?} {}", file.kind, file.root_path)
}

fn is_settled(stamp: &Stamp, taken_ns: i64) -> bool {
    let last = stamp.changed_ns.map(|changed_ns| changed_ns.max(stamp.modified_ns));
    last.is_some_and(|last| last.saturating_add(UNSETTLED_NS) < taken_ns)
}

fn sha256_of(world: &dyn World, path: &Path) -> Option<String> {
    world.read(path).ok().map(|bytes| sha256(&bytes))
}

pub fn sha256(bytes: &[u8]) -> String {
    crate::parse::hex(&Sha256::digest(bytes))
}

/// Any mention of `var` beside Jinja counts, but for the two words that hold it without meaning it.
fn may_read_variables(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let has_jinja = text.contains("{{") || text.contains("{%");
    has_jinja && text.replace("env_var", "").replace("varchar", "").contains("var")
}
