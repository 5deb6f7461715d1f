//! Resources field by field, as derived: how a manifest is kept between commands.
//!
//! Their `Serialize` is the form of `manifest.json`, which leaves fields out and adds keys. What `derive` makes of them beside
//! that (`serde(remote = "Self")`) is reached through [`Stored`].

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{Exposure, Macro, Node, Source};
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
