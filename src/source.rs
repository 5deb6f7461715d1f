//! Places in a project's text: where a value, a call or a mistake stands.

use std::fmt;
use std::sync::Arc;

/// A place in one file of the project: lines and columns count from 1, columns in characters.
///
/// `path` is relative to the project root, with `/` between its parts, so that the same project gives the same text on
/// every machine. Line 0 means "the file as a whole".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Location {
    pub path: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Location {
    pub fn new(path: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { path: path.into(), line, column }
    }

    /// The file as a whole, for mistakes that have no one line (a missing key, an empty file).
    pub fn file(path: impl Into<Arc<str>>) -> Self {
        Self::new(path, 0, 0)
    }

    /// This place moved into the text that holds it: `self` is where a block begins, `inner` a place counted within it.
    pub fn offset_by(&self, line: u32, column: u32) -> Self {
        let first = line <= 1;
        Self {
            path: self.path.clone(),
            line: self.line + line.saturating_sub(1),
            column: if first { self.column + column.saturating_sub(1) } else { column },
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str(&self.path);
        }
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}
