//! `column_lineage.json`: where each column of each node comes from. An artifact of our own; readers of dbt's artifacts, many of
//! which take no key they do not know, find the lineage of documented columns with the columns in `manifest.json` too.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::{ArtifactMetadata, Header};
use crate::manifest::{Manifest, NodeLineage};
use crate::name::UniqueId;

#[derive(Serialize)]
struct ColumnLineageFile<'a> {
    metadata: Header<'a>,
    nodes: BTreeMap<&'a UniqueId, &'a NodeLineage>,
    /// Exposures and the nodes they show: all columns of those.
    exposures: BTreeMap<&'a UniqueId, &'a [UniqueId]>,
}

/// Writes `column_lineage.json` to `path`, all or nothing.
pub fn write_column_lineage(path: &Path, manifest: &Manifest, metadata: &ArtifactMetadata) -> io::Result<()> {
    let mut header = metadata.header("column_lineage", 1);
    header.dbt_schema_version = "headwater/column_lineage/v1".to_string();
    let nodes = manifest.nodes.iter().filter_map(|(id, node)| Some((id, node.lineage.as_deref()?))).collect();
    let exposures = manifest.exposures.iter().map(|(id, exposure)| (id, exposure.depends_on.nodes.as_slice())).collect();
    super::write_json(path, &ColumnLineageFile { metadata: header, nodes, exposures })
}
