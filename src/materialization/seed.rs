//! `seed`: a CSV file of the project becomes a table.

use serde_json::Value as Json;

use super::{Input, Work, seed_file};
use crate::adapter::Operation;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Node;
use crate::name::RelationType;
use crate::source::Location;

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    let (node, relation) = (input.node, &input.compiled.relation);
    if input.state.existing == Some(RelationType::View) {
        return Diagnostic::error("seed-over-view", format!("Cannot seed to '{relation}', it is a view"))
            .at(Location::file(node.original_file_path.as_str()))
            .help("drop the view, or give the seed another `alias`")
            .fail();
    }
    Ok(Work::of(load(node)))
}

/// How a seed's file is read.
pub fn load(node: &Node) -> Operation {
    let types = node.config.get("column_types").and_then(Json::as_object);
    let column_types = types.into_iter().flatten().filter_map(|(name, kind)| Some((name.clone(), kind.as_str()?.to_string())));
    Operation::LoadSeed {
        relation: node.relation(),
        file: seed_file(node),
        delimiter: node.config_str("delimiter").and_then(|text| text.chars().next()).unwrap_or(','),
        column_types: column_types.collect(),
        quote_columns: node.config_bool("quote_columns").unwrap_or(false),
    }
}
