//! `dbt_project.yml`: read, rendered, checked and filled with dbt's defaults.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::jinja_text::{BaseContext, DBT_VERSION};
use super::load::{read_yaml, shown_path};
use super::yaml::Yaml;
use super::{Package, keys};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::source::Location;
use crate::world::World;

/// Config trees and the name each is kept under.
const CONFIG_TREES: [(&str, &str); 13] = [
    ("models", "models"),
    ("seeds", "seeds"),
    ("snapshots", "snapshots"),
    ("analyses", "analyses"),
    ("sources", "sources"),
    ("tests", "data_tests"),
    ("data_tests", "data_tests"),
    ("unit_tests", "unit_tests"),
    ("exposures", "exposures"),
    ("metrics", "metrics"),
    ("semantic-models", "semantic_models"),
    ("saved-queries", "saved_queries"),
    ("functions", "functions"),
];

/// Names a project may not have, because Jinja's context has them (dbt's list).
#[rustfmt::skip]
const RESERVED_NAMES: &[&str] = &[
    "_sql_results", "adapter", "api", "column", "config", "context", "database", "env", "env_var", "exceptions", "execute",
    "flags", "fromjson", "fromyaml", "graph", "invocation_id", "load_agate_table", "load_result", "log", "model", "modules",
    "post_hooks", "pre_hooks", "ref", "render", "return", "run_started_at", "schema", "source", "sql", "sql_now", "store_result",
    "store_raw_result", "target", "this", "tojson", "toyaml", "try_or_compiler_error", "var", "write",
];

/// A package's `dbt_project.yml` as written.
pub(super) struct ProjectText {
    pub root: PathBuf,
    pub yaml: Yaml,
}

/// What only the root project's file decides.
pub(super) struct Settings {
    pub target_path: String,
    pub packages_install_path: String,
    pub clean_targets: Vec<String>,
    pub query_comment: Json,
    pub flags: JsonMap,
}

/// Reads the file of the package in `folder`; `root` is the project's folder, which messages are relative to.
pub(super) fn read(world: &dyn World, root: &Path, folder: &Path, warnings: &mut Vec<Diagnostic>) -> Outcome<ProjectText> {
    let path = folder.join("dbt_project.yml");
    let shown = shown_path(world, root, &path);
    let Some((yaml, found)) = read_yaml(world, &path, &shown)? else {
        return Diagnostic::error("project-not-found", format!("there is no dbt_project.yml in {}", folder.display())).fail();
    };
    if yaml.as_map().is_none() {
        return Diagnostic::error("project-value", format!("dbt_project.yml holds a mapping of keys, not {}", yaml.kind()))
            .at(yaml.location)
            .fail();
    }
    warnings.extend(found);
    Ok(ProjectText { root: folder.to_path_buf(), yaml })
}

/// `vars:` of a `vars.yml` beside `dbt_project.yml`; having vars in both files is a mistake, as in dbt.
pub(super) fn vars_file(world: &dyn World, root: &Path, project: &Yaml) -> Outcome<Option<JsonMap>> {
    let Some((yaml, _)) = read_yaml(world, &root.join("vars.yml"), "vars.yml")? else {
        return Ok(None);
    };
    let Some(vars) = yaml.get("vars").filter(|vars| !vars.is_null()) else {
        return Ok(None);
    };
    let Some(map) = vars.to_json_map() else {
        return wrong_kind(vars, "vars", "a mapping");
    };
    match project.get("vars").and_then(Yaml::as_map).filter(|own| !own.is_empty() && !map.is_empty()) {
        None => Ok(Some(map)),
        Some(_) => Diagnostic::error("vars-twice", "vars are given in vars.yml and in dbt_project.yml too")
            .at(project.key_location("vars").cloned().unwrap_or_else(|| project.location.clone()))
            .help("keep them in one of the two files")
            .fail(),
    }
}

