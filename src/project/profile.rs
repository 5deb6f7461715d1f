//! `profiles.yml`: where it is found, which target is chosen, and the built-in target of a project without one.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::jinja_text::BaseContext;
use super::load::{LoadOptions, current_folder, home, join, read_yaml, shown_path};
use super::yaml::Yaml;
use super::{Project, Target, keys};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::source::Location;
use crate::world::World;

const FILE: &str = "profiles.yml";
/// The engine a project runs on when nothing says otherwise.
const EMBEDDED: &str = "datafusion";
const DUCKDB: &str = "duckdb";

/// What stands for a secret, as in dbt.
pub const MASK: &str = "*****";

/// Connection settings that Jinja may see in `target`, as dbt's adapters list them; never passwords, tokens or keys.
#[rustfmt::skip]
const SHOWN_SETTINGS: &[&str] = &[
    "account", "application_name", "autocommit", "catalog", "cluster_id", "connect_timeout", "database", "dataset", "dbname",
    "execution_project", "external_root", "host", "http_path", "keepalives_idle", "location", "maximum_bytes_billed",
    "memory_limit", "method", "path", "port", "priority", "project", "ra3_node", "region", "retries", "role", "schema",
    "search_path", "server", "sslmode", "timeout_seconds", "user", "warehouse",
];

/// The chosen output: the `profile` and `target` of the command line win over the files'; without any profile the built-in one.
pub(super) fn choose(
    world: &dyn World,
    options: &LoadOptions,
    root: &Path,
    project_profile: Option<&str>,
    warnings: &mut Vec<Diagnostic>,
) -> Outcome<Target> {
    let profile = options.profile.as_deref().or(project_profile);
    let Some(found) = find(world, options, root)? else {
        return match &options.profile {
            Some(name) => Diagnostic::error("profile-not-found", format!("there is no {FILE} to find the profile `{name}` in"))
                .help(format!("put a {FILE} beside dbt_project.yml or into ~/.dbt, or name its folder with `--profiles-dir`"))
                .fail(),
            None => built_in(world, options, root, profile),
        };
    };
    match profile {
        Some(name) => Chooser { world, options, root, file: &found }.target(name, warnings),
        None if found.is_for_this_project => Diagnostic::error("profile-not-found", "the project names no profile")
            .at(Location::file("dbt_project.yml"))
            .help(format!("add `profile: <name>` to dbt_project.yml; {} has {}", found.shown, found.names()))
            .fail(),
        None => built_in(world, options, root, None),
    }
}

/// Flags in `config:` of profiles.yml, where they once belonged, and the place of the key.
pub(super) fn flags(world: &dyn World, options: &LoadOptions, root: &Path) -> Outcome<Option<(JsonMap, Location)>> {
    let Some(found) = find(world, options, root)? else { return Ok(None) };
    let place = found.yaml.key_location("config").cloned();
    let flags = found.yaml.get("config").and_then(Yaml::to_json_map).filter(|flags| !flags.is_empty());
    Ok(flags.zip(place))
}

/// A `profiles.yml` that was found.
struct Profiles {
    shown: String,
    yaml: Yaml,
    /// Not merely the one in the home folder that serves whatever projects there are.
    is_for_this_project: bool,
}

impl Profiles {
    fn profiles(&self) -> impl Iterator<Item = &str> {
        self.yaml.entries().map(|(name, _)| name).filter(|name| *name != "config")
    }

