//! What templates read, while parsing, of what may differ from one call of a command to the next. A parsed project can be used
//! again as long as these answers stay the same.

use std::collections::{BTreeMap, BTreeSet};

/// Answers that came from outside the project's files and target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Environment variables with the values they had; none for one that was not set.
    pub env: BTreeMap<String, Option<String>>,
    /// Names given to `var`, in whichever package.
    pub vars: BTreeSet<String>,
    /// Whether a template looked at `flags`.
    pub flags: bool,
    /// Whether a template looked at what no two calls have in common: the time, the invocation's id, its arguments.
    pub passing: bool,
}
