//! The macro table: which macro a name means from where, and what `adapter.dispatch` finds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};

use minijinja::Error;
use rust_embed::RustEmbed;

use super::blocks::{self, BlockKind};
use super::rewrite::{self, Rewritten, Signature};
use crate::name::UniqueId;
use crate::source::Location;

/// The package of headwater's own macros, under the name dbt's have.
pub(super) const BUILT_IN: &str = "dbt";

/// The embedded engine's type.
const EMBEDDED: &str = "datafusion";

/// The package whose macro of this name the engine's own stands for.
const EXTERNAL_TABLES: &str = "dbt_external_tables";
const STAGE: &str = "stage_external_sources";

/// A macro as found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct MacroSource {
    pub unique_id: UniqueId,
    /// As registered: `cents_to_dollars`, `test_unique`, `materialization_view_default`.
    pub name: String,
    pub package: String,
    /// The whole block.
    pub source: String,
    pub location: Location,
}

#[derive(RustEmbed)]
#[folder = "templates/macros"]
struct Templates;

/// The macros that come with headwater: package `dbt`, `macro.dbt.<name>`, in order of file and place.
pub fn builtin_macros() -> &'static [MacroSource] {
    static MACROS: LazyLock<Vec<MacroSource>> = LazyLock::new(|| {
        let mut files: Vec<_> = Templates::iter().collect();
        files.sort();
        files.iter().flat_map(|file| built_in_file(file)).collect()
    });
    &MACROS
}

fn built_in_file(file: &str) -> Vec<MacroSource> {
    let data = Templates::get(file).expect("rust-embed lists only files it holds").data;
    let text = std::str::from_utf8(&data).expect("built-in macros are UTF-8");
    let (blocks, _) = blocks::extract(text, &format!("macros/{file}")).expect("built-in macros are well formed");
    let blocks =
        blocks.into_iter().filter(|block| matches!(block.kind, BlockKind::Macro | BlockKind::Test | BlockKind::Materialization));
    blocks
        .map(|block| MacroSource {
            unique_id: UniqueId::new(format!("macro.{BUILT_IN}.{}", block.name)),
            name: block.name,
            package: BUILT_IN.to_string(),
            source: block.source,
            location: block.location,
        })
        .collect()
}

/// A macro ready to be called.
pub(super) struct Compiled {
    pub rewritten: Rewritten,
    pub signature: Signature,
}

pub(super) struct Entry {
    pub source: MacroSource,
    compiled: OnceLock<Result<Compiled, Error>>,
}

impl Entry {
    /// The macro as a template, made on first use. The error's place counts in the macro's own text.
    pub fn compiled(&self) -> Result<&Compiled, &Error> {
        self.compiled
            .get_or_init(|| {
                rewrite::macro_template(&self.source.source).map(|(rewritten, signature)| Compiled { rewritten, signature })
            })
            .as_ref()
    }
}

/// All macros of a run, by package and name. A macro's number is its place in the table.
pub(super) struct MacroTable {
    entries: Vec<Entry>,
    by_package: BTreeMap<String, HashMap<String, usize>>,
    by_id: HashMap<UniqueId, usize>,
    root: String,
    prefixes: Vec<String>,
    is_embedded: bool,
    dispatch: BTreeMap<String, Vec<String>>,
}

impl MacroTable {
    /// `macros` in any order; later ones of the same package and name win, built-in ones are added where missing.
    pub fn new(macros: Vec<MacroSource>, root: &str, engine: (&str, &str), dispatch: BTreeMap<String, Vec<String>>) -> Self {
        let mut table = Self {
            entries: Vec::with_capacity(macros.len()),
            by_package: BTreeMap::new(),
            by_id: HashMap::new(),
            root: root.to_string(),
            prefixes: prefixes(engine.0, engine.1),
            is_embedded: engine.1 == EMBEDDED,
            dispatch,
        };
        macros.into_iter().for_each(|source| table.add(source));
        for source in builtin_macros() {
            if !table.by_id.contains_key(&source.unique_id) {
                table.add(source.clone());
            }
        }
        table
    }

    fn add(&mut self, source: MacroSource) {
        let index = self.entries.len();
        self.by_package.entry(source.package.clone()).or_default().insert(source.name.clone(), index);
        self.by_id.insert(source.unique_id.clone(), index);
        self.entries.push(Entry { source, compiled: OnceLock::new() });
    }

