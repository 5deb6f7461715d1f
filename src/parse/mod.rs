//! From a loaded project to its parsed resources: every file is read, macros and docs blocks are cut out, and every template
//! is scanned or rendered once to learn what it refers to.
//!
//! Nothing is resolved here: references, config calls and macro calls are captured as written. [`resolve`](crate::resolve)
//! gives them their meaning.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::Jinja;
use crate::manifest::{Checksum, Doc, JsonMap, Macro, RefArgs};
use crate::name::{ResourceType, UniqueId};
use crate::project::{Package, Project};
use crate::source::Location;
use crate::world::World;

pub(crate) mod config_calls;
mod files;
mod literal;
mod macros;
mod property;
mod python;
pub(crate) mod python_text;
mod scope;
mod template;
mod unrendered;
mod vars;

pub use crate::jinja::value_of;
pub(crate) use files::hex;
pub use files::{Loaded, LoadedFile, read_all};
pub use literal::{LiteralCall, literal_call};
pub use macros::{MacroLookup, collect_docs, collect_macros, macro_sources};
pub(crate) use macros::{built_in, seconds};
pub use property::{ParsedProperty, location_at, yaml_to_json};
pub use scope::{NodeIdentity, ParseScope};
pub(crate) use template::is_flag_set;
pub use template::{capture_text, parse_model};
pub use unrendered::unrendered_config;
pub use vars::{property_context, variable};

/// What one template says of its needs, in order of the calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capture {
    pub refs: Vec<RefArgs>,
    pub sources: Vec<[String; 2]>,
    /// `metric('name')` calls (exposures), as their arguments.
    pub metrics: Vec<Vec<String>>,
    /// `function('name')` calls, as their arguments.
    pub functions: Vec<Vec<String>>,
    /// All `config(…)` calls merged in order.
    pub config: JsonMap,
    /// The first `config(…)` call as written, for `unrendered_config`; empty if the template was not rendered.
    pub unrendered_config: JsonMap,
    /// Macros called directly by the template.
    pub macros: Vec<UniqueId>,
    /// Whether literal calls alone gave this, without rendering.
    pub is_static: bool,
}

/// A model, seed, snapshot, analysis, singular test or hook before config and references are resolved.
#[derive(Clone, Debug)]
pub struct ParsedNode {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    pub name: String,
    pub package: Arc<Package>,
    /// Below its resource path, as dbt's artifacts have it.
    pub path: String,
    /// Below the package's root.
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub checksum: Checksum,
    pub raw_code: String,
    /// `sql` or `python`.
    pub language: &'static str,
    /// Tags it has before any config: a hook's kind.
    pub tags: Vec<String>,
    /// Hooks: the place in their list.
    pub hook_index: Option<usize>,
    pub capture: Capture,
    pub location: Location,
}

/// The project's files as typed resources.
#[derive(Debug, Default)]
pub struct ParsedProject {
    pub macros: IndexMap<UniqueId, Macro>,
    pub docs: IndexMap<UniqueId, Doc>,
    /// Models, snapshots, analyses, singular tests, seeds and hooks, in dbt's order.
    pub nodes: Vec<ParsedNode>,
    /// Entries of property files, in file order.
    pub properties: Vec<ParsedProperty>,
    /// Unit test fixtures: `package.name` to the file's text and whether it is SQL.
    pub fixtures: IndexMap<String, Fixture>,
}

/// A file below `tests/fixtures`.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub text: String,
    pub is_sql: bool,
}

/// Parses everything that was read. Mistakes in one file do not stop the others.
pub fn parse(mut loaded: Loaded, project: &Project, jinja: &Jinja, world: &dyn World) -> (ParsedProject, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut parsed = ParsedProject { macros: std::mem::take(&mut loaded.macros), ..ParsedProject::default() };
    macros::link_macros(&mut parsed.macros, jinja);
    collect_docs(&loaded, jinja, project, &mut parsed.docs, &mut diagnostics);
    parsed.nodes = template::parse_nodes(&loaded, project, jinja, world, &mut diagnostics);
    parsed.properties = property::parse_properties(&loaded, project, world, &mut diagnostics);
    for file in loaded.fixtures {
        let key = format!("{}.{}", file.file.package.name, files::stem(&file.file.relative));
        let is_sql = file.file.relative.ends_with(".sql");
        parsed.fixtures.insert(key, Fixture { text: file.text, is_sql });
    }
    (parsed, diagnostics)
}

/// md5 as lower-case hex.
pub(crate) fn md5_hex(text: &str) -> String {
    use md5::Digest as _;
    hex(&md5::Md5::digest(text.as_bytes()))
}

/// Puts an outcome's error among the diagnostics.
pub(crate) fn keep<T>(outcome: Outcome<T>, diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}
