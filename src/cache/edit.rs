//! Models whose text changed, but nothing of what they ask for: only their text is exchanged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Index;
use super::files::Changed;
use crate::jinja::Jinja;
use crate::manifest::{Manifest, Node};
use crate::name::{ResourceType, UniqueId};
use crate::parse;
use crate::project::{FileKind, Project, ProjectFile, read_text};
use crate::world::World;

/// Where models are exchanged.
pub struct Place<'a> {
    pub world: &'a dyn World,
    pub project: &'a Arc<Project>,
    pub jinja: &'a Jinja,
    pub index: &'a Index,
}

/// A file as nodes name it: package and path.
type Path = (String, String);

/// Puts the text of changed models into the manifest; none if more than their text may have changed.
pub fn exchange(place: &Place<'_>, changed: &[Changed], manifest: &mut Manifest) -> Option<()> {
    // A project's own macros may look at a node's text when they name it.
    let own = |name: &str| place.project.package(name).is_some();
    let looks = |text: &str| text.contains("raw_code") || text.contains("raw_sql") || text.contains("checksum");
    if manifest.macros.values().any(|found| own(&found.package_name) && looks(&found.macro_sql)) {
        return None;
    }
    let models = models_of(changed.iter().map(|changed| &*changed.file), manifest)?;
    for Changed { file, .. } in changed {
        if place.index.warnings.iter().any(|warning| speaks_of(warning, file)) {
            return None;
        }
        let node = models.get(&path_of(file)).and_then(|id| manifest.nodes.get_mut(id))?;
        exchange_text(place, file, node)?;
    }
    Some(())
}

/// The one SQL model of each file; none if a file holds something else.
pub fn models_of<'a>(files: impl Iterator<Item = &'a ProjectFile>, manifest: &Manifest) -> Option<HashMap<Path, UniqueId>> {
    let mut wanted = HashSet::new();
    for file in files {
        if file.kind != FileKind::Model {
            return None;
        }
        wanted.insert((file.package.name.as_str(), &*file.original));
    }
    let is_wanted = |node: &Node| wanted.contains(&(node.package_name.as_str(), node.original_file_path.as_str()));
    if manifest.disabled_nodes.values().flatten().any(&is_wanted) {
        return None;
    }
    let mut models = HashMap::new();
    for node in manifest.nodes.values().filter(|node| is_wanted(node)) {
        let path = (node.package_name.clone(), node.original_file_path.clone());
        let sql = node.resource_type == ResourceType::Model && node.language == "sql";
        if !sql || models.insert(path, node.unique_id.clone()).is_some() {
            return None;
        }
    }
    Some(models)
}

pub fn path_of(file: &ProjectFile) -> Path {
    (file.package.name.clone(), file.original.to_string())
}

fn exchange_text(place: &Place<'_>, file: &Arc<ProjectFile>, node: &mut Node) -> Option<()> {
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
