//! The world outside: files, environment, clock and ids. Everything from outside enters the compiler through here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a file system says of a file without its content: as long as it says the same, the content is most likely the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub size_bytes: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    /// When content or properties were last changed, which no program can set back; none where the system does not keep it.
    pub changed_ns: Option<i64>,
    pub inode: u64,
}

/// What the compiler may ask of the machine it runs on.
pub trait World: Send + Sync {
    /// The whole file as bytes.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Every file below `folder`, in order of their paths; an absent folder holds none. Links to folders are passed over, links
    /// to files are files, and so is a link that leads nowhere: whoever reads it can say so.
    fn walk(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// As [`walk`](Self::walk), but through links to folders too, as local packages are installed.
    fn walk_linked(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.walk(folder)
    }
    fn exists(&self, path: &Path) -> bool;
    /// The file's stamp, links followed.
    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// What tells this build of the program from every other one; none where that is not known.
    fn program(&self) -> Option<String> {
        None
    }
    fn env(&self, name: &str) -> Option<String>;
    /// Every variable at once, for what outlives a call.
    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    /// The folder the program was started in, absolute.
    fn current_folder(&self) -> io::Result<PathBuf>;
    /// How many tasks the machine can run at once; at least 1.
    fn cores(&self) -> usize;
    fn now(&self) -> DateTime<Utc>;
    /// A fresh random id (UUID v4 text).
    fn new_id(&self) -> String;
}

/// The real machine.
pub struct OsWorld;

impl World for OsWorld {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn walk(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            let kind = entry.file_type();
            if kind.is_file() || (kind.is_symlink() && !entry.path().is_dir()) {
                files.push(entry.into_path());
            }
        }
        Ok(files)
    }

    fn walk_linked(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => continue,
                Err(error) => return Err(error.into()),
            };
            if entry.file_type().is_file() {
                files.push(entry.into_path());
            }
        }
        Ok(files)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        stamp_of(&std::fs::metadata(path)?)
    }

    fn program(&self) -> Option<String> {
        let path = std::env::current_exe().ok()?;
        let stamp = self.stamp(&path).ok()?;
        Some(format!("{} {} {}", env!("CARGO_PKG_VERSION"), stamp.size_bytes, stamp.modified_ns))
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let text =
            |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        std::env::vars_os().filter_map(text).collect()
    }

    fn current_folder(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn new_id(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

fn stamp_of(metadata: &std::fs::Metadata) -> io::Result<Stamp> {
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).map_err(io::Error::other)?;
    let modified_ns = i64::try_from(modified.as_nanos()).map_err(io::Error::other)?;
    #[cfg(unix)]
    let (changed_ns, inode) = {
        use std::os::unix::fs::MetadataExt;
        (Some(metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec())), metadata.ino())
    };
    #[cfg(not(unix))]
    let (changed_ns, inode) = (None, 0);
    Ok(Stamp { size_bytes: metadata.len(), modified_ns, changed_ns, inode })
}

/// A world in memory, for tests: fixed clock and ids, four cores, started in `/`.
#[derive(Clone, Debug, Default)]
pub struct MemoryWorld {
    pub files: BTreeMap<PathBuf, String>,
    pub env: BTreeMap<String, String>,
}

impl World for MemoryWorld {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }

    fn walk(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files.keys().filter(|path| path.starts_with(folder)).cloned().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file.starts_with(path))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.env.clone()
    }

    fn current_folder(&self) -> io::Result<PathBuf> {
        Ok(PathBuf::from("/"))
    }

    fn cores(&self) -> usize {
        4
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    fn new_id(&self) -> String {
        "00000000-0000-4000-8000-000000000000".to_string()
    }
}
