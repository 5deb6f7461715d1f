//! A model whose text changed, but nothing of what it asks for: only its text is exchanged.

use std::sync::Arc;

use super::Index;
use crate::jinja::Jinja;
use crate::manifest::Manifest;
use crate::name::ResourceType;
use crate::parse;
use crate::project::{FileKind, Project, ProjectFile, read_text};
use crate::world::World;

/// Where a model is exchanged.
pub struct Place<'a> {
    pub world: &'a dyn World,
    pub project: &'a Arc<Project>,
    pub jinja: &'a Jinja,
    pub index: &'a Index,
}

/// Puts a changed model's text into the manifest; none if more than its text may have changed.
pub fn exchange(place: &Place<'_>, file: &Arc<ProjectFile>, manifest: &mut Manifest) -> Option<()> {
    if file.kind != FileKind::Model || place.index.warnings.iter().any(|warning| speaks_of(warning, file)) {
        return None;
    }
    let is_of_file = |package: &str, path: &str| package == file.package.name && *path == *file.original;
    let disabled = manifest.disabled_nodes.values().flatten();
    if disabled.into_iter().any(|node| is_of_file(&node.package_name, &node.original_file_path)) {
        return None;
    }
    // A project's own macros may look at a node's text when they name it.
    let own = |name: &str| place.project.package(name).is_some();
    let looks = |text: &str| text.contains("raw_code") || text.contains("raw_sql") || text.contains("checksum");
    if manifest.macros.values().any(|found| own(&found.package_name) && looks(&found.macro_sql)) {
        return None;
    }
    let mut nodes = manifest.nodes.values_mut().filter(|node| is_of_file(&node.package_name, &node.original_file_path));
    let node = nodes.next().filter(|node| node.resource_type == ResourceType::Model && node.language == "sql")?;
    if nodes.next().is_some() {
        return None;
    }
    let text = read_text(place.world, file).ok()?;
    let old = parse::parse_model(file, &node.raw_code, place.project, place.jinja).ok()?;
    let new = parse::parse_model(file, text.trim(), place.project, place.jinja).ok()?;
    if old.capture != new.capture {
        return None;
    }
    node.raw_code = new.raw_code;
    node.checksum = new.checksum;
    node.created_at = parse::seconds(place.world);
    Some(())
}

fn speaks_of(warning: &super::Warning, file: &ProjectFile) -> bool {
    warning.location.as_ref().is_none_or(|location| *location.path == *file.shown)
}