    fn names(&self) -> String {
        listed(self.profiles())
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

/// dbt's search order: the folder named, `DBT_PROFILES_DIR`, the current folder, the project's, `~/.dbt`.
fn find(world: &dyn World, options: &LoadOptions, root: &Path) -> Outcome<Option<Profiles>> {
    let current = current_folder(world)?;
    let named =
        options.profiles_dir.clone().or_else(|| world.env("DBT_PROFILES_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from));
    if let Some(folder) = named {
        let path = join(&current, &folder).join(FILE);
        let Some(found) = read(world, root, &path, true)? else {
            return Diagnostic::error("profile-not-found", format!("there is no {FILE} in {}", folder.display()))
                .help("`--profiles-dir` or DBT_PROFILES_DIR names that folder")
                .fail();
        };
        return Ok(Some(found));
    }
    for folder in [current.as_path(), root] {
        if let Some(found) = read(world, root, &folder.join(FILE), true)? {
            return Ok(Some(found));
        }
    }
    match home(world) {
        Some(home) => read(world, root, &home.join(".dbt").join(FILE), false),
        None => Ok(None),
    }
}

fn read(world: &dyn World, root: &Path, path: &Path, is_for_this_project: bool) -> Outcome<Option<Profiles>> {
    let shown = shown_path(world, root, path);
    let Some((yaml, _)) = read_yaml(world, path, &shown)? else {
        return Ok(None);
    };
    if yaml.as_map().is_none() {
        return Diagnostic::error("profile-value", format!("{FILE} holds a mapping of profiles, not {}", yaml.kind()))
            .at(yaml.location)
            .fail();
    }
    Ok(Some(Profiles { shown, yaml, is_for_this_project }))
}

/// The target of a project without profiles: the embedded engine with its warehouse in a folder beside the project's files.
fn built_in(world: &dyn World, options: &LoadOptions, root: &Path, profile: Option<&str>) -> Outcome<Target> {
    if let Some(name) = options.target.as_deref().filter(|name| *name != "dev") {
        return Diagnostic::error(
            "target-not-found",
            format!("there is no target `{name}`: without a {FILE} the only one is `dev`"),
        )
        .help(format!("write a {FILE} beside dbt_project.yml that has this target"))
        .fail();
    }
    let mut settings = JsonMap::new();
    settings.insert("type".into(), EMBEDDED.into());
    settings.insert("path".into(), root.join("warehouse").to_string_lossy().into_owned().into());
    Ok(Target {
        profile_name: profile.unwrap_or("headwater").to_string(),
        target_name: "dev".to_string(),
        engine: EMBEDDED.to_string(),
        adapter_type: EMBEDDED.to_string(),
        database: "warehouse".to_string(),
        schema: "main".to_string(),
        threads: options.threads.unwrap_or_else(|| world.cores()).max(1),
        settings,
        secrets: secrets(world),
    })
}

/// Picks one output of one profile and reads it.
struct Chooser<'a> {
    world: &'a dyn World,
    options: &'a LoadOptions,
    root: &'a Path,
    file: &'a Profiles,
}

impl Chooser<'_> {
    fn target(&self, profile_name: &str, warnings: &mut Vec<Diagnostic>) -> Outcome<Target> {
        let profile = self.profile(profile_name)?;
        let context = BaseContext::new(self.world, self.options.vars.clone(), None).with_secrets();
        let target_name = self.target_name(profile, &context)?;
        let output = self.output(profile, profile_name, &target_name)?;
        let mut settings = settings(output, &context)?;
        let Some(written) = settings.get("type").and_then(Json::as_str) else {
            return missing(output, "type", &format!("the engine's name, such as `{EMBEDDED}`"));
        };
        let (engine, adapter_type) = engine(written, &settings);
        // A stand-in's database is called as the embedded engine's is, but for DuckDB's profiles, where the file's name counts.
        let named_as = if engine == EMBEDDED && written != DUCKDB { EMBEDDED } else { adapter_type.as_str() };
        let (database, schema) = names(named_as, &settings, output)?;
        if engine == EMBEDDED {
            // A profile written for DuckDB holds settings of DuckDB's own.
            if settings.get("type").and_then(Json::as_str) != Some(DUCKDB) {
                warnings.extend(unknown_settings(output));
            }
            self.complete_embedded(&mut settings);
        }
        Ok(Target {
            profile_name: profile_name.to_string(),
            threads: self.threads(&engine, &settings, output)?,
            target_name,
            engine,
            adapter_type,
            database,
            schema,
            settings,
            secrets: secrets(self.world),
        })
    }

    fn profile(&self, name: &str) -> Outcome<&Yaml> {
        let found = self.file.yaml.get(name);
        match found {
            Some(profile) if profile.as_map().is_some() => Ok(profile),
            Some(profile) => wrong_kind(profile, &format!("the profile `{name}`"), "a mapping with `target` and `outputs`"),
            None => Diagnostic::error("profile-not-found", format!("there is no profile `{name}` in {}", self.file.shown))
                .at(Location::file(self.file.shown.as_str()))
                .suggest(name, self.file.profiles())
                .help(format!("it has {}", self.file.names()))
                .fail(),
        }
    }

    /// `--target`, else the profile's `target`, else `default`, as dbt has it.
    fn target_name(&self, profile: &Yaml, context: &BaseContext<'_>) -> Outcome<String> {
        if let Some(name) = &self.options.target {
            return Ok(name.clone());
        }
        match profile.get("target").filter(|target| !target.is_null()) {
            None => Ok("default".to_string()),
            Some(target) => match context.render_yaml(target, &|_| false)? {
                Json::String(name) => Ok(name),
                other => Ok(other.to_string()),
            },
        }
    }

    fn output<'a>(&self, profile: &'a Yaml, profile_name: &str, target: &str) -> Outcome<&'a Yaml> {
        let Some(outputs) = profile.get("outputs").filter(|outputs| outputs.as_map().is_some()) else {
            return missing(profile, "outputs", "a mapping of targets");
        };
        let Some(output) = outputs.get(target) else {
            let names = || outputs.entries().map(|(name, _)| name);
            return Diagnostic::error("target-not-found", format!("the profile `{profile_name}` has no target `{target}`"))
                .at(outputs.location.clone())
                .suggest(target, names())
                .help(format!("its targets are {}", listed(names())))
                .fail();
        };
        match output.as_map() {
            Some(_) => Ok(output),
            None => wrong_kind(output, &format!("the target `{target}`"), "a mapping of settings"),
        }
    }

