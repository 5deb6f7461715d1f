//! Macro and docs blocks: cutting them out of their files, and which macros call which.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use serde_json::{Value as Json, json};

use crate::diagnostic::Diagnostic;
use crate::jinja::blocks::{self, BlockKind};
use crate::jinja::{Jinja, MacroSource, TemplateText};
use crate::manifest::{DependsOn, Doc, DocsConfig, JsonMap, Macro};
use crate::name::{Relation, ResourceType, UniqueId};
use crate::project::{FileKind, Project};
use crate::world::World;

use super::unrendered::split_arguments;
use super::{Loaded, LoadedFile, NodeIdentity, ParseScope};

/// Finds macros by name as dbt does: the caller's own package, then the root project, other packages, built-in ones.
#[derive(Debug, Default)]
pub struct MacroLookup {
    by_package: HashMap<String, HashMap<String, UniqueId>>,
    by_name: HashMap<String, UniqueId>,
    /// Names of generic tests, for suggestions.
    tests: Vec<String>,
}

impl MacroLookup {
    pub fn new(project: &Project, macros: &IndexMap<UniqueId, Macro>) -> Self {
        let mut lookup = Self::default();
        let rank = |package: &str| match package {
            name if name == project.name => 2,
            name if project.packages.iter().any(|other| other.name == name) => 1,
            _ => 0,
        };
        let mut ordered: Vec<&Macro> = macros.values().collect();
        ordered.sort_by_key(|found| rank(&found.package_name));
        for found in ordered {
            let id = found.unique_id.clone();
            lookup.by_package.entry(found.package_name.clone()).or_default().insert(found.name.clone(), id.clone());
            lookup.by_name.insert(found.name.clone(), id);
            if let Some(test) = found.name.strip_prefix("test_") {
                lookup.tests.push(test.to_string());
            }
        }
        lookup
    }

    /// The macro `name` as seen from `package`.
    pub fn find(&self, package: &str, name: &str) -> Option<&UniqueId> {
        self.in_package(package, name).or_else(|| self.by_name.get(name))
    }

    /// The macro `name` of exactly this package.
    pub fn in_package(&self, package: &str, name: &str) -> Option<&UniqueId> {
        self.by_package.get(package)?.get(name)
    }

    pub fn test_names(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().map(String::as_str)
    }
}

/// Takes the macros of one file. Files of generic tests give only their test blocks.
pub fn collect_macros(
    file: &LoadedFile,
    world: &dyn World,
    macros: &mut IndexMap<UniqueId, Macro>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let only_tests = file.file.kind == FileKind::GenericTest;
    let Some((found, strays)) = super::keep(blocks::extract(&file.text, &file.file.shown), diagnostics) else { return };
    diagnostics.extend(strays);
    for block in found {
        let wanted = match block.kind {
            BlockKind::Test => true,
            BlockKind::Macro | BlockKind::Materialization => !only_tests,
            BlockKind::Docs | BlockKind::Snapshot => false,
        };
        if !wanted {
            continue;
        }
        let package = &file.file.package.name;
        let unique_id = UniqueId::from(format!("macro.{package}.{}", block.name));
        let is_materialization = block.kind == BlockKind::Materialization;
        let found = Macro {
            unique_id: unique_id.clone(),
            path: file.file.original.to_string(),
            original_file_path: file.file.original.to_string(),
            arguments: if only_tests { Vec::new() } else { arguments(&block.source, is_materialization) },
            supported_languages: is_materialization.then(|| supported_languages(&block.source)),
            created_at: seconds(world),
            location: block.location.clone(),
            ..empty_macro(unique_id.clone(), &block.name, package, &block.source, block.location)
        };
        if let Some(other) = macros.get(&unique_id) {
            diagnostics.push(duplicate_macro(&found, other));
            continue;
        }
        macros.insert(unique_id, found);
    }
}

fn empty_macro(unique_id: UniqueId, name: &str, package: &str, source: &str, location: crate::source::Location) -> Macro {
    Macro {
        unique_id,
        name: name.to_string(),
        package_name: package.to_string(),
        path: location.path.to_string(),
        original_file_path: location.path.to_string(),
        macro_sql: source.to_string(),
        depends_on: DependsOn::default(),
        description: String::new(),
        meta: JsonMap::new(),
        docs: DocsConfig::default(),
        patch_path: None,
        arguments: Vec::new(),
        supported_languages: None,
        created_at: 0.0,
        location,
    }
}

fn duplicate_macro(found: &Macro, other: &Macro) -> Diagnostic {
    let message = format!("two macros are named `{}` in package `{}`", found.name, found.package_name);
    Diagnostic::error("duplicate-macro", message)
        .at(found.location.clone())
        .help(format!("the other one is at {}; rename or remove one of them", other.location))
}

pub(crate) fn seconds(world: &dyn World) -> f64 {
    let micros = world.now().timestamp_micros();
    // A time in microseconds fits a double's 53 bits until the year 2255.
    micros as f64 / 1_000_000.0
}

