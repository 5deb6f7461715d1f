//! Unpacking a package's archive (`.tar.gz`) so that nothing leaves the folder: plain relative paths only, no links, no devices,
//! and no more entries and bytes than a package of text files can have.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::io;
use crate::diagnostic::{Diagnostic, Outcome};

const MOST_ENTRIES: usize = 100_000;
const MOST_BYTES: u64 = 1 << 30;

/// Unpacks into an empty folder and gives the folder that holds the package: archives mostly have one folder around all.
pub fn unpack(bytes: &[u8], folder: &Path, shown: &str) -> Outcome<PathBuf> {
    let unreadable = |error: std::io::Error| io(&format!("{shown} cannot be unpacked"), &error);
    std::fs::create_dir_all(folder).map_err(unreadable)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut left = MOST_BYTES;
    for (count, entry) in archive.entries().map_err(unreadable)?.enumerate() {
        let mut entry = entry.map_err(unreadable)?;
        if count >= MOST_ENTRIES {
            return refused(shown, &format!("it has more than {MOST_ENTRIES} entries"));
        }
        let kind = entry.header().entry_type();
        let written = entry.path().map_err(unreadable)?.into_owned();
        match kind {
            EntryType::XGlobalHeader => continue,
            EntryType::Directory => {
                std::fs::create_dir_all(folder.join(inside(&written, shown)?)).map_err(unreadable)?;
                continue;
            }
            EntryType::Regular | EntryType::Continuous => {}
            _ => return refused(shown, &format!("`{}` is a link or a device", written.display())),
        }
        let path = folder.join(inside(&written, shown)?);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(unreadable)?;
        }
        let mut file = std::fs::File::create_new(&path).map_err(unreadable)?;
        // One byte more than is allowed, so that too much shows.
        let written = std::io::copy(&mut entry.by_ref().take(left + 1), &mut file).map_err(unreadable)?;
        if written > left {
            return refused(shown, &format!("it holds more than {} MB", MOST_BYTES >> 20));
        }
        left -= written;
    }
    package_folder(folder).map_err(unreadable)
}

/// The entry's path where it is a plain relative one.
fn inside(path: &Path, shown: &str) -> Outcome<PathBuf> {
    let parts: Option<PathBuf> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| if let Component::Normal(name) = part { Some(name) } else { None })
        .collect();
    match parts {
        Some(parts) => Ok(parts),
        None => refused(shown, &format!("`{}` would leave the package's folder", path.display())),
    }
}

fn refused<T>(shown: &str, why: &str) -> Outcome<T> {
    Diagnostic::error("unsafe-archive", format!("{shown} is not unpacked: {why}"))
        .help("a package is plain files in folders; ask its author, or copy what you need and name it with `local:`")
        .fail()
}

fn package_folder(folder: &Path) -> std::io::Result<PathBuf> {
    let mut here = folder.to_path_buf();
    while !here.join("dbt_project.yml").exists() {
        let entries: Vec<_> = std::fs::read_dir(&here)?.collect::<Result<_, _>>()?;
        match &entries[..] {
            [only] if only.file_type()?.is_dir() => here = only.path(),
            _ => break,
        }
    }
    Ok(here)
}

/// A digest of all files below a folder: paths and contents in order of the paths. It does not change when an archive is packed
/// anew.
pub fn digest(folder: &Path) -> std::io::Result<String> {
    let mut all = Sha256::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(std::io::Error::from)?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy().replace('\\', "/");
            let content = std::fs::read(entry.path())?;
            all.update(format!("{path}\0{}\0", content.len()));
            all.update(content);
        }
    }
    Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
