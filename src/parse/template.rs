//! Models, snapshots, analyses, singular tests, seeds and hooks: their names, and what their templates refer to.

use std::sync::Arc;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::blocks::{self, BlockKind};
use crate::jinja::{Jinja, StaticCalls, TemplateText};
use crate::manifest::Checksum;
use crate::name::{Relation, ResourceType, UniqueId};
use crate::project::{FileKind, Package, Project, ProjectFile};
use crate::source::Location;
use crate::world::World;

use super::files::{folders, in_parallel, normalized_checksum, stem};
use super::{Capture, Loaded, LoadedFile, NodeIdentity, ParseScope, ParsedNode, python};

/// All nodes, package by package, each package in dbt's order: models, snapshots, analyses, tests, seeds, functions, hooks.
pub(super) fn parse_nodes(
    loaded: &Loaded,
    project: &Project,
    jinja: &Jinja,
    world: &dyn World,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<ParsedNode> {
    let mut nodes = Vec::new();
    for package in &project.packages {
        let is_own = |file: &&LoadedFile| file.file.package.name == package.name;
        nodes.extend(loaded.models.iter().filter(is_own).map(model));
        for file in loaded.snapshots.iter().filter(is_own) {
            nodes.extend(snapshots(file, diagnostics));
        }
        let corrected = is_flag_set(project, "require_corrected_analysis_fqns");
        nodes.extend(loaded.analyses.iter().filter(is_own).map(|file| analysis(file, corrected)));
        nodes.extend(loaded.tests.iter().filter(is_own).map(singular_test));
        nodes.extend(loaded.seeds.iter().filter(is_own).map(seed));
        nodes.extend(loaded.functions.iter().filter(is_own).map(function));
        nodes.extend(hooks(package, world));
    }
    let shared = Arc::new(project.clone());
    let captures = in_parallel(&nodes, |node| capture(node, jinja, &shared));
    for (node, outcome) in nodes.iter_mut().zip(captures) {
        match outcome {
            Ok(capture) => node.capture = capture,
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    nodes
}

pub(crate) fn is_flag_set(project: &Project, name: &str) -> bool {
    project.flags.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false)
}

fn capture(node: &ParsedNode, jinja: &Jinja, project: &Arc<Project>) -> Outcome<Capture> {
    if node.resource_type == ResourceType::Seed {
        return Ok(Capture::default());
    }
    if node.language == "python" {
        return Ok(python::capture(&node.raw_code));
    }
    let text = TemplateText { name: node.unique_id.to_string(), source: node.raw_code.clone(), location: node.location.clone() };
    if let Some(calls) = jinja.static_calls(&text) {
        return Ok(static_capture(node, calls));
    }
    capture_text(&text, jinja, ParseScope::new(project.clone(), identity(node, project)))
}

/// One SQL model of this text, with what it asks for.
pub fn parse_model(file: &Arc<ProjectFile>, text: &str, project: &Arc<Project>, jinja: &Jinja) -> Outcome<ParsedNode> {
    let loaded = LoadedFile { file: file.clone(), text: text.to_string(), checksum: normalized_checksum(text) };
    let mut node = model(&loaded);
    node.capture = capture(&node, jinja, project)?;
    Ok(node)
}

/// What literal calls say. dbt too reads models without rendering, but fewer of them, and what it records differs a little by
/// the way it took.
fn static_capture(node: &ParsedNode, calls: StaticCalls) -> Capture {
    let plain = calls.config.iter().all(|(key, value)| !matches!(key.as_str(), "pre_hook" | "post_hook") && is_plain(value));
    let trimmed = node.raw_code.contains("{{-") || node.raw_code.contains("-}}");
    let is_static = node.resource_type == ResourceType::Model && plain && !trimmed && !has_lower_case_booleans(&node.raw_code);
    let mut capture = Capture { refs: calls.refs, is_static, ..Capture::default() };
    for source in calls.sources {
        if !is_static || !capture.sources.contains(&source) {
            capture.sources.push(source);
        }
    }
    let has_config = !calls.config.is_empty();
    super::config_calls::merge_calls(&mut capture.config, calls.config);
    if has_config && !is_static {
        capture.unrendered_config = super::unrendered_config(&node.raw_code);
    }
    capture
}

/// dbt's static reader knows `True` and `False`, not `true` and `false`.
fn has_lower_case_booleans(source: &str) -> bool {
    (source.contains("true") || source.contains("false"))
        && tokenize(source, false, SyntaxConfig::default())
            .map_while(Result::ok)
            .any(|(token, _)| matches!(token, Token::Ident("true" | "false")))
}

/// A config value that dbt's own static reader knows: text, booleans, and lists and mappings of them.
fn is_plain(value: &Json) -> bool {
    match value {
        Json::String(_) | Json::Bool(_) => true,
        Json::Array(items) => items.iter().all(is_plain),
        Json::Object(map) => map.values().all(is_plain),
        _ => false,
    }
}

/// Renders a template in a parsing scope and gives what it called.
pub fn capture_text(text: &TemplateText, jinja: &Jinja, scope: ParseScope) -> Outcome<Capture> {
    let scope = Arc::new(scope);
    jinja.render(text, scope.clone())?;
    Ok(scope.take())
}

fn identity(node: &ParsedNode, project: &Project) -> NodeIdentity {
    let target = &project.target;
    NodeIdentity {
        unique_id: node.unique_id.clone(),
        resource_type: node.resource_type,
        name: node.name.clone(),
        package: node.package.name.clone(),
        path: node.path.clone(),
        original_file_path: node.original_file_path.clone(),
        fqn: node.fqn.clone(),
        raw_code: node.raw_code.clone(),
        relation: Relation::new(Some(&target.database), Some(&target.schema), &node.name),
    }
}

/// A file's one node, with the parts every kind shares.
fn from_file(file: &LoadedFile, resource_type: ResourceType, path: String) -> ParsedNode {
    let package = &file.file.package;
    let name = stem(&path).to_string();
    let folder_names = folders(&path).map(String::from);
    let fqn = std::iter::once(package.name.clone()).chain(folder_names).chain([name.clone()]).collect();
    ParsedNode {
        unique_id: UniqueId::from(format!("{resource_type}.{}.{name}", package.name)),
        resource_type,
        name,
        package: package.clone(),
        path,
        original_file_path: file.file.original.to_string(),
        fqn,
        checksum: file.checksum.clone(),
        raw_code: file.text.clone(),
        language: "sql",
        tags: Vec::new(),
        hook_index: None,
        capture: Capture::default(),
        location: Location::new(file.file.shown.clone(), 1, 1),
    }
}

fn model(file: &LoadedFile) -> ParsedNode {
    let language = if file.file.kind == FileKind::Python { "python" } else { "sql" };
    ParsedNode { language, ..from_file(file, ResourceType::Model, file.file.relative.to_string()) }
}

fn seed(file: &LoadedFile) -> ParsedNode {
    from_file(file, ResourceType::Seed, file.file.relative.to_string())
}

fn function(file: &LoadedFile) -> ParsedNode {
    from_file(file, ResourceType::Function, file.file.relative.to_string())
}

fn singular_test(file: &LoadedFile) -> ParsedNode {
    let folder = file.file.relative.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    let path = format!("{folder}{}.sql", stem(&file.file.relative));
    from_file(file, ResourceType::Test, path)
}

fn analysis(file: &LoadedFile, corrected: bool) -> ParsedNode {
    let prefix = if corrected { "" } else { "analysis/" };
    from_file(file, ResourceType::Analysis, format!("{prefix}{}", file.file.relative))
}

/// A snapshot file holds any number of `{% snapshot %}` blocks; the file's name is part of the fqn.
fn snapshots(file: &LoadedFile, diagnostics: &mut Vec<Diagnostic>) -> Vec<ParsedNode> {
    let Some((blocks, strays)) = super::keep(blocks::extract(&file.text, &file.file.shown), diagnostics) else {
        return Vec::new();
    };
    diagnostics.extend(strays);
    let node = |block: blocks::Block| {
        let base = from_file(file, ResourceType::Snapshot, file.file.relative.to_string());
        let mut fqn = base.fqn.clone();
        fqn.push(block.name.clone());
        ParsedNode {
            unique_id: UniqueId::from(format!("snapshot.{}.{}", base.package.name, block.name)),
            name: block.name,
            raw_code: block.contents,
            location: block.contents_location,
            fqn,
            ..base
        }
    };
    blocks.into_iter().filter(|block| block.kind == BlockKind::Snapshot).map(node).collect()
}

fn hooks(package: &Arc<Package>, world: &dyn World) -> Vec<ParsedNode> {
    if package.on_run_start.is_empty() && package.on_run_end.is_empty() {
        return Vec::new();
    }
    let file = world.read(&package.root.join("dbt_project.yml")).unwrap_or_default();
    let checksum = normalized_checksum(&String::from_utf8_lossy(&file));
    let kinds = [("on-run-start", &package.on_run_start), ("on-run-end", &package.on_run_end)];
    kinds
        .into_iter()
        .flat_map(|(kind, codes)| codes.iter().enumerate().map(move |(index, code)| (kind, index, code)))
        .map(|(kind, index, code)| hook(package, kind, index, code, &checksum))
        .collect()
}

fn hook(package: &Arc<Package>, kind: &str, index: usize, code: &str, checksum: &Checksum) -> ParsedNode {
    let name = format!("{}-{kind}-{index}", package.name);
    ParsedNode {
        unique_id: UniqueId::from(format!("operation.{}.{name}", package.name)),
        resource_type: ResourceType::Operation,
        package: package.clone(),
        path: format!("hooks/{name}.sql"),
        original_file_path: "./dbt_project.yml".to_string(),
        fqn: vec![package.name.clone(), "hooks".to_string(), name.clone()],
        name,
        checksum: checksum.clone(),
        raw_code: code.to_string(),
        language: "sql",
        tags: vec![kind.to_string()],
        hook_index: Some(index),
        capture: Capture::default(),
        location: Location::file("dbt_project.yml"),
    }
}
