//! One resource of the graph, whatever map of the manifest holds it: what selection and planning ask of all kinds alike.

use crate::manifest::{Exposure, JsonMap, Manifest, Node, OtherResource, Source};
use crate::name::{ResourceType, UniqueId};
use crate::source::Location;

/// A borrowed view of a resource that stands in the graph.
#[derive(Clone, Copy, Debug)]
pub enum Member<'m> {
    Node(&'m Node),
    Source(&'m Source),
    Exposure(&'m Exposure),
    /// A unit test, metric, semantic model or saved query.
    Other(&'m OtherResource),
}

impl<'m> Member<'m> {
    /// The resource with that id, if the graph can hold it; groups, macros and docs are none.
    pub fn find(manifest: &'m Manifest, id: &UniqueId) -> Option<Self> {
        match id.kind() {
            "source" => manifest.sources.get(id).map(Self::Source),
            "exposure" => manifest.exposures.get(id).map(Self::Exposure),
            "unit_test" => manifest.unit_tests.get(id).map(Self::Other),
            "metric" => manifest.metrics.get(id).map(Self::Other),
            "semantic_model" => manifest.semantic_models.get(id).map(Self::Other),
            "saved_query" => manifest.saved_queries.get(id).map(Self::Other),
            _ => manifest.nodes.get(id).map(Self::Node),
        }
    }

    /// Every resource of the graph: nodes, sources, exposures, metrics, semantic models, saved queries, unit tests.
    pub fn all(manifest: &'m Manifest) -> impl Iterator<Item = Self> {
        let others = [&manifest.metrics, &manifest.semantic_models, &manifest.saved_queries, &manifest.unit_tests];
        let nodes = manifest.nodes.values().map(Self::Node);
        let sources = manifest.sources.values().map(Self::Source);
        let exposures = manifest.exposures.values().map(Self::Exposure);
        nodes.chain(sources).chain(exposures).chain(others.into_iter().flat_map(|map| map.values().map(Self::Other)))
    }

    pub fn unique_id(&self) -> &'m UniqueId {
        match self {
            Self::Node(node) => &node.unique_id,
            Self::Source(source) => &source.unique_id,
            Self::Exposure(exposure) => &exposure.unique_id,
            Self::Other(other) => &other.unique_id,
        }
    }

    pub fn resource_type(&self) -> ResourceType {
        match self {
            Self::Node(node) => node.resource_type,
            Self::Source(_) => ResourceType::Source,
            Self::Exposure(_) => ResourceType::Exposure,
            Self::Other(other) => other.resource_type,
        }
    }

    /// The bare name: a source's table, a model without its version.
    pub fn name(&self) -> &'m str {
        match self {
            Self::Node(node) => &node.name,
            Self::Source(source) => &source.name,
            Self::Exposure(exposure) => &exposure.name,
            Self::Other(other) => &other.name,
        }
    }

    /// The name a person finds it by: `orders.v2`, `raw.users`, else the bare name.
    pub fn search_name(&self) -> String {
        match self {
            Self::Source(source) => format!("{}.{}", source.source_name, source.name),
            Self::Node(node) => match node.model.as_ref().and_then(|model| model.version.as_ref()) {
                Some(version) => format!("{}.v{}", node.name, super::method::version_text(version)),
                None => node.name.clone(),
            },
            _ => self.name().to_string(),
        }
    }

    pub fn package_name(&self) -> &'m str {
        match self {
            Self::Node(node) => &node.package_name,
            Self::Source(source) => &source.package_name,
            Self::Exposure(exposure) => &exposure.package_name,
            Self::Other(other) => &other.package_name,
        }
    }

    pub fn original_file_path(&self) -> &'m str {
        match self {
            Self::Node(node) => &node.original_file_path,
            Self::Source(source) => &source.original_file_path,
            Self::Exposure(exposure) => &exposure.original_file_path,
            Self::Other(other) => &other.original_file_path,
        }
    }

    /// The property file that documents it, without the package: `models/_models.yml`.
    pub fn patch_file(&self) -> Option<&'m str> {
        let patch = match self {
            Self::Node(node) => node.patch_path.as_deref(),
            Self::Source(source) => source.patch_path.as_deref(),
            Self::Exposure(_) | Self::Other(_) => None,
        };
        patch.and_then(|path| path.split_once("://")).map(|(_, path)| path)
    }

    pub fn fqn(&self) -> &'m [String] {
        match self {
            Self::Node(node) => &node.fqn,
            Self::Source(source) => &source.fqn,
            Self::Exposure(exposure) => &exposure.fqn,
            Self::Other(other) => &other.fqn,
        }
    }

    pub fn tags(&self) -> &'m [String] {
        match self {
            Self::Node(node) => &node.tags,
            Self::Source(source) => &source.tags,
            Self::Exposure(exposure) => &exposure.tags,
            Self::Other(other) => &other.tags,
        }
    }

    pub fn config(&self) -> &'m JsonMap {
        match self {
            Self::Node(node) => &node.config,
            Self::Source(source) => &source.config,
            Self::Exposure(exposure) => &exposure.config,
            Self::Other(other) => &other.config,
        }
    }

    /// What it reads, in order of first mention; a source reads nothing.
    pub fn parents(&self) -> &'m [UniqueId] {
        match self {
            Self::Node(node) => &node.depends_on.nodes,
            Self::Source(_) => &[],
            Self::Exposure(exposure) => &exposure.depends_on.nodes,
            Self::Other(other) => &other.depends_on.nodes,
        }
    }

    pub fn location(&self) -> &'m Location {
        match self {
            Self::Node(node) => &node.location,
            Self::Source(source) => &source.location,
            Self::Exposure(exposure) => &exposure.location,
            Self::Other(other) => &other.location,
        }
    }

    /// A data test or a unit test: what selecting its parents can bring along.
    pub fn is_any_test(&self) -> bool {
        matches!(self.resource_type(), ResourceType::Test | ResourceType::UnitTest)
    }

    /// Models with a version; their fqn ends in `name`, `v<version>`.
    pub fn is_versioned(&self) -> bool {
        matches!(self, Self::Node(node) if node.model.as_ref().is_some_and(|model| model.version.is_some()))
    }
}
