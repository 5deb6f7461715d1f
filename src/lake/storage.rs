//! Where the warehouse lies: a local folder or an `s3://bucket/prefix`, and how names become paths below it.
//!
//! A schema or table name may hold any character. Letters, digits, `_` and `-` stay; every other byte becomes `!` and two
//! hex digits (`!` needs no escaping in URLs, file systems or object keys), so no name can leave the root or meet another.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use url::Url;

use super::held::HeldStore;
use super::{LakeError, LakeResult};

/// The folder below the root that holds the catalog; no schema's folder is ever called so.
pub const PRIVATE: &str = "_headwater";
/// Longest file name most file systems take, less what Delta's own files need.
const LONGEST_NAME_BYTES: usize = 200;

/// A table's place in the warehouse, names as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\".\"{}\"", self.schema, self.table)
    }
}

/// A store, and the folder in it below which everything lies.
#[derive(Clone, Debug)]
pub struct Storage {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
    /// The root as a URL ending in `/`.
    pub url: Url,
    /// The root as a folder of this machine, if it is one.
    pub local: Option<PathBuf>,
    /// The same store, as what holds versions back.
    pub(super) held: HeldStore,
}

impl Storage {
    /// Opens `root`: a path (relative ones below `base`), a `file://` URL or an `s3://` URL. A local folder is created.
    /// `options` are S3 settings by their `aws_…` names; what is absent comes from the environment.
    pub fn open(root: &str, base: &FilePath, options: &[(String, String)]) -> LakeResult<Self> {
        if let Some((scheme, _)) = root.split_once("://") {
            return match scheme {
                "s3" | "s3a" => Self::open_s3(root, options),
                "file" => Self::open_local(&file_url_path(root)?),
                other => Err(LakeError::new("storage-unsupported", format!("no storage for `{other}://` locations: {root}"))
                    .help("use a local path, file:// or s3://bucket/prefix")),
            };
        }
        Self::open_local(&base.join(root))
    }

