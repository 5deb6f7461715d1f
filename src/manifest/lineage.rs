//! Column lineage: which columns of other nodes and sources each column of a node comes from.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::name::UniqueId;

/// A column of a node or source. What no resource of the project is has the id `relation.<database>.<schema>.<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnRef {
    pub unique_id: UniqueId,
    pub column: String,
}

/// Where the values of one column come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnLineage {
    pub data_type: String,
    /// The value is that of its one source, unchanged but perhaps for its type.
    pub copied: bool,
    /// The value is made of these.
    pub direct: Vec<ColumnRef>,
    /// These pick the value without being part of it: conditions of `case`, partitions and orders of windows.
    pub indirect: Vec<ColumnRef>,
}

/// Where the columns of a node come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLineage {
    /// In the order of the query.
    pub columns: IndexMap<String, ColumnLineage>,
    /// What decides which rows there are and how they are grouped: filters, join conditions, groups. All columns depend on it.
    pub rows: Vec<ColumnRef>,
}
