//! `manifest.json`, schema v12: the resolved project with its lineage both ways.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use indexmap::IndexMap;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;

use super::{ArtifactMetadata, Header};
use crate::graph::{Dag, Direction, Member};
use crate::manifest::{Exposure, Manifest, Node, OtherResource, Source};
use crate::name::{ResourceType, UniqueId};

/// The file's content as a value; [`write_manifest`] streams the same without building it.
pub fn manifest_json(manifest: &Manifest, dag: &Dag, metadata: &ArtifactMetadata) -> Json {
    super::to_json(&ManifestFile { manifest, dag, metadata })
}

/// Writes `manifest.json` to `path`, all or nothing.
pub fn write_manifest(path: &Path, manifest: &Manifest, dag: &Dag, metadata: &ArtifactMetadata) -> io::Result<()> {
    super::write_json(path, &ManifestFile { manifest, dag, metadata })
}

/// Gives a written `manifest.json` the metadata of another invocation, and `nodes` in place of those of their ids, all or
/// nothing.
///
/// # Errors
/// `InvalidData` for a file that is not as [`write_manifest`] writes it, or has no such nodes.
pub fn renew_manifest(path: &Path, metadata: &ArtifactMetadata, nodes: &[Node]) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let other = || io::Error::new(io::ErrorKind::InvalidData, "not a manifest of ours");
    let rest = bytes.strip_prefix(br#"{"metadata":"#).ok_or_else(other)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<serde_json::Map<String, Json>>();
    let mut old = values.next().ok_or_else(other)??;
    let rest = &rest[values.byte_offset()..];
    let Json::Object(header) = super::to_json(&metadata.header("manifest", 12)) else { return Err(other()) };
    for (key, value) in header {
        *old.get_mut(&key).ok_or_else(other)? = value;
    }
    *old.get_mut("run_started_at").ok_or_else(other)? = super::timestamp(&metadata.invocation_started_at).into();
    let mut places = nodes.iter().map(|node| entry_of(rest, node)).collect::<io::Result<Vec<_>>>()?;
    places.sort_by_key(|(place, _)| place.start);
    super::replace(path, |file| {
        file.write_all(br#"{"metadata":"#)?;
        serde_json::to_writer(&mut *file, &old)?;
        let mut written = 0;
        for (place, node) in places {
            file.write_all(&rest[written..place.start])?;
            serde_json::to_writer(&mut *file, node)?;
            written = place.end;
        }
        file.write_all(&rest[written..])
    })
}

/// Where a node stands in the file's text. Its id in quotes, followed by an object that begins like a node, stands nowhere else:
/// in the text of another resource the quotes would be escaped.
fn entry_of<'n>(text: &[u8], node: &'n Node) -> io::Result<(Range<usize>, &'n Node)> {
    let key = format!("{}:", serde_json::to_string(&node.unique_id)?);
    let start = memchr::memmem::find(text, format!("{key}{{\"database\":").as_bytes());
    let other = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is not there", node.unique_id));
    let start = start.ok_or_else(other)? + key.len();
    let mut values = serde_json::Deserializer::from_slice(&text[start..]).into_iter::<serde::de::IgnoredAny>();
    values.next().ok_or_else(other)??;
    Ok((start..start + values.byte_offset(), node))
}

struct ManifestFile<'a> {
    manifest: &'a Manifest,
    dag: &'a Dag,
    metadata: &'a ArtifactMetadata,
}

