//! `target/compiled` and `target/run`: the SQL of every node as files.

use std::io;

use super::session::Session;
use crate::artifact::TargetFolder;
use crate::manifest::Node;

/// Writes a node's text below `target/<folder>/`; gives the path as people know it.
pub(super) fn write(session: &Session, folder: TargetFolder, node: &Node, text: &str) -> io::Result<String> {
    let path = session.target_path(folder, node);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, text)?;
    Ok(session.display_path(&path))
}
