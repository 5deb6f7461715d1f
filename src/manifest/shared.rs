//! JSON objects that many resources have in common: most configs of a project are a few that repeat.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::JsonMap;

/// A JSON object that may be held in several places; it is copied when one of them changes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SharedMap(Arc<JsonMap>);

static EMPTY: LazyLock<SharedMap> = LazyLock::new(|| SharedMap(Arc::new(JsonMap::new())));

impl SharedMap {
    /// The object itself, copied if it is held elsewhere too.
    pub fn into_map(self) -> JsonMap {
        Arc::unwrap_or_clone(self.0)
    }

    /// Where the object lies: the same for all that share it.
    pub(super) fn address(&self) -> *const u8 {
        Arc::as_ptr(&self.0).cast()
    }
}

impl Default for SharedMap {
    fn default() -> Self {
        EMPTY.clone()
    }
}

impl From<JsonMap> for SharedMap {
    fn from(map: JsonMap) -> Self {
        if map.is_empty() { Self::default() } else { Self(Arc::new(map)) }
    }
}

impl Deref for SharedMap {
    type Target = JsonMap;

    fn deref(&self) -> &JsonMap {
        &self.0
    }
}

impl DerefMut for SharedMap {
    fn deref_mut(&mut self) -> &mut JsonMap {
        Arc::make_mut(&mut self.0)
    }
}

/// Finds objects again that are the same to the last byte of their text, keys in the same order.
#[derive(Debug, Default)]
pub struct Interner {
    /// By their hash; what shares one by chance stands beside each other.
    known: HashMap<u64, Vec<SharedMap>>,
}

impl Interner {
    /// Makes `map` the one seen before that is the same.
    pub fn share(&mut self, map: &mut SharedMap) {
        if map.is_empty() {
            *map = SharedMap::default();
            return;
        }
        let mut hasher = Mixer::default();
        hash_map(map, &mut hasher);
        let alike = self.known.entry(hasher.finish()).or_default();
        match alike.iter().find(|other| is_same_map(other, map)) {
            Some(other) => map.clone_from(other),
            None => alike.push(map.clone()),
        }
    }
}

/// A quick hash of what nobody chooses to make collide: what shares a hash is compared.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn hash_map(map: &JsonMap, hasher: &mut Mixer) {
    map.len().hash(hasher);
    for (key, value) in map {
        key.hash(hasher);
        hash(value, hasher);
    }
}

fn hash(value: &Json, hasher: &mut Mixer) {
    match value {
        Json::Array(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| hash(item, hasher));
        }
        Json::Object(map) => hash_map(map, hasher),
        plain => plain.hash(hasher),
    }
}

/// Equality of objects disregards the order of keys; here it counts.
fn is_same_map(a: &JsonMap, b: &JsonMap) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a_key, a), (b_key, b))| a_key == b_key && is_same(a, b))
}

fn is_same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Json::Object(a), Json::Object(b)) => is_same_map(a, b),
        _ => a == b,
    }
}