/// The package that the file describes.
pub(super) fn package(text: &ProjectText, context: &BaseContext<'_>, warnings: &mut Vec<Diagnostic>) -> Outcome<Package> {
    check_keys(&text.yaml, warnings)?;
    let Json::Object(raw) = context.render_yaml(&text.yaml, &is_rendered_later)? else {
        return wrong_kind(&text.yaml, "dbt_project.yml", "a mapping");
    };
    let file = Keys { yaml: &text.yaml, raw: &raw };
    let name = name(&file)?;
    check_required_version(&file, &name)?;
    let paths = |key: &str, default: &str| Ok::<_, Box<Diagnostic>>(file.strings(key)?.unwrap_or_else(|| vec![default.into()]));
    let renamed = |new: &str, old: &str, default: &str| paths(if raw.contains_key(new) { new } else { old }, default);
    let mut package = Package {
        name,
        root: text.root.clone(),
        version: file.text("version"),
        model_paths: renamed("model-paths", "source-paths", "models")?,
        seed_paths: renamed("seed-paths", "data-paths", "seeds")?,
        test_paths: paths("test-paths", "tests")?,
        analysis_paths: paths("analysis-paths", "analyses")?,
        macro_paths: paths("macro-paths", "macros")?,
        snapshot_paths: paths("snapshot-paths", "snapshots")?,
        docs_paths: file.strings("docs-paths")?.unwrap_or_default(),
        asset_paths: file.strings("asset-paths")?.unwrap_or_default(),
        config_trees: config_trees(&file)?,
        written_trees: written_trees(&text.yaml),
        vars: file.mapping("vars")?,
        on_run_start: file.hooks("on-run-start")?,
        on_run_end: file.hooks("on-run-end")?,
        dispatch: dispatch(&file)?,
        quoting: file.mapping("quoting")?,
        restrict_access: raw.get("restrict-access").and_then(Json::as_bool).unwrap_or(false),
        raw: JsonMap::new(),
    };
    let functions = paths("function-paths", "functions")?;
    package.raw = raw;
    package.raw.insert("function-paths".into(), Json::from(functions));
    if !package.raw.contains_key("docs-paths") {
        package.docs_paths = package.source_paths();
    }
    Ok(package)
}

/// What the root project's file says beyond its package.
pub(super) fn settings(text: &ProjectText, package: &Package) -> Outcome<Settings> {
    let file = Keys { yaml: &text.yaml, raw: &package.raw };
    let target_path = file.text("target-path").unwrap_or_else(|| "target".to_string());
    Ok(Settings {
        packages_install_path: file.text("packages-install-path").unwrap_or_else(|| "dbt_packages".to_string()),
        clean_targets: file.strings("clean-targets")?.unwrap_or_else(|| vec![target_path.clone()]),
        target_path,
        query_comment: package.raw.get("query-comment").cloned().unwrap_or_else(|| Json::Object(JsonMap::new())),
        flags: file.mapping("flags")?,
    })
}

impl Package {
    /// Every folder that holds resources, each once: models, seeds, snapshots, analyses, macros, tests, functions.
    pub fn source_paths(&self) -> Vec<String> {
        let groups = [
            &self.model_paths,
            &self.seed_paths,
            &self.snapshot_paths,
            &self.analysis_paths,
            &self.macro_paths,
            &self.test_paths,
        ];
        let functions = self.function_paths();
        let all = groups.into_iter().flatten().chain(&functions);
        all.map(|path| path.trim_end_matches('/').to_string()).collect::<indexmap::IndexSet<_>>().into_iter().collect()
    }

    /// The folders of functions.
    pub fn function_paths(&self) -> Vec<String> {
        let paths = self.raw.get("function-paths").and_then(Json::as_array).into_iter().flatten();
        paths.filter_map(Json::as_str).map(str::to_string).collect()
    }
}

/// dbt renders hooks, vars and the query comment when they are used, not here.
fn is_rendered_later(path: &[&str]) -> bool {
    match path.first() {
        Some(&("on-run-start" | "on-run-end" | "query-comment" | "vars")) => true,
        Some(&("seeds" | "models" | "snapshots" | "tests" | "data_tests")) => path
            .iter()
            .any(|key| matches!(key.trim_start_matches(['+', ' ']), "pre-hook" | "post-hook" | "pre_hook" | "post_hook")),
        _ => false,
    }
}

