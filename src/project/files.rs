//! The files of a project: which there are, what each is, and their text.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

use super::load::{join, read_to_string, shown_path, slashed};
use super::{Package, Project};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::source::Location;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// `.sql` in a macro folder.
    Macro,
    Model,
    /// A Python model: known, but not supported.
    Python,
    Snapshot,
    Analysis,
    /// `.sql` in a test folder, outside its `generic` and `fixtures`.
    SingularTest,
    /// `.sql` in `generic` of a test folder.
    GenericTest,
    Seed,
    /// `.md` with `{% docs %}` blocks.
    Docs,
    /// `.yml` or `.yaml` in any resource folder; each file once.
    Property,
    /// `.csv` or `.sql` in `fixtures` of a test folder.
    Fixture,
    /// `.sql` in a function folder: the body of a function.
    Function,
}

/// One file of one package, and what it is.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    pub package: Arc<Package>,
    pub kind: FileKind,
    /// The configured folder that it was found in: `models`, `tests/generic`.
    pub root_path: Arc<str>,
    /// Below `root_path`: `staging/orders.sql`.
    pub relative: Arc<str>,
    /// Below the package's folder: `models/staging/orders.sql`; dbt's `original_file_path`.
    pub original: Arc<str>,
    /// As messages name it: below the project's folder, also for files of packages.
    pub shown: Arc<str>,
    pub absolute: PathBuf,
}

impl ProjectFile {
    /// The file's name without its last extension, which names models, seeds and tests.
    pub fn stem(&self) -> &str {
        let name = self.relative.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }
}

/// Every file of every package that dbt would read: packages in the project's order, kinds in [`FileKind`]'s order, then by
/// folder as configured and by path. `.dbtignore` of each package is honoured.
pub fn discover(world: &dyn World, project: &Project) -> Outcome<Vec<ProjectFile>> {
    let mut files = Vec::new();
    for package in &project.packages {
        let ignored = Ignored::read(world, package)?;
        Discovery { world, root: &project.root, package, ignored, walked: BTreeMap::new(), found: &mut files }.run()?;
    }
    Ok(files)
}

/// The file's text: UTF-8 without byte order mark, line ends as `\n`.
///
/// # Errors
/// `not-utf-8` with the place of the first wrong byte, `file-unreadable`.
pub fn read_text(world: &dyn World, file: &ProjectFile) -> Outcome<String> {
    read_to_string(world, &file.absolute, &file.shown)
}

struct Discovery<'a> {
    world: &'a dyn World,
    root: &'a Path,
    package: &'a Arc<Package>,
    ignored: Ignored,
    /// Each folder is read once, whatever number of kinds is sought in it.
    walked: BTreeMap<PathBuf, Arc<Vec<PathBuf>>>,
    found: &'a mut Vec<ProjectFile>,
}

