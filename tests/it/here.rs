//! The machine as tests see it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use headwater::world::{OsWorld, Stamp, World};

/// The real machine with an environment of its own: nothing of the environment the tests run in.
#[derive(Default)]
pub struct Here {
    pub env: BTreeMap<String, String>,
    pub program: String,
}

impl World for Here {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsWorld.read(path)
    }

    fn walk(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        OsWorld.walk(folder)
    }

    fn exists(&self, path: &Path) -> bool {
        OsWorld.exists(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        OsWorld.stamp(path)
    }

    fn program(&self) -> Option<String> {
        Some(self.program.clone())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.env.clone()
    }

    fn current_folder(&self) -> io::Result<PathBuf> {
        OsWorld.current_folder()
    }

    fn cores(&self) -> usize {
        2
    }

    fn now(&self) -> DateTime<Utc> {
        OsWorld.now()
    }

    fn new_id(&self) -> String {
        OsWorld.new_id()
    }
}
