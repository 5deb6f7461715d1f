//! Holds the code to `docs/architecture.md`: who imports whom, what stands at a door, how long a function may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod code;

/// Longest functions: nine in ten at most this many lines, and all at most that many.
const P90_LINES: usize = 30;
const MOST_LINES: usize = 80;
/// The two wings, which do not know each other.
const COMPILER_WING: [&str; 7] = ["project", "jinja", "manifest", "parse", "resolve", "graph", "plan"];
const ENGINE_WING: [&str; 3] = ["sql", "lake", "adapter"];
/// Folders whose files are peers.
const PEER_FOLDERS: [&str; 2] = ["cli/command", "graph/method"];

/// One file below `src/`, comments and literals blanked.
struct File {
    /// Such as `graph/method/tag.rs`.
    path: PathBuf,
    text: String,
    code: String,
}

impl File {
    /// The top module it belongs to; nothing for `lib.rs` and the program.
    fn module(&self) -> Option<String> {
        let first = self.path.iter().next()?.to_string_lossy().into_owned();
        match first.strip_suffix(".rs").unwrap_or(&first) {
            "lib" | "main" | "cli" => None,
            module => Some(module.to_string()),
        }
    }

    fn is_door(&self) -> bool {
        self.path.ends_with("mod.rs") || self.path.components().count() == 1
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<File> {
    let source = root().join("src");
    let entries = walkdir::WalkDir::new(&source).sort_by_file_name().into_iter().flatten();
    let rust = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"));
    rust.map(|entry| {
        let text = std::fs::read_to_string(entry.path()).expect("the file was listed a moment ago");
        let path = entry.path().strip_prefix(&source).expect("the walk stays below src").to_path_buf();
        File { path, code: code::blanked(&text), text }
    })
    .collect()
}

/// The page's table: module to what it may import.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the page is part of the repository");
    let rows = page.lines().skip_while(|line| !line.starts_with("| module |")).skip(2).take_while(|line| line.starts_with('|'));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<BTreeSet<String>>();
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "a row of the import table has three cells: {row}");
        (quoted(cells[0]).into_iter().next().expect("the first cell names a module"), quoted(cells[2]))
    })
    .collect()
}

/// Every import of a top module by another, with the first file that has it.
fn edges(files: &[File]) -> BTreeMap<(String, String), PathBuf> {
    let modules: BTreeSet<String> = files.iter().filter_map(File::module).collect();
    let mut edges = BTreeMap::new();
    for file in files {
        let Some(from) = file.module() else { continue };
        for path in code::paths(&file.code, "crate") {
            let to = path.split("::").next().unwrap_or_default().to_string();
            if to != from && modules.contains(&to) {
                edges.entry((from.clone(), to)).or_insert_with(|| file.path.clone());
            }
        }
    }
    edges
}

#[test]
fn imports_are_those_of_the_page() {
    let (table, files) = (table(), files());
    let strays: Vec<String> = edges(&files)
        .into_iter()
        .filter(|((from, to), _)| table.get(from).is_none_or(|allowed| !allowed.contains(to)))
        .map(|((from, to), file)| format!("`{from}` imports `{to}` in src/{}", file.display()))
        .collect();
    assert!(strays.is_empty(), "docs/architecture.md does not allow:\n{}", strays.join("\n"));
}

#[test]
fn page_and_modules_agree() {
    let table = table();
    let modules: BTreeSet<String> = files().iter().filter_map(File::module).collect();
    let rows: BTreeSet<String> = table.keys().cloned().collect();
    let without_row: Vec<_> = modules.difference(&rows).collect();
    let without_module: Vec<_> = rows.difference(&modules).collect();
    assert!(without_row.is_empty(), "modules without a row in docs/architecture.md: {without_row:?}");
    assert!(without_module.is_empty(), "rows of docs/architecture.md without a module: {without_module:?}");
    for (module, allowed) in &table {
        let unknown: Vec<_> = allowed.difference(&rows).collect();
        assert!(unknown.is_empty(), "the row of `{module}` names modules that have no row: {unknown:?}");
    }
}

#[test]
fn nothing_imports_in_circles() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    edges(&files()).into_keys().for_each(|(from, to)| {
        imports.entry(from).or_default().insert(to);
    });
    // Take away what imports nothing that is left, again and again; what cannot be taken away is a circle or stands on one.
    loop {
        let before = imports.len();
        let open: BTreeSet<String> = imports.keys().cloned().collect();
        imports.retain(|_, targets| targets.iter().any(|target| open.contains(target)));
        if imports.len() == before {
            break;
        }
    }
    assert!(imports.is_empty(), "modules import each other in circles: {imports:?}");
}

