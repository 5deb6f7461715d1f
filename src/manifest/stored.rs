//! Resources field by field, as derived: how a manifest is kept between commands.
//!
//! Their `Serialize` is the form of `manifest.json`, which leaves fields out and adds keys. What `derive` makes of them beside
//! that (`serde(remote = "Self")`) is reached through [`Stored`].

use std::collections::HashMap;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::Value as Json;

use super::{Column, Exposure, Macro, Node, SharedMap, Source};
use crate::name::UniqueId;

/// A resource with a form of its own for artifacts.
pub trait Resource: Sized {
    fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    fn restore<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

macro_rules! stored {
    ($($resource:ident),*) => {$(
        impl Resource for $resource {
            fn store<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $resource::serialize(self, serializer)
            }

            fn restore<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $resource::deserialize(deserializer)
            }
        }
    )*};
}

stored!(Exposure, Macro, Node, Source);

/// A resource in its derived form.
struct Stored<T>(T);

impl<T: Resource> Serialize for Stored<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.store(serializer)
    }
}

impl<'de, T: Resource> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::restore(deserializer).map(Self)
    }
}

/// `serde(with)` for resources by id; the ids are in the resources.
pub mod map {
    use super::{Deserialize, Deserializer, IndexMap, Resource, Serializer, Stored, UniqueId};

    pub fn serialize<T: Resource, S: Serializer>(map: &IndexMap<UniqueId, T>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(id, resource)| (id, Stored(resource))))
    }

    pub fn deserialize<'de, T: Resource, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<UniqueId, T>, D::Error> {
        let stored = IndexMap::<UniqueId, Stored<T>>::deserialize(deserializer)?;
        Ok(stored.into_iter().map(|(id, Stored(resource))| (id, resource)).collect())
    }
}

/// `serde(with)` for lists of resources by id.
pub mod lists {
    use super::{Deserialize, Deserializer, IndexMap, Resource, Serializer, Stored, UniqueId};

    pub fn serialize<T: Resource, S: Serializer>(map: &IndexMap<UniqueId, Vec<T>>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(id, list)| (id, list.iter().map(Stored).collect::<Vec<_>>())))
    }

    pub fn deserialize<'de, T: Resource, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<UniqueId, Vec<T>>, D::Error> {
        let stored = IndexMap::<UniqueId, Vec<Stored<T>>>::deserialize(deserializer)?;
        Ok(stored.into_iter().map(|(id, list)| (id, list.into_iter().map(|Stored(resource)| resource).collect())).collect())
    }
}

/// Objects that nodes share, each once; a node has their numbers.
#[derive(Default)]
struct Maps<'a> {
    all: Vec<&'a SharedMap>,
    numbers: HashMap<*const u8, u32>,
}

impl<'a> Maps<'a> {
    fn number(&mut self, map: &'a SharedMap) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(map.address()).or_insert(next);
        if number == next {
            self.all.push(map);
        }
        number
    }

    fn node(&mut self, node: &'a Node) -> KeptNode<Stored<&'a Node>, KeptColumnRef<'a>> {
        let maps = [&node.config, &node.unrendered_config, &node.meta].map(|map| self.number(map));
        let columns = node.columns.iter().map(|(key, column)| self.column(key, column)).collect();
        KeptNode { node: Stored(node), maps, columns }
    }

    fn column(&mut self, key: &'a str, column: &'a Column) -> KeptColumnRef<'a> {
        let Column { name, description, meta, data_type, constraints, quote, config, tags, granularity, doc_blocks, extra } =
            column;
        let maps = [meta, config, extra].map(|map| self.number(map));
        let texts = (key, name.as_str(), description.as_str());
        let options = (data_type.as_deref(), *quote, granularity.as_deref());
        (texts, options, constraints, tags, doc_blocks, maps)
    }
}

/// A node without what it shares, and the numbers of that: config, config as written, meta.
#[derive(serde::Serialize, serde::Deserialize)]
struct KeptNode<N, C> {
    node: N,
    maps: [u32; 3],
    columns: Vec<C>,
}

/// A column's key, name and description; type, quoting and granularity; constraints, tags and docs blocks; the numbers of meta,
/// config and what else it has.
type KeptColumnRef<'a> = (
    (&'a str, &'a str, &'a str),
    (Option<&'a str>, Option<bool>, Option<&'a str>),
    &'a [Json],
    &'a [String],
    &'a [String],
    [u32; 3],
);
type KeptColumn =
    ((String, String, String), (Option<String>, Option<bool>, Option<String>), Vec<Json>, Vec<String>, Vec<String>, [u32; 3]);

fn store_nodes<'a, S: Serializer>(nodes: impl Iterator<Item = &'a Node>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut maps = Maps::default();
    let nodes: Vec<_> = nodes.map(|node| maps.node(node)).collect();
    (maps.all, nodes).serialize(serializer)
}

fn restore_nodes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Node>, D::Error> {
    let (maps, nodes) = <(Vec<SharedMap>, Vec<KeptNode<Stored<Node>, KeptColumn>>)>::deserialize(deserializer)?;
    let find = |number: u32| maps.get(number as usize).cloned().ok_or_else(|| D::Error::custom("an object is missing"));
    let column = |kept: KeptColumn| {
        let ((key, name, description), (data_type, quote, granularity), constraints, tags, doc_blocks, [meta, config, extra]) =
            kept;
        let (meta, config, extra) = (find(meta)?, find(config)?, find(extra)?);
        let column =
            Column { name, description, meta, data_type, constraints, quote, config, tags, granularity, doc_blocks, extra };
        Ok((key, column))
    };
    let node = |kept: KeptNode<Stored<Node>, KeptColumn>| {
        let KeptNode { node: Stored(mut node), maps: [config, unrendered, meta], columns } = kept;
        (node.config, node.unrendered_config, node.meta) = (find(config)?, find(unrendered)?, find(meta)?);
        node.columns = columns.into_iter().map(column).collect::<Result<_, D::Error>>()?;
        Ok(node)
    };
    nodes.into_iter().map(node).collect()
}

/// `serde(with)` for nodes by id.
pub mod nodes {
    use super::{Deserializer, IndexMap, Node, Serializer, UniqueId, restore_nodes, store_nodes};

    pub fn serialize<S: Serializer>(map: &IndexMap<UniqueId, Node>, serializer: S) -> Result<S::Ok, S::Error> {
        store_nodes(map.values(), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<UniqueId, Node>, D::Error> {
        Ok(restore_nodes(deserializer)?.into_iter().map(|node| (node.unique_id.clone(), node)).collect())
    }
}

/// `serde(with)` for lists of nodes by id.
pub mod node_lists {
    use super::{Deserializer, IndexMap, Node, Serializer, UniqueId, restore_nodes, store_nodes};

    pub fn serialize<S: Serializer>(map: &IndexMap<UniqueId, Vec<Node>>, serializer: S) -> Result<S::Ok, S::Error> {
        store_nodes(map.values().flatten(), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<UniqueId, Vec<Node>>, D::Error> {
        let mut map: IndexMap<UniqueId, Vec<Node>> = IndexMap::new();
        for node in restore_nodes(deserializer)? {
            map.entry(node.unique_id.clone()).or_default().push(node);
        }
        Ok(map)
    }
}
