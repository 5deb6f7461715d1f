//! What a run is about to do and has done, line by line, for `retry` after a run that could not say how it ended.
//!
//! The file stands in the target folder while a run goes. The first line says the command and every node it means to work
//! on, each further one how a node ended. It is removed when `run_results.json` is written, so a journal that is there belongs
//! to a run that was killed. A line is written with one call; a torn last line is left out when reading.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::manifest::JsonMap;
use crate::name::UniqueId;
use crate::result::{NodeResult, Status};

const NAME: &str = "unfinished_run.jsonl";

/// A journal being written.
pub struct Journal {
    file: Mutex<File>,
}

/// What a run that was killed left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unfinished {
    /// The command's flags, as `run_results.json` would have them.
    pub args: JsonMap,
    /// Every node it meant to work on, with how it ended; none where it did not.
    pub nodes: Vec<(UniqueId, Option<Status>)>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    args: JsonMap,
    nodes: Vec<UniqueId>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    unique_id: UniqueId,
    status: Status,
}

impl Journal {
    /// Begins the journal of a run in its target folder, in place of an older one.
    pub fn begin(target: &Path, args: &JsonMap, nodes: Vec<UniqueId>) -> io::Result<Self> {
        fs::create_dir_all(target)?;
        let draft = target.join(format!(".{NAME}.{}.tmp", std::process::id()));
        let mut file = File::create(&draft)?;
        file.write_all(&line(&Head { args: args.clone(), nodes })?)?;
        fs::rename(&draft, path(target))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Notes how a node ended. The journal only helps: what cannot be written is left out.
    pub fn note(&self, result: &NodeResult) {
        let text = line(&Line { unique_id: result.unique_id.clone(), status: result.status });
        if let Ok(text) = text {
            let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        }
    }
}

/// Removes the journal: the run has told how it ended.
pub fn end_journal(target: &Path) {
    let _ = fs::remove_file(path(target));
}

/// The journal of a killed run, if there is one.
pub fn read_journal(target: &Path) -> Option<Unfinished> {
    let text = fs::read_to_string(path(target)).ok()?;
    let mut lines = text.split_inclusive('\n');
    let head: Head = serde_json::from_str(lines.next()?).ok()?;
    let ended: HashMap<UniqueId, Status> =
        lines.filter_map(|line| serde_json::from_str::<Line>(line).ok()).map(|line| (line.unique_id, line.status)).collect();
    let nodes = head.nodes.into_iter().map(|id| (id.clone(), ended.get(&id).copied())).collect();
    Some(Unfinished { args: head.args, nodes })
}

fn path(target: &Path) -> PathBuf {
    target.join(NAME)
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}