impl Serialize for ManifestFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let manifest = self.manifest;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metadata", &Metadata::of(self))?;
        map.serialize_entry("nodes", &Nodes(manifest))?;
        map.serialize_entry("sources", &manifest.sources)?;
        map.serialize_entry("macros", &manifest.macros)?;
        map.serialize_entry("docs", &manifest.docs)?;
        map.serialize_entry("exposures", &manifest.exposures)?;
        map.serialize_entry("metrics", &entries(&manifest.metrics))?;
        map.serialize_entry("groups", &entries(&manifest.groups))?;
        map.serialize_entry("selectors", &manifest.selectors)?;
        map.serialize_entry("disabled", &disabled(manifest))?;
        map.serialize_entry("parent_map", &EdgeMap { file: self, direction: Direction::Parents })?;
        map.serialize_entry("child_map", &EdgeMap { file: self, direction: Direction::Children })?;
        map.serialize_entry("group_map", &group_map(manifest))?;
        map.serialize_entry("saved_queries", &entries(&manifest.saved_queries))?;
        map.serialize_entry("semantic_models", &entries(&manifest.semantic_models))?;
        map.serialize_entry("unit_tests", &entries(&manifest.unit_tests))?;
        map.serialize_entry("functions", &functions(manifest))?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Metadata<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    project_name: &'a str,
    project_id: &'a str,
    user_id: Option<()>,
    send_anonymous_usage_stats: bool,
    adapter_type: &'a str,
    quoting: Quoting,
    run_started_at: String,
}

/// Every part of a relation's name is quoted; columns are as written.
#[derive(serde::Serialize)]
struct Quoting {
    database: bool,
    schema: bool,
    identifier: bool,
    column: Option<bool>,
}

impl<'a> Metadata<'a> {
    fn of(file: &ManifestFile<'a>) -> Self {
        Self {
            header: file.metadata.header("manifest", 12),
            project_name: &file.manifest.project_name,
            project_id: &file.manifest.project_id,
            user_id: None,
            send_anonymous_usage_stats: false,
            adapter_type: &file.manifest.adapter_type,
            quoting: Quoting { database: true, schema: true, identifier: true, column: None },
            run_started_at: super::timestamp(&file.metadata.invocation_started_at),
        }
    }
}

/// The nodes without the functions, which stand apart.
struct Nodes<'a>(&'a Manifest);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.nodes.iter().filter(|(_, node)| node.resource_type != ResourceType::Function))
    }
}

fn functions(manifest: &Manifest) -> IndexMap<&UniqueId, &Node> {
    manifest.functions().map(|node| (&node.unique_id, node)).collect()
}

fn entries(resources: &IndexMap<UniqueId, OtherResource>) -> IndexMap<&UniqueId, &serde_json::Map<String, Json>> {
    resources.iter().map(|(id, resource)| (id, &resource.json)).collect()
}

/// Any resource that can be switched off.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Disabled<'a> {
    Nodes(&'a [Node]),
    Sources(&'a [Source]),
    Exposures(&'a [Exposure]),
}

fn disabled(manifest: &Manifest) -> IndexMap<&UniqueId, Disabled<'_>> {
    let nodes = manifest.disabled_nodes.iter().map(|(id, nodes)| (id, Disabled::Nodes(nodes)));
    let sources = manifest.disabled_sources.iter().map(|(id, sources)| (id, Disabled::Sources(sources)));
    let exposures = manifest.disabled_exposures.iter().map(|(id, exposures)| (id, Disabled::Exposures(exposures)));
    nodes.chain(sources).chain(exposures).collect()
}

/// `parent_map` or `child_map`: every id with its neighbours, sorted.
struct EdgeMap<'a> {
    file: &'a ManifestFile<'a>,
    direction: Direction,
}

impl Serialize for EdgeMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let neighbours = |id: &UniqueId| match self.direction {
            Direction::Parents => self.file.dag.parents(id),
            Direction::Children => self.file.dag.children(id),
        };
        serializer.collect_map(Member::all(self.file.manifest).map(|member| {
            let mut neighbours = neighbours(member.unique_id());
            neighbours.sort_unstable();
            (member.unique_id(), neighbours)
        }))
    }
}

/// The members of each group by the group's name.
fn group_map(manifest: &Manifest) -> IndexMap<&str, Vec<&UniqueId>> {
    let mut groups: IndexMap<&str, Vec<&UniqueId>> = IndexMap::new();
    for group in manifest.groups.values() {
        groups.entry(&group.name).or_default();
    }
    for member in Member::all(manifest) {
        let group = match member {
            Member::Node(node) => node.group.as_deref(),
            Member::Other(other) => other.json.get("group").and_then(Json::as_str),
            Member::Source(_) | Member::Exposure(_) => None,
        };
        if let Some(group) = group {
            groups.entry(group).or_default().push(member.unique_id());
        }
    }
    groups
}
