//! What an earlier command parsed, kept in the target folder and used again while nothing it came from has changed.
//!
//! Three files: the index (what the manifest came from, file by file), the manifest itself, and a mark that says which
//! `manifest.json` was written from it. A kept manifest is used when the program, the project's settings and target, every file,
//! and every answer that templates got from outside (variables, environment, flags) are as they were; a model whose text changed,
//! but not what it asks for, is exchanged in place. In every other case the project is parsed anew. A project whose templates
//! read the clock is never kept.

mod edit;
mod files;
mod inputs;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Outcome, Severity};
use crate::invocation::Invocation;
use crate::jinja::Jinja;
use crate::manifest::{Macro, Manifest, Node};
use crate::project::{Project, ProjectFile};
use crate::resolve;
use crate::source::Location;
use crate::world::{Stamp, World};

use self::files::{Changed, Files, Kept};
use self::inputs::{Answers, Recorder};

const INDEX: &str = "partial_parse.index";
const MANIFEST: &str = "partial_parse.manifest";
const MARK: &str = "partial_parse.mark";

/// A project's manifest, however it was come by.
pub struct Parsed {
    pub manifest: Manifest,
    pub jinja: Jinja,
    pub diagnostics: Vec<Diagnostic>,
    /// The id of the kept manifest that this one equals.
    pub kept: Option<String>,
}

/// What a kept manifest came from.
#[derive(Serialize, Deserialize)]
struct Index {
    /// Names the manifest that belongs to this index.
    id: String,
    program: String,
    /// Hash of the project's own settings, its packages and its target.
    project: String,
    root: PathBuf,
    answers: Answers,
    files: Kept,
    warnings: Vec<Warning>,
}

/// A warning to repeat.
#[derive(Clone, Serialize, Deserialize)]
struct Warning {
    code: String,
    message: String,
    location: Option<Location>,
    help: Vec<String>,
    trace: Vec<String>,
}

impl From<&Diagnostic> for Warning {
    fn from(diagnostic: &Diagnostic) -> Self {
        let Diagnostic { code, severity: _, message, location, help, trace } = diagnostic.clone();
        Self { code: code.to_string(), message, location, help, trace }
    }
}

impl From<Warning> for Diagnostic {
    fn from(warning: Warning) -> Self {
        let Warning { code, message, location, help, trace } = warning;
        // Codes are constants of the program; the few that are read back live as long as it does.
        Self { code: Box::leak(code.into_boxed_str()), severity: Severity::Warning, message, location, help, trace }
    }
}

/// Which `manifest.json` was written from which kept manifest.
#[derive(Serialize, Deserialize)]
struct Mark {
    id: String,
    stamp: Stamp,
    exchanged: Exchanged,
}

/// Models whose text was exchanged after the manifest was kept: their files as messages name them, and the sha256 of their
/// content.
type Exchanged = BTreeMap<String, String>;

/// The manifest of a project: a kept one where it still holds, else parsed anew and kept.
pub fn load(world: &dyn World, project: &Project, invocation: &Invocation) -> Outcome<Parsed> {
    if !invocation.partial_parse {
        return parse(world, project, invocation);
    }
    let Some(program) = world.program() else { return parse(world, project, invocation) };
    let Ok(files) = Files::discover(world, project) else { return parse(world, project, invocation) };
    if let Some(index) = open(world, project, invocation, &program)
        && let Some(parsed) = reuse(world, project, invocation, &index, &files)
    {
        return Ok(parsed);
    }
    let recorder = Recorder::new(world);
    let hashes = files.hashes(world);
    let mut parsed = parse(&recorder, project, invocation)?;
    let reads = parsed.jinja.reads();
    if reads.passing || parsed.diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(parsed);
    }
    let answers = Answers::new(project, invocation, reads, recorder.environment(), hashes.reads_variables);
    // What changed while it was being read is not kept.
    let Some(kept) = files.kept(world, project, hashes) else { return Ok(parsed) };
    let index = Index {
        id: world.new_id(),
        program,
        project: inputs::project_hash(world, project),
        root: project.root.clone(),
        answers,
        files: kept,
        warnings: parsed.diagnostics.iter().map(Warning::from).collect(),
    };
    // Without a place to keep it in, the next command parses again.
    parsed.kept = keep(&project.target_path, &index, &parsed.manifest).ok().map(|()| index.id);
    Ok(parsed)
}

fn parse(world: &dyn World, project: &Project, invocation: &Invocation) -> Outcome<Parsed> {
    let (manifest, jinja, diagnostics) = resolve::load_manifest(world, project, invocation)?;
    Ok(Parsed { manifest, jinja, diagnostics, kept: None })
}

/// The index, if it is of this program, project, target and environment.
fn open(world: &dyn World, project: &Project, invocation: &Invocation, program: &str) -> Option<Index> {
    let index: Index = rmp_serde::from_slice(&world.read(&project.target_path.join(INDEX)).ok()?).ok()?;
    let same = index.program == program
        && index.project == inputs::project_hash(world, project)
        && index.answers.hold(world, project, invocation);
    same.then_some(index)
}

fn reuse(world: &dyn World, project: &Project, invocation: &Invocation, index: &Index, files: &Files) -> Option<Parsed> {
    let changed = files.changed(world, &index.files)?;
    restored(world, project, invocation, (index, &changed))
}