    pub fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The prefixes that [`dispatch`](Self::dispatch) tries, in order.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    pub fn by_id(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id).map(|index| &self.entries[*index])
    }

    pub fn has_package(&self, package: &str) -> bool {
        (package == EXTERNAL_TABLES && self.is_embedded) || self.by_package.contains_key(package)
    }

    /// The macro `name` of one package; `dbt` stands for the built-in ones.
    pub fn in_package(&self, package: &str, name: &str) -> Option<usize> {
        // The embedded engine stages external tables itself, whether or not the package that other databases need is installed.
        let package = if (package, name) == (EXTERNAL_TABLES, STAGE) && self.is_embedded { BUILT_IN } else { package };
        self.by_package.get(package)?.get(name).copied()
    }

    /// What an unqualified name means for a node of `package`: its own package, the root project, the built-in macros.
    pub fn visible(&self, package: &str, name: &str) -> Option<usize> {
        self.in_package(package, name).or_else(|| self.in_package(&self.root, name)).or_else(|| self.in_package(BUILT_IN, name))
    }

    /// What a name means in a macro's text: in the package it is given with, the root project, any other package, the built-in
    /// macros.
    pub fn named(&self, package: &str, name: &str) -> Option<usize> {
        let others = || {
            let packages = self.by_package.iter().rev().filter(|(package, _)| package.as_str() != BUILT_IN);
            packages.filter_map(|(_, macros)| macros.get(name).copied()).next()
        };
        self.in_package(package, name)
            .or_else(|| self.in_package(&self.root, name))
            .or_else(others)
            .or_else(|| self.in_package(BUILT_IN, name))
    }

    /// The macro `name` of the first package, by the packages' names, that has one: what `run-operation` falls back to.
    pub fn anywhere(&self, name: &str) -> Option<usize> {
        self.by_package.values().find_map(|macros| macros.get(name).copied())
    }

    /// The macro that `adapter.dispatch(name, namespace)` finds, or the names it looked for.
    pub fn dispatch(&self, package: &str, name: &str, namespace: Option<&str>) -> Result<usize, Vec<String>> {
        let mut tried = Vec::new();
        for place in self.search_order(namespace) {
            for prefix in &self.prefixes {
                let candidate = format!("{prefix}__{name}");
                let found = match place {
                    None => self.visible(package, &candidate),
                    Some(place) => self.in_package(place, &candidate),
                };
                match found.filter(|index| !self.is_foreign(prefix, *index)) {
                    Some(index) => return Ok(index),
                    None => tried.push(place.map_or_else(|| candidate.clone(), |place| format!("{place}.{candidate}"))),
                }
            }
        }
        Err(tried)
    }

    /// A built-in macro written for another engine. A project's own macro for an engine whose SQL this one reads is welcome;
    /// those that come with headwater speak of that engine's catalog.
    fn is_foreign(&self, prefix: &str, index: usize) -> bool {
        self.is_embedded && prefix != EMBEDDED && prefix != "default" && self.entries[index].source.package == BUILT_IN
    }

    /// Packages to look in; none means "as an unqualified name".
    fn search_order<'a>(&'a self, namespace: Option<&'a str>) -> Vec<Option<&'a str>> {
        match namespace {
            None => vec![None],
            Some(namespace) => match self.dispatch.get(namespace) {
                Some(order) => order.iter().map(|package| Some(package.as_str())).collect(),
                None if self.has_package(namespace) => vec![Some(self.root.as_str()), Some(namespace)],
                None => vec![None],
            },
        }
    }

    /// Names of macros visible from `package`, for suggestions.
    pub fn visible_names<'a>(&'a self, package: &'a str) -> impl Iterator<Item = &'a str> {
        [package, self.root.as_str(), BUILT_IN]
            .into_iter()
            .filter_map(|package| self.by_package.get(package))
            .flat_map(|macros| macros.keys().map(String::as_str))
    }

    pub fn package_names(&self) -> impl Iterator<Item = &str> {
        self.by_package.keys().map(String::as_str)
    }

    pub fn names_in<'a>(&'a self, package: &str) -> impl Iterator<Item = &'a str> {
        self.by_package.get(package).into_iter().flat_map(|macros| macros.keys().map(String::as_str))
    }
}

/// Prefixes that `dispatch` tries: those of the adapter's name, of the engine behind it, of the dialects that reads, `default`.
fn prefixes(adapter_type: &str, engine: &str) -> Vec<String> {
    // The embedded engine reads the Postgres dialect and Redshift's additions to it.
    let parents: &[&str] = match engine {
        EMBEDDED => &["postgres", "redshift"],
        "redshift" => &["postgres"],
        _ => &[],
    };
    let all: indexmap::IndexSet<&str> =
        [adapter_type, engine].into_iter().chain(parents.iter().copied()).chain(["default"]).collect();
    all.into_iter().map(str::to_string).collect()
}