#[test]
fn the_wings_do_not_know_each_other() {
    for (from, to) in edges(&files()).into_keys() {
        let (from, to) = (from.as_str(), to.as_str());
        let across = (COMPILER_WING.contains(&from) && ENGINE_WING.contains(&to))
            || (ENGINE_WING.contains(&from) && COMPILER_WING.contains(&to));
        assert!(!across, "`{from}` imports `{to}`: they are on different wings");
    }
}

#[test]
fn peers_do_not_know_each_other() {
    let files = files();
    let mut folders: Vec<(&str, BTreeSet<String>)> =
        PEER_FOLDERS.iter().map(|folder| (*folder, peers(&files, folder, |_| true))).collect();
    folders.push(("adapter", peers(&files, "adapter", |file| file.code.contains("Adapter for "))));
    for (folder, peers) in folders {
        for file in files.iter().filter(|file| file.path.starts_with(folder)) {
            let Some(own) = peer_name(file, folder) else { continue };
            let full = folder.replace('/', "::");
            let named = code::paths(&file.code, "super").into_iter().chain(
                code::paths(&file.code, "crate")
                    .into_iter()
                    .filter_map(|path| Some(path.strip_prefix(&full)?.trim_matches(':').to_string())),
            );
            let others: Vec<String> =
                named.filter(|path| path.split("::").next().is_some_and(|name| name != own && peers.contains(name))).collect();
            assert!(!peers.contains(&own) || others.is_empty(), "src/{} imports its peers {others:?}", file.path.display());
        }
    }
}

/// The first part of a file's path below `folder`, without its ending; nothing for the folder's own door.
fn peer_name(file: &File, folder: &str) -> Option<String> {
    let name = file.path.strip_prefix(folder).ok()?.iter().next()?.to_string_lossy().into_owned();
    let name = name.strip_suffix(".rs").unwrap_or(&name);
    (name != "mod").then(|| name.to_string())
}

fn peers(files: &[File], folder: &str, is_peer: impl Fn(&File) -> bool) -> BTreeSet<String> {
    files.iter().filter(|file| is_peer(file)).filter_map(|file| peer_name(file, folder)).collect()
}

#[test]
fn doors_say_what_is_behind_them() {
    let silent: Vec<_> =
        files().into_iter().filter(|file| file.is_door() && !file.text.starts_with("//!")).map(|file| file.path).collect();
    assert!(silent.is_empty(), "files without a module doc: {silent:?}");
}

/// A macro that two files define is the one of whichever is read last.
#[test]
fn each_built_in_macro_is_defined_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let heads = regex::Regex::new(r"\{%-?\s*macro\s+(\w+)").unwrap();
    for entry in walkdir::WalkDir::new(root().join("templates/macros")).into_iter().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "sql") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for head in heads.captures_iter(&text) {
                places.entry(head[1].to_string()).or_default().push(entry.path().display().to_string());
            }
        }
    }
    assert!(places.len() > 200, "only {} macros were found", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "defined more than once: {twice:#?}");
}

#[test]
fn functions_are_short() {
    let mut lengths = Vec::new();
    let mut too_long = Vec::new();
    for file in files() {
        for function in code::functions(&file.code) {
            if function.lines > MOST_LINES {
                too_long.push(format!(
                    "src/{}:{} {} has {} lines",
                    file.path.display(),
                    function.line,
                    function.name,
                    function.lines
                ));
            }
            lengths.push(function.lines);
        }
    }
    assert!(too_long.is_empty(), "functions of more than {MOST_LINES} lines:\n{}", too_long.join("\n"));
    lengths.sort_unstable();
    let p90 = lengths[lengths.len() * 9 / 10];
    assert!(p90 <= P90_LINES, "one function in ten has {p90} lines or more, {P90_LINES} are the aim");
}

#[test]
fn the_reader_of_code_reads_code() {
    let text = r##"
use crate::{name::{A, B}, rows, r#type};
// crate::comment
fn one() { let s = "crate::text {"; let c = '{'; let r = r#"} " "#; let l: &'static str = s; }
trait T { fn declared(&self) -> [u8; 3]; }
fn two(x: crate::world::World)
where
    X: Y,
{
}
"##;
    let code = code::blanked(text);
    let mut paths = code::paths(&code, "crate");
    paths.sort();
    assert_eq!(paths, ["name::A", "name::B", "r", "rows", "world::World"]);
    let found: Vec<(String, usize, usize)> = code::functions(&code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("one".to_string(), 4, 1), ("two".to_string(), 6, 5)]);
}