fn check_keys(yaml: &Yaml, warnings: &mut Vec<Diagnostic>) -> Outcome<()> {
    let renamed = [("source-paths", "model-paths", "renamed-source-paths"), ("data-paths", "seed-paths", "renamed-data-paths")];
    for (old, new, code) in renamed {
        let Some(location) = yaml.key_location(old) else { continue };
        if yaml.get(new).is_some() {
            return Diagnostic::error("project-value", format!("`{old}` is the old name of `{new}`, but both are given"))
                .at(location.clone())
                .help(format!("keep `{new}` only"))
                .fail();
        }
        let message = format!("`{old}` is the old name of `{new}`");
        warnings.push(Diagnostic::warning(code, message).at(location.clone()).help(format!("call it `{new}`")));
    }
    for (key, usual, code) in [("log-path", "logs", "project-log-path"), ("target-path", "target", "project-target-path")] {
        let Some(value) = yaml.get(key).filter(|value| value.to_json() != *usual) else { continue };
        let message = format!("dbt deprecates `{key}` in dbt_project.yml");
        let flag = format!("DBT_{}", key.replace('-', "_").to_uppercase());
        let warning = Diagnostic::warning(code, message).at(value.location.clone());
        warnings.push(warning.help(format!("use the flag --{key}, or the variable {flag}")));
    }
    if let (Some(location), Some(true)) = (yaml.key_location("tests"), yaml.get("data_tests").map(|tests| !tests.is_null())) {
        return Diagnostic::error("project-value", "`tests` is the old name of `data_tests`, but both are given")
            .at(location.clone())
            .fail();
    }
    let unknown = yaml.as_map().into_iter().flat_map(|map| keys::unknown(map, keys::PROJECT));
    warnings.extend(unknown.map(|(key, (location, _))| {
        Diagnostic::warning("unknown-project-key", format!("`{key}` is no key of dbt_project.yml; it has no effect"))
            .at(location.clone())
            .suggest(key, keys::PROJECT.iter().copied())
    }));
    Ok(())
}

/// Letters, digits and underscores, not beginning with a digit, and no name of Jinja's context.
fn name(file: &Keys<'_>) -> Outcome<String> {
    let Some(value) = file.yaml.get("name") else {
        return Diagnostic::error("project-name", "dbt_project.yml has no `name`")
            .at(Location::file(file.yaml.location.path.clone()))
            .help("give the project a name: letters, digits and underscores")
            .fail();
    };
    let name = file.raw.get("name").and_then(Json::as_str).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let valid = name.chars().all(is_word) && name.chars().next().is_some_and(|first| !first.is_numeric());
    if !valid {
        return Diagnostic::error("project-name", format!("`{name}` is no valid project name"))
            .at(value.location.clone())
            .help("a name has letters, digits and underscores, and does not begin with a digit")
            .fail();
    }
    if RESERVED_NAMES.contains(&name) {
        return Diagnostic::error("project-name", format!("a project cannot be called `{name}`, because Jinja uses that name"))
            .at(value.location.clone())
            .fail();
    }
    Ok(name.to_string())
}

fn config_trees(file: &Keys<'_>) -> Outcome<IndexMap<String, JsonMap>> {
    let mut trees = IndexMap::new();
    for (key, kept_as) in CONFIG_TREES {
        if file.raw.contains_key(key) {
            trees.insert(kept_as.to_string(), file.mapping(key)?);
        }
    }
    Ok(trees)
}

fn written_trees(yaml: &Yaml) -> IndexMap<String, JsonMap> {
    let tree = |(key, kept_as): (&str, &str)| Some((kept_as.to_string(), yaml.get(key)?.to_json_map()?));
    CONFIG_TREES.into_iter().filter_map(tree).collect()
}

fn dispatch(file: &Keys<'_>) -> Outcome<Vec<JsonMap>> {
    let Some(value) = file.raw.get("dispatch").filter(|value| !value.is_null()) else {
        return Ok(Vec::new());
    };
    let entries =
        value.as_array().map(|entries| entries.iter().map(|entry| entry.as_object().cloned()).collect::<Option<Vec<_>>>());
    let valid = |entry: &JsonMap| entry.contains_key("macro_namespace") && entry.get("search_order").is_some_and(Json::is_array);
    match entries.flatten() {
        Some(entries) if entries.iter().all(valid) => Ok(entries),
        _ => file.wrong("dispatch", "a list of mappings with `macro_namespace` and a list `search_order`"),
    }
}

