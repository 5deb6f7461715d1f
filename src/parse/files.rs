//! Reads every file of the project, in parallel, and cuts macro blocks out of the macro files.

use std::sync::Arc;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{Checksum, Macro};
use crate::name::UniqueId;
use crate::project::{FileKind, Project, ProjectFile, discover, read_text};
use crate::world::World;

use super::macros;

/// A file and its text (empty for seeds, whose checksum is all that is needed).
#[derive(Clone, Debug)]
pub struct LoadedFile {
    pub file: Arc<ProjectFile>,
    pub text: String,
    pub checksum: Checksum,
}

/// Every file of the project by what it holds, in dbt's order.
#[derive(Debug, Default)]
pub struct Loaded {
    pub models: Vec<LoadedFile>,
    pub snapshots: Vec<LoadedFile>,
    pub analyses: Vec<LoadedFile>,
    pub tests: Vec<LoadedFile>,
    pub seeds: Vec<LoadedFile>,
    pub docs: Vec<LoadedFile>,
    pub properties: Vec<LoadedFile>,
    pub fixtures: Vec<LoadedFile>,
    pub functions: Vec<LoadedFile>,
    /// Macros of the project and its packages; the built-in ones join them.
    pub macros: IndexMap<UniqueId, Macro>,
}

/// Reads all files of all packages. The error is the first that stops everything (a folder that cannot be listed).
pub fn read_all(world: &dyn World, project: &Project) -> Outcome<(Loaded, Vec<Diagnostic>)> {
    let files: Vec<Arc<ProjectFile>> = discover(world, project)?.into_iter().map(Arc::new).collect();
    let mut diagnostics = Vec::new();
    let mut loaded = Loaded::default();
    let limit = seed_hash_limit(world);
    for outcome in in_parallel(&files, |file| load(world, file, limit)) {
        let Some(file) = super::keep(outcome, &mut diagnostics) else { continue };
        match file.file.kind {
            FileKind::Model | FileKind::Python => loaded.models.push(file),
            FileKind::Snapshot => loaded.snapshots.push(file),
            FileKind::Analysis => loaded.analyses.push(file),
            FileKind::SingularTest => loaded.tests.push(file),
            FileKind::Seed => loaded.seeds.push(file),
            FileKind::Docs => loaded.docs.push(file),
            FileKind::Property => loaded.properties.push(file),
            FileKind::Fixture => loaded.fixtures.push(file),
            FileKind::Function => loaded.functions.push(file),
            FileKind::Macro | FileKind::GenericTest => {
                macros::collect_macros(&file, world, &mut loaded.macros, &mut diagnostics);
            }
        }
    }
    // dbt lists a package's Python models before its SQL models.
    loaded.models.sort_by_key(|file| (package_index(project, &file.file), file.file.kind != FileKind::Python));
    Ok((loaded, diagnostics))
}

fn package_index(project: &Project, file: &ProjectFile) -> usize {
    project.packages.iter().position(|package| package.name == file.package.name).unwrap_or(usize::MAX)
}

/// Runs `work` over all items on the machine's processors, results in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len() / 16 + 1);
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let size = items.len().div_ceil(threads);
    let work = &work;
    std::thread::scope(|scope| {
        let handles: Vec<_> =
            items.chunks(size).map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<R>>())).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn load(world: &dyn World, file: &Arc<ProjectFile>, seed_limit: usize) -> Outcome<LoadedFile> {
    if file.kind == FileKind::Seed {
        let bytes = world.read(&file.absolute).map_err(|error| unreadable(file, &error.to_string()))?;
        let checksum = seed_checksum(file, &bytes, seed_limit);
        return Ok(LoadedFile { file: file.clone(), text: String::new(), checksum });
    }
    let text = read_text(world, file)?;
    // Docs and property files keep their text; dbt strips whitespace around every file it parses as code.
    let text = if file.kind == FileKind::Property { text } else { text.trim().to_string() };
    let checksum = normalized_checksum(&text);
    Ok(LoadedFile { file: file.clone(), text, checksum })
}

fn unreadable(file: &ProjectFile, error: &str) -> Box<Diagnostic> {
    let location = crate::source::Location::file(file.shown.clone());
    Box::new(Diagnostic::error("file-unreadable", format!("cannot read `{}`: {error}", file.original)).at(location))
}

/// sha256 over the text with every run of whitespace as one space: dbt 1.12's checksum of a code file.
pub(crate) fn normalized_checksum(text: &str) -> Checksum {
    let mut normalized = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normalized.is_empty() {
            normalized.push(' ');
        }
        normalized.push_str(word);
    }
    Checksum { name: "sha256".to_string(), checksum: hex(&Sha256::digest(normalized.as_bytes())) }
}

/// The largest seed in bytes that is hashed by content: 1 MiB, or `DBT_ENGINE_MAXIMUM_SEED_SIZE_MIB`; 0 is no limit.
fn seed_hash_limit(world: &dyn World) -> usize {
    let mebibytes = world.env("DBT_ENGINE_MAXIMUM_SEED_SIZE_MIB").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1);
    if mebibytes == 0 { usize::MAX } else { mebibytes.saturating_mul(1024 * 1024) }
}

/// A seed's checksum: its stripped text (line ends as `\n`), or its path where it is too large to hash.
fn seed_checksum(file: &ProjectFile, bytes: &[u8], limit: usize) -> Checksum {
    if bytes.len() > limit {
        return Checksum { name: "path".to_string(), checksum: file.original.to_string() };
    }
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let mut hasher = Sha256::new();
    hasher.update(text.trim().as_bytes());
    Checksum { name: "sha256".to_string(), checksum: hex(&hasher.finalize()) }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text
}

/// The file's name without folders and extension.
pub(crate) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}

/// The folders of a path, without the file.
pub(crate) fn folders(path: &str) -> impl Iterator<Item = &str> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    folder.split('/').filter(|part| !part.is_empty())
}
