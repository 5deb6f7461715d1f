//! `target/compiled` and `target/run`: the SQL of every node as files.

use std::io;
use std::path::PathBuf;

use super::session::Session;
use crate::artifact::TargetFolder;
use crate::manifest::Node;

/// Writes a node's text below `target/<folder>/`; gives the path as people know it.
pub(super) fn write(session: &Session, folder: TargetFolder, node: &Node, text: &str) -> io::Result<String> {
    let path = write_to(session, session.target_path(folder, node), text)?;
    if folder == TargetFolder::Run {
        session.keep_build_path(node, &path);
    }
    Ok(path)
}

/// The same for one batch of a microbatch model: `models/events/events_2024-09-17.sql`.
pub(super) fn write_batch(session: &Session, folder: TargetFolder, node: &Node, batch: &str, text: &str) -> io::Result<String> {
    let whole = session.target_path(folder, node);
    let name = whole.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // A model may have been a file here before it was a microbatch model.
    let path = whole.with_extension("").join(format!("{name}_{batch}.sql"));
    write_to(session, path, text)
}

fn write_to(session: &Session, path: PathBuf, text: &str) -> io::Result<String> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, text)?;
    Ok(session.display_path(&path))
}