/// `require-dbt-version` against the dbt version that headwater follows.
fn check_required_version(file: &Keys<'_>, name: &str) -> Outcome<()> {
    let required: Vec<String> = match file.raw.get("require-dbt-version") {
        None | Some(Json::Null) => return Ok(()),
        Some(Json::String(text)) => text.split(',').map(str::to_string).collect(),
        Some(_) => file.strings("require-dbt-version")?.unwrap_or_default(),
    };
    for specifier in &required {
        match version_matches(specifier, DBT_VERSION) {
            Some(true) => {}
            Some(false) => {
                return Diagnostic::error("dbt-version", format!("`{name}` needs a dbt version {}", required.join(", ")))
                    .at(file.place("require-dbt-version"))
                    .help(format!("headwater follows dbt {DBT_VERSION}"))
                    .fail();
            }
            None => {
                return Diagnostic::error("dbt-version", format!("`{specifier}` is no version specifier"))
                    .at(file.place("require-dbt-version"))
                    .help("write it as `>=1.5.0`, several with commas between them or as a list")
                    .fail();
            }
        }
    }
    Ok(())
}

/// Whether `version` fits `>=1.2.0`, `<2.0.0`, `=1.12.6`, `1.12.6`; none where the specifier is malformed.
fn version_matches(specifier: &str, version: &str) -> Option<bool> {
    let specifier = specifier.trim();
    let at = specifier.find(|c: char| c.is_ascii_digit())?;
    let (operator, wanted) = specifier.split_at(at);
    let order = version_parts(version)?.cmp(&version_parts(wanted)?);
    match operator.trim() {
        "" | "=" | "==" => Some(order.is_eq()),
        ">=" => Some(order.is_ge()),
        ">" => Some(order.is_gt()),
        "<=" => Some(order.is_le()),
        "<" => Some(order.is_lt()),
        _ => None,
    }
}

/// Major, minor, patch and whether it is final: a prerelease (`1.2.0-b1`, `1.2.0rc1`) comes before its release.
fn version_parts(version: &str) -> Option<(u32, u32, u32, bool)> {
    let version = version.split('+').next()?;
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut numbers = version[..end].split('.').map(|part| part.parse().ok());
    let parts = (numbers.next()??, numbers.next()??, numbers.next()??, end == version.len());
    numbers.next().is_none().then_some(parts)
}

fn wrong_kind<T>(value: &Yaml, key: &str, wanted: &str) -> Outcome<T> {
    Diagnostic::error("project-value", format!("`{key}` must be {wanted}, not {}", value.kind()))
        .at(value.location.clone())
        .fail()
}

/// The file's top level: rendered values, and the places that they come from.
struct Keys<'a> {
    yaml: &'a Yaml,
    raw: &'a JsonMap,
}

impl Keys<'_> {
    fn place(&self, key: &str) -> Location {
        self.yaml.get(key).unwrap_or(self.yaml).location.clone()
    }

    fn wrong<T>(&self, key: &str, wanted: &str) -> Outcome<T> {
        wrong_kind(self.yaml.get(key).unwrap_or(self.yaml), key, wanted)
    }

    /// A text or a number as text; none where absent or null.
    fn text(&self, key: &str) -> Option<String> {
        match self.raw.get(key)? {
            Json::String(text) => Some(text.clone()),
            Json::Null => None,
            other => Some(other.to_string()),
        }
    }

    /// A list of texts; none where absent or null.
    fn strings(&self, key: &str) -> Outcome<Option<Vec<String>>> {
        let items = match self.raw.get(key) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Array(items)) => items,
            Some(_) => return self.wrong(key, "a list of texts"),
        };
        match items.iter().map(|item| item.as_str().map(str::to_string)).collect::<Option<Vec<_>>>() {
            Some(texts) => Ok(Some(texts)),
            None => self.wrong(key, "a list of texts"),
        }
    }

    /// A mapping; empty where absent or null.
    fn mapping(&self, key: &str) -> Outcome<JsonMap> {
        match self.raw.get(key) {
            None | Some(Json::Null) => Ok(JsonMap::new()),
            Some(Json::Object(map)) => Ok(map.clone()),
            Some(_) => self.wrong(key, "a mapping"),
        }
    }

    /// One text or a list of them.
    fn hooks(&self, key: &str) -> Outcome<Vec<String>> {
        match self.raw.get(key) {
            Some(Json::String(text)) => Ok(vec![text.clone()]),
            _ => Ok(self.strings(key)?.unwrap_or_default()),
        }
    }
}
