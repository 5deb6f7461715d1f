//! Which resources two manifests of one project do not have in common.

use std::collections::HashSet;

use indexmap::IndexSet;

use crate::manifest::{Manifest, Node, OtherResource, Source};
use crate::name::UniqueId;
use crate::source::Location;

/// The nodes, sources and unit tests of `new` that `old` lacks or has otherwise, in the manifest's order; a node whose macros
/// changed, at whatever depth, counts too. Where in its file something stands does not.
pub fn edited(old: &Manifest, new: &Manifest) -> IndexSet<UniqueId> {
    let macros = edited_macros(old, new);
    let calls_edited = |ids: &[UniqueId]| ids.iter().any(|id| macros.contains(id));
    let mut edited = IndexSet::new();
    for (id, node) in &new.nodes {
        let same = old.nodes.get(id).is_some_and(|before| is_same_node(before, node));
        if !same || calls_edited(&node.depends_on.macros) {
            edited.insert(id.clone());
        }
    }
    for (id, source) in &new.sources {
        if !old.sources.get(id).is_some_and(|before| is_same_source(before, source)) {
            edited.insert(id.clone());
        }
    }
    for (id, test) in &new.unit_tests {
        if !old.unit_tests.get(id).is_some_and(|before| is_same_test(before, test)) {
            edited.insert(id.clone());
        }
    }
    edited
}

/// Macros that are new or changed, and those that call one of them.
fn edited_macros<'m>(old: &Manifest, new: &'m Manifest) -> HashSet<&'m UniqueId> {
    let differs = |id: &UniqueId, text: &str| old.macros.get(id).is_none_or(|before| before.macro_sql != text);
    let changed = new.macros.iter().filter(|(id, found)| differs(id, &found.macro_sql));
    let mut edited: HashSet<&UniqueId> = changed.map(|(id, _)| id).collect();
    // Each round goes one call further up; there are no more rounds than calls in a chain.
    while !edited.is_empty() {
        let before = edited.len();
        let callers = new.macros.iter().filter(|(_, found)| found.depends_on.macros.iter().any(|id| edited.contains(id)));
        let callers: Vec<&UniqueId> = callers.map(|(id, _)| id).collect();
        edited.extend(callers);
        if edited.len() == before {
            break;
        }
    }
    edited
}

fn nowhere() -> Location {
    Location::file("")
}

fn is_same_node(old: &Node, new: &Node) -> bool {
    let bare = |node: &Node| Node { created_at: 0.0, compiled: None, location: nowhere(), ..node.clone() };
    old.checksum == new.checksum && old.raw_code == new.raw_code && bare(old) == bare(new)
}

fn is_same_source(old: &Source, new: &Source) -> bool {
    let bare = |source: &Source| Source { created_at: 0.0, location: nowhere(), ..source.clone() };
    bare(old) == bare(new)
}

fn is_same_test(old: &OtherResource, new: &OtherResource) -> bool {
    let bare = |test: &OtherResource| {
        let mut bare = OtherResource { location: nowhere(), ..test.clone() };
        bare.json.shift_remove("created_at");
        bare
    };
    bare(old) == bare(new)
}
