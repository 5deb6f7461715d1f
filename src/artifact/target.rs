//! Where a node's code lies below the target folder.

use crate::manifest::Node;
use crate::name::ResourceType;

/// The two trees of code below the target folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFolder {
    /// The select statement after Jinja.
    Compiled,
    /// The statement as it was sent to the database.
    Run,
}

/// The node's file below the target folder: `compiled/shop/models/orders.sql`.
///
/// What is declared with others in one file gets that file as a folder, such as
/// `compiled/shop/models/_models.yml/not_null_orders_id.sql`; so does every snapshot, as one file may hold several of them.
pub fn target_file(node: &Node, folder: TargetFolder) -> String {
    let folder = match folder {
        TargetFolder::Compiled => "compiled",
        TargetFolder::Run => "run",
    };
    let (package, file) = (&node.package_name, &node.original_file_path);
    if node.resource_type == ResourceType::Snapshot {
        return format!("{folder}/{package}/{file}/{}.sql", node.name);
    }
    if base_name(&node.path) == base_name(file) {
        return format!("{folder}/{package}/{file}");
    }
    format!("{folder}/{package}/{file}/{}", node.path)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