    fn open_local(folder: &FilePath) -> LakeResult<Self> {
        let failed = |error: std::io::Error| LakeError::new("io", format!("warehouse folder {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let url = Url::from_directory_path(&folder)
            .map_err(|()| LakeError::new("io", format!("{} is not an absolute path", folder.display())))?;
        let prefix = Path::from_absolute_path(&folder).map_err(|error| LakeError::new("io", error.to_string()))?;
        let held = HeldStore::new(Arc::new(LocalFileSystem::new()));
        Ok(Self { store: Arc::new(held.clone()), prefix, url, local: Some(folder), held })
    }

    fn open_s3(root: &str, options: &[(String, String)]) -> LakeResult<Self> {
        let invalid = |error: String| LakeError::new("storage-invalid", format!("{root}: {error}"));
        let url = Url::parse(&format!("{}/", root.trim_end_matches('/'))).map_err(|error| invalid(error.to_string()))?;
        let store = s3_store(&url, options)?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| invalid(error.to_string()))?;
        let held = HeldStore::new(store);
        Ok(Self { store: Arc::new(held.clone()), prefix, url, local: None, held })
    }

    /// A path below the root; `parts` are plain file names.
    pub fn path(&self, parts: &[&str]) -> Path {
        parts.iter().fold(self.prefix.clone(), |path, part| path.join(*part))
    }

    /// The folder of a table: `<root>/<schema>/<table>`.
    pub fn folder(&self, name: &TableName) -> LakeResult<Folder> {
        self.folder_at(&[&encode(&name.schema)?, &encode(&name.table)?])
    }

    /// A folder below the root whose parts are file names already.
    pub fn folder_at(&self, parts: &[&str]) -> LakeResult<Folder> {
        let url = self
            .url
            .join(&format!("{}/", parts.join("/")))
            .map_err(|error| LakeError::new("io", format!("{}: {error}", self.url)))?;
        let local = self.local.as_ref().map(|root| parts.iter().fold(root.clone(), |path, part| path.join(part)));
        Ok(Folder { path: self.path(parts), url, local, store: self.store.clone() })
    }

    /// The whole content of a small object; `None` where there is none.
    pub async fn get(&self, path: &Path) -> LakeResult<Option<Vec<u8>>> {
        match self.store.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an object whole, in place of what was there (on local disk: a new file renamed over the old).
    pub async fn put(&self, path: &Path, content: Vec<u8>) -> LakeResult<()> {
        self.store.put(path, content.into()).await?;
        Ok(())
    }

    /// Removes an object; that it was not there is no error.
    pub async fn delete(&self, path: &Path) -> LakeResult<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// File names and folder names directly below a folder, sorted.
    pub async fn list(&self, path: &Path) -> LakeResult<(Vec<String>, Vec<String>)> {
        let listed = match self.store.list_with_delimiter(Some(path)).await {
            Ok(listed) => listed,
            Err(object_store::Error::NotFound { .. }) => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(error.into()),
        };
        let name = |path: &Path| path.filename().map(str::to_string);
        let mut files: Vec<String> = listed.objects.iter().filter_map(|object| name(&object.location)).collect();
        let mut folders: Vec<String> = listed.common_prefixes.iter().filter_map(name).collect();
        files.sort();
        folders.sort();
        Ok((files, folders))
    }
}

/// One folder of the warehouse.
#[derive(Clone, Debug)]
pub struct Folder {
    pub path: Path,
    pub url: Url,
    pub local: Option<PathBuf>,
    pub(super) store: Arc<dyn ObjectStore>,
}

impl Folder {
    /// The Delta log here; nothing is read.
    pub fn log(&self) -> LogStoreRef {
        let prefixed = Arc::new(PrefixStore::new(self.store.clone(), self.path.clone()));
        default_logstore(prefixed, self.store.clone(), &self.url, &StorageConfig::default())
    }

    /// Removes all that lies here. On local disk the folder is first renamed to `trash`, so it disappears at once.
    pub async fn remove(&self, trash: &Folder) -> LakeResult<()> {
        let (Some(local), Some(trash)) = (&self.local, &trash.local) else {
            let objects = self.store.list(Some(&self.path)).map_ok(|object| object.location).boxed();
            self.store.delete_stream(objects).try_collect::<Vec<_>>().await?;
            return Ok(());
        };
        let parent = trash.parent().unwrap_or(trash);
        std::fs::create_dir_all(parent)?;
        match std::fs::rename(local, trash) {
            Ok(()) => Ok(std::fs::remove_dir_all(trash)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves all that lies here to `other`, whose old content must be gone already.
    pub async fn rename(&self, other: &Folder) -> LakeResult<()> {
        if let (Some(from), Some(to)) = (&self.local, &other.local) {
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent)?;
            }
            return Ok(std::fs::rename(from, to)?);
        }
        let objects: Vec<_> = self.store.list(Some(&self.path)).try_collect().await?;
        for object in &objects {
            let below = object.location.prefix_match(&self.path).into_iter().flatten();
            let target = below.fold(other.path.clone(), |path, part| path.join(part));
            self.store.copy(&object.location, &target).await?;
        }
        let locations = futures::stream::iter(objects.into_iter().map(|object| Ok(object.location))).boxed();
        self.store.delete_stream(locations).try_collect::<Vec<_>>().await?;
        Ok(())
    }
}

/// An S3 store for a bucket's URL, from the environment and `options` (`aws_region`, `aws_endpoint` …).
pub fn s3_store(url: &Url, options: &[(String, String)]) -> LakeResult<Arc<dyn ObjectStore>> {
    let bucket = url.host_str().ok_or_else(|| LakeError::new("storage-invalid", format!("{url} names no bucket")))?;
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_conditional_put(S3ConditionalPut::ETagMatch);
    for (key, value) in options {
        let key: AmazonS3ConfigKey =
            key.parse().map_err(|_| LakeError::new("storage-invalid", format!("`{key}` is not an S3 setting")))?;
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = builder.get_config_value(&AmazonS3ConfigKey::Endpoint) {
        builder = builder.with_allow_http(endpoint.starts_with("http://"));
    }
    Ok(Arc::new(builder.build()?))
}

/// The path of a `file://` URL; two slashes and a relative path are accepted too.
pub fn file_url_path(url: &str) -> LakeResult<PathBuf> {
    if let Some(path) = Url::parse(url).ok().and_then(|url| url.to_file_path().ok()) {
        return Ok(path);
    }
    Ok(PathBuf::from(url.trim_start_matches("file://")))
}

/// A name as a file name, reversible; never one that means something else in a warehouse.
pub fn encode(name: &str) -> LakeResult<String> {
    if name.is_empty() {
        return Err(LakeError::new("name-empty", "a relation's name is empty"));
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("!{byte:02X}"));
        }
    }
    if encoded == PRIVATE || encoded == "_delta_log" {
        encoded.replace_range(..1, "!5F");
    }
    if encoded.len() > LONGEST_NAME_BYTES {
        let message = format!("the name `{name}` is too long: {} bytes as a file name, {LONGEST_NAME_BYTES} fit", encoded.len());
        return Err(LakeError::new("name-too-long", message));
    }
    Ok(encoded)
}

/// The name that a file name stands for; `None` if [`encode`] never gives it.
pub fn decode(file: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'!' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else if first.is_ascii_alphanumeric() || matches!(first, b'_' | b'-') {
            bytes.push(*first);
            rest = tail;
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}
