//! Versions held back: what a table's log would say next is kept in memory until it is published in one commit.
//!
//! A store in front of the warehouse's own. While a relation is held, entries of its log and of the catalog are written to memory
//! and read from there, so everything of this process that asks for the relation sees the new version, and nobody else does. Data
//! files are written as ever: no entry of the real log names them, so a process that dies leaves only files for the sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use serde_json::Value as Json;

use super::table::Lake;
use super::{LakeError, LakeResult, TableName};

/// The warehouse's store, and what of it is held back.
#[derive(Clone, Debug)]
pub struct HeldStore {
    inner: Arc<dyn ObjectStore>,
    memory: Arc<InMemory>,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    /// Log folders and catalog entries.
    places: BTreeSet<Path>,
    /// Objects of those places that are to be deleted.
    deleted: BTreeSet<Path>,
}

impl HeldStore {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, memory: Arc::default(), held: Arc::default() }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, path: &Path) -> bool {
        self.held().places.iter().any(|place| path.prefix_matches(place))
    }

    /// Whether a listing of `prefix` may come by something held.
    fn concerns(&self, prefix: Option<&Path>) -> bool {
        let held = self.held();
        match prefix {
            None => !held.places.is_empty(),
            Some(prefix) => held.places.iter().any(|place| place.prefix_matches(prefix) || prefix.prefix_matches(place)),
        }
    }

    fn is_deleted(&self, path: &Path) -> bool {
        self.held().deleted.contains(path)
    }

    fn missing(path: &Path) -> Error {
        Error::NotFound { path: path.to_string(), source: "deleted in a version held back".into() }
    }

    async fn merged(self, prefix: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let mut objects = BTreeMap::new();
        for object in self.inner.list(prefix.as_ref()).try_collect::<Vec<_>>().await? {
            if !self.is_deleted(&object.location) {
                objects.insert(object.location.clone(), object);
            }
        }
        for object in self.memory.list(prefix.as_ref()).try_collect::<Vec<_>>().await? {
            objects.insert(object.location.clone(), object);
        }
        Ok(objects.into_values().collect())
    }

    async fn delete_one(&self, path: Path) -> Result<Path> {
        if self.holds(&path) {
            self.memory.delete(&path).await?;
            self.held().deleted.insert(path.clone());
        } else {
            self.inner.delete(&path).await?;
        }
        Ok(path)
    }

    /// Lets go of places; what was written to them is given back, or dropped.
    async fn release(&self, places: &[Path]) -> Result<()> {
        for place in places {
            for object in self.memory.list(Some(place)).try_collect::<Vec<_>>().await? {
                self.memory.delete(&object.location).await?;
            }
            // A single object is not listed below itself.
            let _ = self.memory.delete(place).await;
            let mut held = self.held();
            held.places.remove(place);
            held.deleted.retain(|path| !path.prefix_matches(place));
        }
        Ok(())
    }

    async fn written(&self, path: &Path) -> Result<Option<Bytes>> {
        match self.memory.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for HeldStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
impl ObjectStore for HeldStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !self.holds(location) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        if opts.mode == PutMode::Create && !self.is_deleted(location) && self.inner.head(location).await.is_ok() {
            return Err(Error::AlreadyExists { path: location.to_string(), source: "it is in the log".into() });
        }
        let put = self.memory.put_opts(location, payload, opts).await?;
        self.held().deleted.remove(location);
        Ok(put)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if self.holds(location) {
            return self.memory.put_multipart_opts(location, opts).await;
        }
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !self.holds(location) {
            return self.inner.get_opts(location, options).await;
        }
        if self.is_deleted(location) {
            return Err(Self::missing(location));
        }
        match self.memory.get_opts(location, options.clone()).await {
            Err(Error::NotFound { .. }) => self.inner.get_opts(location, options).await,
            found => found,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.holds(location) && self.memory.head(location).await.is_ok() {
            return self.memory.get_ranges(location, ranges).await;
        }
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.held().places.is_empty() {
            return self.inner.delete_stream(locations);
        }
        let store = self.clone();
        locations
            .then(move |path| {
                let store = store.clone();
                async move { store.delete_one(path?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if !self.concerns(prefix) {
            return self.inner.list(prefix);
        }
        let merged = self.clone().merged(prefix.cloned());
        futures::stream::once(merged).map_ok(|objects| futures::stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        if !self.concerns(prefix) {
            return self.inner.list_with_offset(prefix, offset);
        }
        let offset = offset.clone();
        self.list(prefix).try_filter(move |object| futures::future::ready(object.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        if self.concerns(prefix) {
            let ours = self.memory.list_with_delimiter(prefix).await?;
            let known: BTreeSet<Path> = ours.objects.iter().map(|object| object.location.clone()).collect();
            listed.objects.retain(|object| !known.contains(&object.location) && !self.is_deleted(&object.location));
            listed.objects.extend(ours.objects);
            let mut folders: BTreeSet<Path> = listed.common_prefixes.into_iter().collect();
            folders.extend(ours.common_prefixes);
            listed.common_prefixes = folders.into_iter().collect();
        }
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

impl Lake {
    /// From now on, changes of this relation are seen by this process only, until they are published or discarded.
    pub fn hold(&self, name: &TableName) -> LakeResult<()> {
        self.storage.held.held().places.extend(self.held_places(name)?);
        Ok(())
    }

    fn held_places(&self, name: &TableName) -> LakeResult<[Path; 2]> {
        Ok([self.storage.folder(name)?.path.join("_delta_log"), self.entry_path(name)?])
    }

    /// Makes what was held back the relation's newest version, in one commit for all that was done to it.
    ///
    /// # Errors
    /// `table-contended` if somebody else committed meanwhile: what was held back is then dropped.
    pub async fn publish(&self, name: &TableName) -> LakeResult<()> {
        let _guard = self.lock(name).await;
        let store = &self.storage.held;
        let [log, entry] = self.held_places(name)?;
        let commits = self.held_commits(&log).await?;
        if let Some((first, _)) = commits.first() {
            let content = one_commit(commits.iter().map(|(_, content)| content))?;
            let create = PutOptions::from(PutMode::Create);
            match store.inner.put_opts(first, PutPayload::from(content), create).await {
                Ok(_) => {}
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    self.discard_held(name).await?;
                    return Err(LakeError::new(
                        "table-contended",
                        format!("another writer changed {name} while its new version was tested"),
                    )
                    .help("run again when it is done"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(content) = store.written(&entry).await? {
            store.inner.put(&entry, content.into()).await?;
        } else if store.is_deleted(&entry) {
            match store.inner.delete(&entry).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        store.release(&[log, entry]).await?;
        self.forget(name)
    }

    /// Drops what was held back, and the data files that only it named.
    pub async fn discard(&self, name: &TableName) -> LakeResult<()> {
        let _guard = self.lock(name).await;
        self.discard_held(name).await
    }

    async fn discard_held(&self, name: &TableName) -> LakeResult<()> {
        let places = self.held_places(name)?;
        let folder = self.storage.folder(name)?;
        for (_, content) in self.held_commits(&places[0]).await? {
            for action in actions(&content)? {
                let added = action.get("add").and_then(|add| add.get("path")).and_then(Json::as_str);
                let path = added.and_then(|path| Path::from_url_path(format!("{}/{path}", folder.path)).ok());
                // What cannot be deleted now is swept later.
                if let Some(path) = path {
                    let _ = self.storage.store.delete(&path).await;
                }
            }
        }
        self.storage.held.release(&places).await?;
        self.forget(name)
    }

    /// Whether commits to the table whose log this is stay in memory.
    pub(super) fn is_held(&self, log: &Path) -> bool {
        self.storage.held.holds(log)
    }

    /// The log entries held back, oldest first.
    async fn held_commits(&self, log: &Path) -> LakeResult<Vec<(Path, Bytes)>> {
        let store = &self.storage.held;
        let mut objects = store.memory.list(Some(log)).try_collect::<Vec<_>>().await?;
        objects.retain(|object| object.location.extension() == Some("json"));
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        let mut commits = Vec::new();
        for object in objects {
            if let Some(content) = store.written(&object.location).await? {
                commits.push((object.location, content));
            }
        }
        Ok(commits)
    }
}

fn actions(content: &[u8]) -> LakeResult<Vec<serde_json::Map<String, Json>>> {
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let parsed = lines.map(serde_json::from_slice).collect::<std::result::Result<Vec<_>, _>>();
    parsed.map_err(|error| LakeError::new("delta", format!("a log entry held back is broken: {error}")))
}

/// Several log entries as one: the last word on protocol and metadata, the files that stay added, the files that went.
fn one_commit<'a>(commits: impl Iterator<Item = &'a Bytes>) -> LakeResult<String> {
    let mut single: BTreeMap<&str, Json> = BTreeMap::new();
    let (mut added, mut removed, mut others) = (indexmap::IndexMap::new(), indexmap::IndexMap::new(), Vec::new());
    for content in commits {
        for action in actions(content)? {
            for (kind, value) in action {
                let path = value.get("path").and_then(Json::as_str).unwrap_or_default().to_string();
                match kind.as_str() {
                    "commitInfo" => drop(single.insert("commitInfo", value)),
                    "protocol" => drop(single.insert("protocol", value)),
                    "metaData" => drop(single.insert("metaData", value)),
                    "add" => drop(added.insert(path, value)),
                    // A file that came and went while held was never in the table.
                    "remove" if added.shift_remove(&path).is_some() => {}
                    "remove" => drop(removed.insert(path, value)),
                    _ => others.push(serde_json::json!({ kind: value })),
                }
            }
        }
    }
    let single = single.into_iter().map(|(kind, value)| serde_json::json!({ kind: value }));
    let removed = removed.into_values().map(|value| serde_json::json!({ "remove": value }));
    let added = added.into_values().map(|value| serde_json::json!({ "add": value }));
    let lines = single.chain(removed).chain(added).chain(others).map(|action| action.to_string());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}
