//! The files of a location: a folder, one file or a pattern, on disk or in a bucket.

use std::io::{Cursor, Read};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use globset::GlobBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::lake::storage::{file_url_path, s3_store};
use crate::lake::{LakeError, LakeResult};

/// One file and what tells whether it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceFile {
    /// A path or an `s3://` URL, as people name it.
    pub name: String,
    /// The part below the location's folder, where `k=v/` folders are.
    pub below: String,
    pub bytes: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    pub etag: Option<String>,
}

/// A location, opened.
#[derive(Clone, Debug)]
pub enum Location {
    Local(PathBuf),
    Bucket { store: Arc<dyn ObjectStore>, url: Url },
}

impl Location {
    /// `text` is a path (relative ones below `base`), a `file://` URL or an `s3://` URL; S3 settings as for the warehouse.
    pub fn open(text: &str, base: &FilePath, options: &[(String, String)]) -> LakeResult<Self> {
        match text.split_once("://") {
            Some(("s3" | "s3a", rest)) => {
                let url = Url::parse(&format!("s3://{rest}")).map_err(|error| location_error(text, &error.to_string()))?;
                Ok(Self::Bucket { store: s3_store(&url, options)?, url })
            }
            Some(("file", _)) => Ok(Self::Local(file_url_path(text)?)),
            Some((scheme, _)) => {
                Err(location_error(text, &format!("`{scheme}://` is not supported")).help("use a path, file:// or s3://"))
            }
            None => Ok(Self::Local(base.join(text))),
        }
    }

    /// The location as a URL, for tables that lie there.
    pub fn url(&self) -> LakeResult<Url> {
        match self {
            Self::Local(path) => Url::from_directory_path(path)
                .map_err(|()| location_error(&path.display().to_string(), "the path is not absolute")),
            Self::Bucket { url, .. } => Ok(url.clone()),
        }
    }

    /// All files, sorted by name. Names that begin with `_` or `.` are markers and hidden files of other tools.
    pub async fn files(&self) -> LakeResult<Vec<SourceFile>> {
        let mut files = match self {
            Self::Local(path) => local_files(path)?,
            Self::Bucket { store, url } => bucket_files(store, url).await?,
        };
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// A file's bytes as they lie, still compressed.
    pub async fn read(&self, file: &SourceFile) -> LakeResult<Box<dyn Read + Send>> {
        match self {
            Self::Local(_) => {
                let opened = std::fs::File::open(&file.name).map_err(|error| LakeError::from(error).context(&file.name))?;
                Ok(Box::new(opened))
            }
            Self::Bucket { store, url } => {
                let path = Path::from_url_path(file.name.trim_start_matches(&bucket_prefix(url)))
                    .map_err(|error| location_error(&file.name, &error.to_string()))?;
                Ok(Box::new(Cursor::new(store.get(&path).await?.bytes().await?)))
            }
        }
    }
}

fn location_error(location: &str, problem: &str) -> LakeError {
    LakeError::new("external-location", format!("external location `{location}`: {problem}"))
}

fn bucket_prefix(url: &Url) -> String {
    format!("s3://{}/", url.host_str().unwrap_or_default())
}

/// The leading folders of a path that are plain, and the rest if it is a pattern.
fn split_pattern(path: &str) -> (String, Option<&str>) {
    match path.find(['*', '?', '[', '{']) {
        Some(special) => {
            let cut = path[..special].rfind('/').map_or(0, |slash| slash + 1);
            (path[..cut].to_string(), Some(path))
        }
        None => (path.to_string(), None),
    }
}

/// A test for whole paths, `*` staying within a folder; without a pattern everything passes.
fn matcher(pattern: Option<&str>) -> LakeResult<impl Fn(&str) -> bool> {
    let glob = pattern
        .map(|pattern| {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| location_error(pattern, &error.to_string()))
        })
        .transpose()?;
    Ok(move |path: &str| glob.as_ref().is_none_or(|glob| glob.is_match(path)))
}

fn is_hidden(below: &str) -> bool {
    below.split('/').any(|part| part.starts_with(['_', '.']) && !part.contains('='))
}

fn local_files(path: &FilePath) -> LakeResult<Vec<SourceFile>> {
    let text = path.to_string_lossy();
    // A path that exists is meant as it stands, whatever characters it holds.
    let (root, pattern) = if path.exists() { (text.to_string(), None) } else { split_pattern(&text) };
    let matches = matcher(pattern)?;
    if !FilePath::new(&root).exists() {
        return Err(location_error(&text, "there is no such file or folder")
            .help("relative paths start at the project's folder; `s3://bucket/prefix/` and `file:///folder/` work too"));
    }
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(&root).follow_links(true) {
        let entry = entry.map_err(|error| location_error(&text, &error.to_string()))?;
        let name = entry.path().to_string_lossy().into_owned();
        let below = entry.path().strip_prefix(&root).map(|below| below.to_string_lossy().into_owned()).unwrap_or_default();
        if !entry.file_type().is_file() || is_hidden(&below) || !matches(&name) {
            continue;
        }
        let metadata = entry.metadata().map_err(|error| location_error(&name, &error.to_string()))?;
        let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        files.push(SourceFile {
            name,
            below,
            bytes: metadata.len(),
            modified_ns: i64::try_from(modified.as_nanos()).unwrap_or(i64::MAX),
            etag: None,
        });
    }
    Ok(files)
}

async fn bucket_files(store: &Arc<dyn ObjectStore>, url: &Url) -> LakeResult<Vec<SourceFile>> {
    let broken = |error: object_store::path::Error| location_error(url.as_str(), &error.to_string());
    let whole = Path::from_url_path(url.path()).map_err(broken)?;
    let (root, pattern) = split_pattern(whole.as_ref());
    let matches = matcher(pattern)?;
    let root = Path::parse(root.trim_end_matches('/')).map_err(broken)?;
    let mut objects: Vec<_> = store.list(Some(&root)).try_collect().await?;
    if objects.is_empty() && pattern.is_none() {
        objects.extend(store.head(&root).await.ok());
    }
    let files = objects.into_iter().filter_map(|object| {
        let below = object.location.as_ref().strip_prefix(root.as_ref()).unwrap_or_default().trim_start_matches('/').to_string();
        let keep = object.size > 0 && !is_hidden(&below) && matches(object.location.as_ref());
        keep.then(|| SourceFile {
            name: format!("{}{}", bucket_prefix(url), object.location),
            below,
            bytes: object.size,
            modified_ns: object.last_modified.timestamp_nanos_opt().unwrap_or_default(),
            etag: object.e_tag,
        })
    });
    Ok(files.collect())
}

/// A file's content, decompressed as its name says.
pub fn decompressed(name: &str, raw: Box<dyn Read + Send>) -> LakeResult<Box<dyn Read + Send>> {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "gz" | "gzip" => Ok(Box::new(flate2::read::MultiGzDecoder::new(raw))),
        "zst" | "zstd" => Ok(Box::new(zstd::Decoder::new(raw)?)),
        "bz2" | "lz4" | "snappy" | "lzo" | "xz" | "zip" => {
            Err(LakeError::new("external-format", format!("{name}: files compressed as {extension} cannot be read"))
                .help("readable are gz and zst"))
        }
        _ => Ok(raw),
    }
}