impl Discovery<'_> {
    fn run(mut self) -> Outcome<()> {
        let package = self.package.clone();
        let below =
            |folder: &str| package.test_paths.iter().map(|path| format!("{}/{folder}", path.trim_end_matches('/'))).collect();
        let (generic, fixtures): (Vec<String>, Vec<String>) = (below("generic"), below("fixtures"));
        let sources = package.source_paths();
        let functions = package.function_paths();
        let wanted: [(FileKind, &[String], &[&str]); 12] = [
            (FileKind::Macro, &package.macro_paths, &[".sql"]),
            (FileKind::Model, &package.model_paths, &[".sql"]),
            (FileKind::Python, &package.model_paths, &[".py"]),
            (FileKind::Snapshot, &package.snapshot_paths, &[".sql"]),
            (FileKind::Analysis, &package.analysis_paths, &[".sql"]),
            (FileKind::SingularTest, &package.test_paths, &[".sql"]),
            (FileKind::GenericTest, &generic, &[".sql"]),
            (FileKind::Seed, &package.seed_paths, &[".csv"]),
            (FileKind::Docs, &package.docs_paths, &[".md"]),
            (FileKind::Property, &sources, &[".yml", ".yaml"]),
            (FileKind::Fixture, &fixtures, &[".csv", ".sql"]),
            (FileKind::Function, &functions, &[".sql"]),
        ];
        for (kind, folders, extensions) in wanted {
            let mut seen = HashSet::new();
            for folder in folders {
                self.add_folder(kind, folder, extensions, &mut seen)?;
            }
        }
        Ok(())
    }

    fn add_folder(&mut self, kind: FileKind, folder: &str, extensions: &[&str], seen: &mut HashSet<PathBuf>) -> Outcome<()> {
        let absolute = join(&self.package.root, Path::new(folder));
        let root_path: Arc<str> = folder.trim_start_matches("./").trim_end_matches('/').into();
        for path in self.walk(&absolute, folder)?.iter() {
            // Every folder is looked through for several kinds: what a name tells is asked first.
            if !path.file_name().is_some_and(|name| has_extension(&name.to_string_lossy(), extensions)) {
                continue;
            }
            let relative = path.strip_prefix(&absolute).map(slashed).unwrap_or_default();
            let separate = relative.starts_with("generic/") || relative.starts_with("fixtures/");
            if kind == FileKind::SingularTest && separate {
                continue;
            }
            let original = path.strip_prefix(&self.package.root).map_or_else(|_| format!("{root_path}/{relative}"), slashed);
            if self.ignored.contains(&original) || !seen.insert(path.clone()) {
                continue;
            }
            self.found.push(ProjectFile {
                package: self.package.clone(),
                kind,
                root_path: root_path.clone(),
                relative: relative.into(),
                original: original.into(),
                shown: shown_path(self.world, self.root, path).into(),
                absolute: path.clone(),
            });
        }
        Ok(())
    }

    fn walk(&mut self, absolute: &Path, folder: &str) -> Outcome<Arc<Vec<PathBuf>>> {
        if let Some(found) = self.walked.get(absolute) {
            return Ok(found.clone());
        }
        let found = self.world.walk(absolute).map_err(|error| {
            Box::new(
                Diagnostic::error("file-unreadable", format!("the folder cannot be read: {error}")).at(Location::file(folder)),
            )
        })?;
        let found = Arc::new(found);
        self.walked.insert(absolute.to_path_buf(), found.clone());
        Ok(found)
    }
}

/// dbt passes over names that begin as editors' temporary files do, and ignores the case of extensions.
fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let fits = |extension: &&str| {
        let at = name.len().checked_sub(extension.len());
        at.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(extension) && name.len() > extension.len())
    };
    !name.starts_with(['.', '#', '~']) && extensions.iter().any(fits)
}

/// `.dbtignore`: patterns as in `.gitignore`, the last that fits decides.
struct Ignored {
    rules: Vec<(GlobMatcher, bool)>,
}

impl Ignored {
    fn read(world: &dyn World, package: &Package) -> Outcome<Self> {
        let path = package.root.join(".dbtignore");
        if !world.exists(&path) {
            return Ok(Self { rules: Vec::new() });
        }
        let text = read_to_string(world, &path, ".dbtignore")?;
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            rules.extend(ignore_rules(line).map_err(|error| {
                let location = Location::new(".dbtignore", u32::try_from(index + 1).unwrap_or(u32::MAX), 1);
                Box::new(Diagnostic::error("dbtignore", format!("this pattern is not valid: {}", error.kind())).at(location))
            })?);
        }
        Ok(Self { rules })
    }

    fn contains(&self, original: &str) -> bool {
        let deciding = self.rules.iter().rev().find(|(matcher, _)| matcher.is_match(original));
        deciding.is_some_and(|(_, ignores)| *ignores)
    }
}

/// The globs of one line: the file or folder itself, and all below it.
fn ignore_rules(line: &str) -> Result<Vec<(GlobMatcher, bool)>, globset::Error> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Vec::new());
    }
    let (pattern, ignores) = line.strip_prefix('!').map_or((line, true), |rest| (rest, false));
    let (pattern, folder_only) = pattern.strip_suffix('/').map_or((pattern, false), |rest| (rest, true));
    let base = if pattern.contains('/') { pattern.trim_start_matches('/').to_string() } else { format!("**/{pattern}") };
    let mut globs = vec![format!("{base}/**")];
    if !folder_only {
        globs.push(base);
    }
    globs
        .iter()
        .map(|glob| {
            let glob = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build()?;
            Ok((glob.compile_matcher(), ignores))
        })
        .collect()
}