    /// The path of a local warehouse becomes absolute: relative ones begin at the project's folder.
    fn complete_embedded(&self, settings: &mut JsonMap) {
        let written = settings.get("path").and_then(Json::as_str).filter(|path| !path.is_empty() && *path != ":memory:");
        let path = match settings.get("type").and_then(Json::as_str) {
            Some(DUCKDB) => written.map_or_else(|| "warehouse".to_string(), beside_the_file),
            _ => written.unwrap_or("warehouse").to_string(),
        };
        let path = match (path.contains("://"), path.strip_prefix("~/"), home(self.world)) {
            (true, _, _) => path.clone(),
            (false, Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
            _ => join(self.root, Path::new(&path)).to_string_lossy().into_owned(),
        };
        settings.insert("path".into(), path.into());
    }

    /// `--threads`, else the target's `threads`, else all cores for the embedded engine and dbt's 1 for others.
    fn threads(&self, engine: &str, settings: &JsonMap, output: &Yaml) -> Outcome<usize> {
        let default = if engine == EMBEDDED { self.world.cores() } else { 1 };
        let written = match settings.get("threads") {
            None | Some(Json::Null) => Some(default),
            Some(Json::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_u64().and_then(|threads| usize::try_from(threads).ok()),
        };
        match self.options.threads.or(written) {
            Some(threads) if threads > 0 => Ok(threads),
            _ => Diagnostic::error("profile-value", "`threads` must be a whole number of at least 1")
                .at(output.get("threads").unwrap_or(output).location.clone())
                .fail(),
        }
    }
}

/// One of a profile's `connections:`, its values rendered. No `Debug`: it may hold passwords.
pub struct Connection {
    pub name: String,
    pub settings: JsonMap,
    pub location: Location,
}

/// The connections of a profile that `names` ask for. The profile is that of the loaded project.
///
/// # Errors
/// `connection-not-found`, and what is wrong in the file.
pub fn connections(world: &dyn World, options: &LoadOptions, project: &Project, names: &[String]) -> Outcome<Vec<Connection>> {
    let profile_name = project.target.profile_name.as_str();
    let Some(file) = find(world, options, &project.root)? else {
        return Diagnostic::error("connection-not-found", format!("there is no {FILE} that could name connections"))
            .help("connections stand there beside the targets: `<profile>: {outputs: …, connections: {<name>: {type: postgres, host: …}}}`")
            .fail();
    };
    let chooser = Chooser { world, options, root: &project.root, file: &file };
    let profile = chooser.profile(profile_name)?;
    let context = BaseContext::new(world, options.vars.clone(), None).with_secrets();
    let known = profile.get("connections");
    names.iter().map(|name| connection(known, profile, name, &context)).collect()
}

fn connection(known: Option<&Yaml>, profile: &Yaml, name: &str, context: &BaseContext<'_>) -> Outcome<Connection> {
    let names = || known.into_iter().flat_map(Yaml::entries).map(|(name, _)| name);
    match known.and_then(|known| known.get(name)) {
        Some(found) if found.as_map().is_some() => {
            Ok(Connection { name: name.to_string(), settings: settings(found, context)?, location: found.location.clone() })
        }
        Some(found) => wrong_kind(found, &format!("the connection `{name}`"), "a mapping of settings"),
        None => Diagnostic::error("connection-not-found", format!("the profile has no connection `{name}`"))
            .at(known.unwrap_or(profile).location.clone())
            .suggest(name, names())
            .help(format!("its `connections` are {}", listed(names())))
            .fail(),
    }
}

/// A password that is no valid Jinja is taken as it is written, as dbt does: such texts are common in passwords.
fn settings(output: &Yaml, context: &BaseContext<'_>) -> Outcome<JsonMap> {
    let mut settings = JsonMap::new();
    for (key, value) in output.entries() {
        let rendered = match context.render_yaml(value, &|_| false) {
            Err(error) if key == "password" && error.code == "jinja" => value.to_json(),
            rendered => rendered?,
        };
        settings.insert(key.to_string(), rendered);
    }
    Ok(settings)
}

fn unknown_settings(output: &Yaml) -> impl Iterator<Item = Diagnostic> {
    let unknown = output.as_map().into_iter().flat_map(|map| keys::unknown(map, keys::DATAFUSION_OUTPUT));
    unknown.map(|(key, (location, _))| {
        Diagnostic::warning("unknown-profile-key", format!("`{key}` is no setting of the engine `{EMBEDDED}`; it has no effect"))
            .at(location.clone())
            .suggest(key, keys::DATAFUSION_OUTPUT.iter().copied())
    })
}

/// What does the work of a target, and the name that its project knows it by. The embedded engine does that of profiles for
/// DuckDB too, and stands in for the system that `acts_as` names.
fn engine(written: &str, settings: &JsonMap) -> (String, String) {
    match written {
        EMBEDDED | "headwater" => {
            let acts_as = settings.get("acts_as").and_then(Json::as_str).filter(|name| !name.is_empty());
            (EMBEDDED.to_string(), acts_as.unwrap_or(EMBEDDED).to_string())
        }
        DUCKDB => (EMBEDDED.to_string(), DUCKDB.to_string()),
        other => (other.to_string(), other.to_string()),
    }
}

/// The warehouse of a profile that names a DuckDB file: a folder beside it, since the file itself is not ours to write.
fn beside_the_file(path: &str) -> String {
    let stem = [".duckdb", ".ddb", ".db"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    format!("{stem}.warehouse")
}

/// The database and schema of a target, by the names that its engine gives them.
fn names(adapter_type: &str, settings: &JsonMap, output: &Yaml) -> Outcome<(String, String)> {
    let text = |key: &str| match settings.get(key)? {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let any = |keys: &[&str]| keys.iter().find_map(|key| text(key));
    let (database, schema) = match adapter_type {
        EMBEDDED => (
            Some(any(&["database"]).unwrap_or_else(|| "warehouse".into())),
            Some(any(&["schema"]).unwrap_or_else(|| "main".into())),
        ),
        "duckdb" => (
            any(&["database"]).or_else(|| Some(duckdb_database(text("path").as_deref()))),
            Some(any(&["schema"]).unwrap_or_else(|| "main".into())),
        ),
        "postgres" | "redshift" => (any(&["dbname", "database"]), any(&["schema"])),
        "bigquery" => (Some(any(&["project", "database"]).unwrap_or_default()), any(&["dataset", "schema"])),
        "databricks" | "trino" => (Some(any(&["catalog", "database"]).unwrap_or_default()), any(&["schema"])),
        _ => (Some(any(&["database", "dbname", "catalog"]).unwrap_or_default()), any(&["schema", "dataset"])),
    };
    match (database, schema) {
        (Some(database), Some(schema)) => Ok((database, schema)),
        (None, _) => missing(output, "dbname", "the database's name"),
        (_, None) => missing(output, "schema", "the schema that models are built in"),
    }
}

/// dbt-duckdb names the database after its file: `/data/shop.duckdb` is `shop`, a database in memory `memory`.
fn duckdb_database(path: Option<&str>) -> String {
    let Some(path) = path.filter(|path| *path != ":memory:") else {
        return "memory".to_string();
    };
    let rest = path.split_once(':').filter(|(scheme, _)| scheme.len() > 1).map_or(path, |(_, rest)| rest);
    let file = rest.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let name = file.trim_start_matches('.').split('.').next().unwrap_or_default();
    if name.is_empty() && path.starts_with("md:") { "my_db".to_string() } else { name.to_string() }
}

fn missing<T>(yaml: &Yaml, key: &str, meaning: &str) -> Outcome<T> {
    Diagnostic::error("profile-value", format!("`{key}` is missing here"))
        .at(yaml.location.clone())
        .help(format!("`{key}` is {meaning}"))
        .fail()
}

fn wrong_kind<T>(yaml: &Yaml, what: &str, wanted: &str) -> Outcome<T> {
    Diagnostic::error("profile-value", format!("{what} must be {wanted}, not {}", yaml.kind())).at(yaml.location.clone()).fail()
}

impl Target {
    /// `target` as Jinja sees it: names, threads and those connection settings that are no secrets.
    pub fn context(&self) -> JsonMap {
        let mut shown: JsonMap = SHOWN_SETTINGS
            .iter()
            .filter_map(|key| self.settings.get(*key).map(|value| (key.to_string(), self.masked(value))))
            .collect();
        let aliases: &[&str] = match self.adapter_type.as_str() {
            "postgres" | "redshift" => &["dbname"],
            "bigquery" => &["project", "dataset"],
            _ => &[],
        };
        for alias in aliases {
            let value = if *alias == "dataset" { &self.schema } else { &self.database };
            shown.insert(alias.to_string(), value.as_str().into());
        }
        shown.insert("database".into(), self.database.as_str().into());
        shown.insert("schema".into(), self.schema.as_str().into());
        shown.insert("type".into(), self.adapter_type.as_str().into());
        shown.insert("threads".into(), self.threads.into());
        shown.insert("name".into(), self.target_name.as_str().into());
        shown.insert("target_name".into(), self.target_name.as_str().into());
        shown.insert("profile_name".into(), self.profile_name.as_str().into());
        shown
    }

    /// The value, or asterisks for a text that holds a secret.
    fn masked(&self, value: &Json) -> Json {
        match value.as_str() {
            Some(text) if self.secrets.iter().any(|secret| text.contains(secret.as_str())) => MASK.into(),
            _ => value.clone(),
        }
    }
}

/// The values of all secret environment variables.
pub fn secrets(world: &dyn World) -> Vec<String> {
    let named = |(name, value): (String, String)| (name.starts_with(super::SECRET_PREFIX) && !value.is_empty()).then_some(value);
    world.environment().into_iter().filter_map(named).collect()
}
