//! What a manifest depends on beside the files: settings, target, and what templates asked for.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::files::sha256;
use crate::invocation::Invocation;
use crate::jinja::Reads;
use crate::manifest::JsonMap;
use crate::project::{Project, Target};
use crate::world::{Stamp, World};

/// Hash of everything the project's own files, packages and target say. `--vars` are looked at one by one.
pub fn project_hash(world: &dyn World, project: &Project) -> String {
    // Every field is named, so that a new one has to be thought of here.
    let Project {
        root,
        name,
        packages,
        target,
        cli_vars: _,
        target_path: _,
        packages_install_path: _,
        clean_targets: _,
        query_comment,
        flags,
        selectors,
    } = project;
    let Target { profile_name, target_name, engine, adapter_type, database, schema, threads: _, settings, secrets } = target;
    let context = target.context();
    let target = (profile_name, target_name, (engine, adapter_type), database, schema, settings, secrets, context);
    let mut text = format!("{name:?} {packages:?} {target:?} {query_comment:?} {flags:?} {selectors:?}");
    if let Some(root) = root.to_str() {
        text = text.replace(root, "<root>");
    }
    let mut bytes = text.into_bytes();
    for package in packages {
        // Hooks carry this file's checksum.
        bytes.extend(world.read(&package.root.join("dbt_project.yml")).unwrap_or_default());
    }
    sha256(&bytes)
}

/// What templates asked for, and what they were told. Values of the environment are kept as hashes: they may be secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answers {
    env: BTreeMap<String, Option<String>>,
    /// `--vars` that were asked for.
    vars: BTreeMap<String, Option<Json>>,
    /// All `--vars`, where any may have been asked for.
    all_vars: Option<JsonMap>,
    /// Hash of `flags`, where they were looked at.
    flags: Option<String>,
}

impl Answers {
    pub fn new(
        project: &Project,
        invocation: &Invocation,
        reads: Reads,
        environment: BTreeMap<String, Option<String>>,
        any_variable: bool,
    ) -> Self {
        let hashed = |(name, value): (String, Option<String>)| (name, value.map(|value| sha256(value.as_bytes())));
        Self {
            env: environment.into_iter().chain(reads.env).map(hashed).collect(),
            vars: reads.vars.into_iter().map(|name| (name.clone(), project.cli_vars.get(&name).cloned())).collect(),
            all_vars: any_variable.then(|| project.cli_vars.clone()),
            flags: reads.flags.then(|| flags_hash(invocation)),
        }
    }

    /// Whether the same questions would be answered the same now.
    pub fn hold(&self, world: &dyn World, project: &Project, invocation: &Invocation) -> bool {
        self.env.iter().all(|(name, value)| world.env(name).map(|value| sha256(value.as_bytes())) == *value)
            && self.vars.iter().all(|(name, value)| project.cli_vars.get(name) == value.as_ref())
            && self.all_vars.as_ref().is_none_or(|vars| *vars == project.cli_vars)
            && self.flags.as_ref().is_none_or(|flags| *flags == flags_hash(invocation))
    }

    /// Whether nothing was asked for that is not among these.
    pub fn cover(&self, reads: &Reads) -> bool {
        !reads.passing
            && (!reads.flags || self.flags.is_some())
            && reads.env.keys().all(|name| self.env.contains_key(name))
            && reads.vars.iter().all(|name| self.vars.contains_key(name))
    }
}

fn flags_hash(invocation: &Invocation) -> String {
    sha256(Json::Object(invocation.flags.clone()).to_string().as_bytes())
}

/// A world that remembers which environment variables were asked for.
pub struct Recorder<'w> {
    world: &'w dyn World,
    environment: Mutex<BTreeMap<String, Option<String>>>,
}

impl<'w> Recorder<'w> {
    pub fn new(world: &'w dyn World) -> Self {
        Self { world, environment: Mutex::default() }
    }

    /// The variables asked for by name, with their values.
    pub fn environment(&self) -> BTreeMap<String, Option<String>> {
        self.asked().clone()
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for Recorder<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.world.read(path)
    }

    fn walk(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.world.walk(folder)
    }

    fn exists(&self, path: &Path) -> bool {
        self.world.exists(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        self.world.stamp(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        let value = self.world.env(name);
        self.asked().insert(name.to_string(), value.clone());
        value
    }

    fn environment(&self) -> BTreeMap<String, String> {
        // The template engine takes all and notes itself which it reads.
        self.world.environment()
    }

    fn current_folder(&self) -> io::Result<PathBuf> {
        self.world.current_folder()
    }

    fn cores(&self) -> usize {
        self.world.cores()
    }

    fn now(&self) -> DateTime<Utc> {
        self.world.now()
    }

    fn new_id(&self) -> String {
        self.world.new_id()
    }
}