/// A built-in macro as the manifest holds it.
pub(crate) fn built_in(source: &MacroSource, world: &dyn World) -> Macro {
    let id = source.unique_id.clone();
    let is_materialization = source.name.starts_with("materialization_");
    Macro {
        arguments: arguments(&source.source, is_materialization),
        supported_languages: is_materialization.then(|| supported_languages(&source.source)),
        created_at: seconds(world),
        ..empty_macro(id, &source.name, &source.package, &source.source, source.location.clone())
    }
}

/// The project's macros in the template engine's form.
pub fn macro_sources(macros: &IndexMap<UniqueId, Macro>) -> Vec<MacroSource> {
    let source = |found: &Macro| MacroSource {
        unique_id: found.unique_id.clone(),
        name: found.name.clone(),
        package: found.package_name.clone(),
        source: found.macro_sql.clone(),
        location: found.location.clone(),
    };
    macros.values().map(source).collect()
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    tokenize(source, false, SyntaxConfig::default()).map_while(Result::ok).map(|(token, _)| token).collect()
}

/// The parameter names of a macro block, as dbt lists them: name, no type, no description.
fn arguments(source: &str, is_materialization: bool) -> Vec<Json> {
    let argument = |name: &str| json!({"name": name, "type": null, "description": ""});
    if is_materialization {
        return vec![argument("supported_languages")];
    }
    let tokens = tokens(source);
    let Some(open) = tokens.iter().position(|token| matches!(token, Token::ParenOpen)) else { return Vec::new() };
    let names = split_arguments(&tokens[open + 1..]).into_iter().filter_map(|tokens| match tokens.first() {
        Some(Token::Ident(name)) => Some(argument(name)),
        _ => None,
    });
    names.collect()
}

/// `supported_languages=['sql', 'python']` of a materialization; `sql` where it says nothing.
fn supported_languages(source: &str) -> Vec<String> {
    let mut languages = Vec::new();
    let mut inside = false;
    for token in tokens(source) {
        match token {
            Token::Ident("supported_languages") => inside = true,
            Token::Str(text) if inside => languages.push(text.to_string()),
            Token::BlockEnd => break,
            Token::BracketClose if inside => break,
            _ => {}
        }
    }
    if languages.is_empty() { vec!["sql".to_string()] } else { languages }
}

/// Fills `depends_on.macros` of every macro from the calls its text holds.
pub(super) fn link_macros(macros: &mut IndexMap<UniqueId, Macro>, jinja: &Jinja) {
    for found in macros.values_mut() {
        found.depends_on.macros = jinja.macro_dependencies(&found.unique_id);
    }
}

/// Takes the docs blocks of all packages.
pub fn collect_docs(
    loaded: &Loaded,
    jinja: &Jinja,
    project: &Project,
    docs: &mut IndexMap<UniqueId, Doc>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let shared = Arc::new(project.clone());
    let mut places: BTreeMap<UniqueId, String> = BTreeMap::new();
    for file in &loaded.docs {
        let Some((found, strays)) = super::keep(blocks::extract(&file.text, &file.file.shown), diagnostics) else { continue };
        diagnostics.extend(strays);
        for block in found.into_iter().filter(|block| block.kind == BlockKind::Docs) {
            let package = &file.file.package.name;
            let unique_id = UniqueId::from(format!("doc.{package}.{}", block.name));
            if let Some(place) = places.insert(unique_id.clone(), block.location.to_string()) {
                let message = format!("two docs blocks are named `{}` in package `{package}`", block.name);
                let help = format!("the other one is at {place}");
                diagnostics.push(Diagnostic::error("duplicate-doc", message).at(block.location).help(help));
                continue;
            }
            let contents = doc_text(&block, jinja, &shared, package, diagnostics);
            let doc = Doc {
                name: block.name.clone(),
                resource_type: "doc".to_string(),
                package_name: package.clone(),
                path: file.file.relative.to_string(),
                original_file_path: file.file.original.to_string(),
                unique_id: unique_id.clone(),
                block_contents: contents,
            };
            docs.insert(unique_id, doc);
        }
    }
}

fn doc_text(
    block: &blocks::Block,
    jinja: &Jinja,
    project: &Arc<Project>,
    package: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> String {
    if !block.contents.contains("{{") && !block.contents.contains("{%") && !block.contents.contains("{#") {
        return block.contents.trim().to_string();
    }
    let identity = NodeIdentity {
        unique_id: UniqueId::from(format!("doc.{package}.{}", block.name)),
        resource_type: ResourceType::Doc,
        name: block.name.clone(),
        package: package.to_string(),
        path: block.location.path.to_string(),
        original_file_path: block.location.path.to_string(),
        fqn: Vec::new(),
        raw_code: String::new(),
        relation: Relation::new(None, None, &block.name),
    };
    let text =
        TemplateText { name: block.name.clone(), source: block.contents.clone(), location: block.contents_location.clone() };
    let rendered = jinja.render(&text, Arc::new(ParseScope::new(project.clone(), identity)));
    super::keep(rendered, diagnostics).unwrap_or_else(|| block.contents.clone()).trim().to_string()
}