/// The kept manifest with the text of models exchanged.
fn restored(
    world: &dyn World,
    project: &Project,
    invocation: &Invocation,
    (index, changed): (&Index, &[Changed]),
) -> Option<Parsed> {
    let bytes = world.read(&project.target_path.join(MANIFEST)).ok()?;
    let mut manifest = restore(&bytes, index, project)?;
    let macros = own_macros(&manifest, project);
    let jinja = resolve::template_engine(world, project, invocation, &macros).ok()?;
    let diagnostics = index.warnings.iter().cloned().map(Diagnostic::from).collect();
    if changed.is_empty() {
        return Some(Parsed { manifest, jinja, diagnostics, kept: Some(index.id.clone()) });
    }
    let shared = Arc::new(project.clone());
    edit::exchange(&edit::Place { world, project: &shared, jinja: &jinja, index }, changed, &mut manifest)?;
    index.answers.cover(&jinja.reads()).then_some(Parsed { manifest, jinja, diagnostics, kept: None })
}

/// Macros of the project and its packages; the template engine has the built-in ones.
fn own_macros(manifest: &Manifest, project: &Project) -> indexmap::IndexMap<crate::name::UniqueId, Macro> {
    let own = manifest.macros.iter().filter(|(_, found)| project.package(&found.package_name).is_some());
    own.map(|(id, found)| (id.clone(), found.clone())).collect()
}

/// The manifest that belongs to an index, with its absolute paths below where the project lies now.
fn restore(bytes: &[u8], index: &Index, project: &Project) -> Option<Manifest> {
    let content = bytes.strip_prefix(index.id.as_bytes())?;
    let mut manifest: Manifest = rmp_serde::from_slice(content).ok()?;
    if index.root != project.root {
        let nodes = manifest.nodes.values_mut().chain(manifest.disabled_nodes.values_mut().flatten());
        for root in nodes.filter_map(|node| node.root_path.as_mut()) {
            let inside = Path::new(root.as_str()).strip_prefix(&index.root).map(|inside| project.root.join(inside));
            if let Ok(moved) = inside {
                *root = moved.components().collect::<PathBuf>().to_string_lossy().into_owned();
            }
        }
    }
    Some(manifest)
}

/// Writes manifest and index; the index comes last, and names the manifest it belongs to.
fn keep(folder: &Path, index: &Index, manifest: &Manifest) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    put(folder, MANIFEST, |file| {
        file.write_all(index.id.as_bytes())?;
        rmp_serde::encode::write(file, manifest).map_err(io::Error::other)
    })?;
    put(folder, INDEX, |file| rmp_serde::encode::write(file, index).map_err(io::Error::other))
}

/// Writes a file, all or nothing.
fn put(folder: &Path, name: &str, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let draft = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let mut file = BufWriter::with_capacity(1 << 18, File::create(&draft)?);
    write(&mut file)?;
    file.flush()?;
    std::fs::rename(&draft, folder.join(name))
}

/// Marks the `manifest.json` that lies in the target folder as written from the kept manifest of this id.
pub fn mark(world: &dyn World, project: &Project, id: &str) {
    put_mark(world, project, id.to_string(), Exchanged::new());
}

fn put_mark(world: &dyn World, project: &Project, id: String, exchanged: Exchanged) {
    let Ok(stamp) = world.stamp(&project.target_path.join("manifest.json")) else { return };
    let mark = Mark { id, stamp, exchanged };
    // Without a mark the file is written anew the next time.
    let _ = put(&project.target_path, MARK, |file| rmp_serde::encode::write(file, &mark).map_err(io::Error::other));
}

/// What makes the `manifest.json` that lies in the target folder the one that parsing now would give, but for its metadata.
pub struct Renewal {
    pub diagnostics: Vec<Diagnostic>,
    /// Nodes that are other than there; mostly none.
    pub nodes: Vec<Node>,
    /// Of the kept manifest.
    id: String,
    exchanged: Exchanged,
}

impl Renewal {
    /// Marks the file as renewed.
    pub fn mark(self, world: &dyn World, project: &Project) {
        put_mark(world, project, self.id, self.exchanged);
    }
}

/// How the `manifest.json` that lies in the target folder is renewed; none where that takes more than the text of some models.
pub fn renewal(world: &dyn World, project: &Project, invocation: &Invocation) -> Option<Renewal> {
    if !invocation.partial_parse {
        return None;
    }
    let mark: Mark = rmp_serde::from_slice(&world.read(&project.target_path.join(MARK)).ok()?).ok()?;
    if world.stamp(&project.target_path.join("manifest.json")).ok()? != mark.stamp {
        return None;
    }
    let index = open(world, project, invocation, &world.program()?)?;
    let same = index.id == mark.id && index.root == project.root;
    let files = same.then(|| Files::discover(world, project).ok()).flatten()?;
    let changed = files.changed(world, &index.files)?;
    let exchanged: Exchanged = changed.iter().map(|changed| (changed.file.shown.to_string(), changed.sha256.clone())).collect();
    let is_other = |shown: &str| exchanged.get(shown) != mark.exchanged.get(shown);
    let others: Vec<&ProjectFile> = files.all().filter(|file| is_other(&file.shown)).collect();
    let mut nodes = Vec::new();
    if !others.is_empty() {
        let Parsed { mut manifest, .. } = restored(world, project, invocation, (&index, &changed))?;
        let ids = edit::models_of(others.iter().copied(), &manifest)?;
        nodes = others.iter().filter_map(|file| manifest.nodes.swap_remove(ids.get(&edit::path_of(file))?)).collect();
    }
    let diagnostics = index.warnings.into_iter().map(Diagnostic::from).collect();
    Some(Renewal { diagnostics, nodes, id: index.id, exchanged })
}
