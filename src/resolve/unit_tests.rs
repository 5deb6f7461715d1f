//! Unit tests: kept in dbt's form, tied to the model they test.

use std::path::Path;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::TemplateText;
use crate::manifest::{DependsOn, JsonMap, OtherResource};
use crate::name::{ResourceType, UniqueId};
use crate::parse::python_text::{repr, repr_str, str_of};
use crate::parse::{Fixture, ParsedProperty, location_at};
use crate::project::Section;

use super::Resolver;
use super::columns::{object, objects, text, texts};
use super::config::{self, ConfigSources};

/// A tested model's id, version and schema.
type Tested = (UniqueId, Option<Json>, Option<String>);

impl Resolver<'_> {
    pub(super) fn add_unit_tests(&mut self, properties: &[ParsedProperty], fixtures: &IndexMap<String, Fixture>) {
        for entry in properties.iter().filter(|entry| entry.section == Section::UnitTests) {
            let outcome = self.unit_tests_of(entry, fixtures);
            for test in crate::parse::keep(outcome, &mut self.diagnostics).unwrap_or_default() {
                self.manifest.unit_tests.insert(test.unique_id.clone(), test);
            }
        }
    }

    /// One unit test; of a versioned model one for each version. None if it or its model is disabled.
    fn unit_tests_of(&mut self, entry: &ParsedProperty, fixtures: &IndexMap<String, Fixture>) -> Outcome<Vec<OtherResource>> {
        let (properties, package) = (&entry.properties, entry.file.package.name.clone());
        let model = text(properties.get("model")).unwrap_or_default();
        let fqn = fqn(entry, &model);
        let given_config = object(properties.get("config"));
        let no_calls = JsonMap::new();
        let sources = ConfigSources {
            kind: ResourceType::UnitTest,
            package: &package,
            fqn: &fqn,
            patch: Some(&given_config),
            calls: &no_calls,
        };
        let config = config::build(self.project, &sources);
        let Some(models) = self.tested_models(entry, &model, &package)? else { return Ok(Vec::new()) };
        if !config.get("enabled").and_then(Json::as_bool).unwrap_or(true) {
            return Ok(Vec::new());
        }
        let read = Rows { entry, package: &package, fixtures, resolver: self };
        let mut given = Vec::new();
        for (index, input) in objects(properties.get("given")).into_iter().enumerate() {
            given.push(read.fixture(input, &["given", &index.to_string()], true)?);
        }
        let expect = read.fixture(&object(properties.get("expect")), &["expect"], false)?;
        models.iter().try_for_each(|(id, ..)| self.check_incremental(entry, id, &given))?;
        let json = self.unit_test_json(entry, &model, given, expect);
        Ok(models.into_iter().map(|(id, version, schema)| finish(entry, &json, &config, &fqn, (id, version, schema))).collect())
    }

    /// The models a unit test runs on, each with its version and schema. None if the model is disabled.
    fn tested_models(&self, entry: &ParsedProperty, model: &str, package: &str) -> Outcome<Option<Vec<Tested>>> {
        let Some(id) = self.refs.get(model, Some(package), None).into_iter().next() else {
            if !self.refs.get_disabled(model, Some(package), None).is_empty() {
                return Ok(None);
            }
            return Diagnostic::error(
                "unit-test-model",
                format!("the unit test `{}` is for `{model}`, which is no model", entry.name),
            )
            .at(location_at(&entry.yaml, &["model"]))
            .suggest(model, self.refs.names())
            .fail();
        };
        let Some(node) = self.manifest.nodes.get(&id) else { return Ok(None) };
        let version = |node: &crate::manifest::Node| node.model.as_ref().and_then(|model| model.version.clone());
        let rule = object(entry.properties.get("versions"));
        if version(node).is_none() {
            let lists_versions = ["include", "exclude"].iter().any(|key| rule.get(*key).is_some_and(|list| !list.is_null()));
            if lists_versions {
                let message = format!(
                    "Unit test '{}' should not have a versions include or exclude when referencing non-versioned model '{}'",
                    entry.name, node.name
                );
                return Diagnostic::error("unit-test-version", message).at(location_at(&entry.yaml, &["versions"])).fail();
            }
            return Ok(Some(vec![(id, None, node.schema.clone())]));
        }
        let wanted = |version: &Json| {
            let listed = |key: &str| rule.get(key).and_then(Json::as_array).is_some_and(|versions| versions.contains(version));
            if rule.contains_key("include") { listed("include") } else { !listed("exclude") }
        };
        let all = self.manifest.nodes.values().filter(|other| {
            other.resource_type == ResourceType::Model && other.name == node.name && other.package_name == node.package_name
        });
        let tested: Vec<Tested> = all
            .filter_map(|other| version(other).map(|version| (other, version)))
            .filter(|(_, version)| wanted(version))
            .map(|(other, version)| (other.unique_id.clone(), Some(version), other.schema.clone()))
            .collect();
        if tested.is_empty() {
            let message = format!("Unit test '{}' referenced a version of '{}' which was not found.", entry.name, node.name);
            return Diagnostic::error("unit-test-version", message).at(location_at(&entry.yaml, &["versions"])).fail();
        }
        Ok(Some(tested))
    }

    /// A model that asks `is_incremental()` needs the answer in the test, and rows of itself where that is yes.
    fn check_incremental(&self, entry: &ParsedProperty, model: &UniqueId, given: &[Json]) -> Outcome<()> {
        let Some(node) = self.manifest.nodes.get(model) else { return Ok(()) };
        if !node.depends_on.macros.iter().any(|id| id.as_str() == "macro.dbt.is_incremental") {
            return Ok(());
        }
        let overrides = entry.properties.get("overrides").and_then(|overrides| overrides.get("macros"));
        let Some(answer) = overrides.and_then(|macros| macros.get("is_incremental")).and_then(Json::as_bool) else {
            let message = format!(
                "Boolean override for 'is_incremental' must be provided for unit test '{}' in model '{}'",
                entry.name, node.name
            );
            return Diagnostic::error("unit-test-incremental", message)
                .at(entry.location.clone())
                .help("add `overrides: {macros: {is_incremental: true}}`, or false for the first run")
                .fail();
        };
        if answer && !given.iter().any(|input| input["input"].as_str().is_some_and(|input| input.trim() == "this")) {
            let message = format!("Unit test '{}' for incremental model '{}' must have a 'this' input", entry.name, node.name);
            return Diagnostic::error("unit-test-incremental", message)
                .at(entry.location.clone())
                .help("add the rows the model already has: `- input: this`")
                .fail();
        }
        Ok(())
    }

    fn unit_test_json(&self, entry: &ParsedProperty, model: &str, given: Vec<Json>, expect: Json) -> JsonMap {
        let properties = &entry.properties;
        let overrides = properties.get("overrides").and_then(Json::as_object).map(|overrides| {
            let part = |key: &str| object(overrides.get(key));
            json!({"macros": part("macros"), "vars": part("vars"), "env_vars": part("env_vars")})
        });
        let versions = properties
            .get("versions")
            .and_then(Json::as_object)
            .map(|versions| json!({"include": versions.get("include"), "exclude": versions.get("exclude")}));
        let checksum = checksum(model, versions.as_ref(), &given, &expect, overrides.as_ref());
        object(Some(&json!({
            "model": model,
            "given": given,
            "expect": expect,
            "name": entry.name,
            "resource_type": "unit_test",
            "package_name": entry.file.package.name,
            "path": entry.file.relative,
            "original_file_path": entry.file.original,
            "unique_id": null,
            "fqn": null,
            "description": text(properties.get("description")).unwrap_or_default(),
            "overrides": overrides,
            "depends_on": null,
            "config": null,
            "checksum": checksum,
            "schema": null,
            "created_at": self.now,
            "versions": versions,
            "version": null,
        })))
    }
}

fn finish(
    entry: &ParsedProperty,
    json: &JsonMap,
    config: &JsonMap,
    fqn: &[String],
    (model_id, version, schema): Tested,
) -> OtherResource {
    let (package, model) = (&entry.file.package.name, json["model"].as_str().unwrap_or_default());
    let suffix = version.as_ref().map(|version| format!("_v{}", str_of(version))).unwrap_or_default();
    let unique_id = UniqueId::from(format!("unit_test.{package}.{model}.{}{suffix}", entry.name));
    let depends_on = DependsOn { macros: Vec::new(), nodes: vec![model_id] };
    let mut json = json.clone();
    json.insert("unique_id".to_string(), json!(unique_id));
    json.insert("fqn".to_string(), json!(fqn));
    json.insert("depends_on".to_string(), json!(depends_on));
    json.insert("config".to_string(), json!(config));
    json.insert("schema".to_string(), json!(schema));
    json.insert("version".to_string(), json!(version));
    OtherResource {
        unique_id,
        resource_type: ResourceType::UnitTest,
        name: entry.name.clone(),
        package_name: package.clone(),
        original_file_path: entry.file.original.to_string(),
        fqn: fqn.to_vec(),
        tags: texts(config.get("tags")),
        config: config.clone(),
        depends_on,
        json,
        location: entry.location.clone(),
    }
}

fn fqn(entry: &ParsedProperty, model: &str) -> Vec<String> {
    let below_root = entry.file.original.split_once('/').map_or("", |(_, rest)| rest);
    let folders = below_root.rsplit_once('/').map_or("", |(folders, _)| folders);
    std::iter::once(entry.file.package.name.as_str())
        .chain(folders.split('/').filter(|folder| !folder.is_empty()))
        .chain([model, entry.name.as_str()])
        .map(String::from)
        .collect()
}

/// Reads the rows of inputs and of the expectation.
struct Rows<'a> {
    entry: &'a ParsedProperty,
    package: &'a str,
    fixtures: &'a IndexMap<String, Fixture>,
    resolver: &'a Resolver<'a>,
}

impl Rows<'_> {
    fn fixture(&self, given: &JsonMap, path: &[&str], is_input: bool) -> Outcome<Json> {
        let format = text(given.get("format")).unwrap_or_else(|| "dict".to_string());
        let wrong = |message: String| Diagnostic::error("unit-test-rows", message).at(location_at(&self.entry.yaml, path)).fail();
        let name = text(given.get("fixture"));
        let fixture = match &name {
            None => None,
            Some(name) => match self.fixtures.get(&format!("{}.{name}", self.package)) {
                Some(fixture) => Some(fixture.text.clone()),
                None => return wrong(format!("there is no fixture file `{name}`")),
            },
        };
        let given_text = || fixture.clone().or_else(|| given.get("rows").and_then(Json::as_str).map(String::from));
        let mut rows = match format.as_str() {
            "dict" => match given.get("rows") {
                Some(Json::Array(rows)) => Json::Array(rows.clone()),
                None | Some(Json::Null) if is_input && name.is_none() => self.seed_rows(given, path)?,
                _ => return wrong(format!("the rows of `{}` are not a list of mappings", self.entry.name)),
            },
            "csv" => match given_text() {
                Some(text) => csv_rows(&text),
                None => return wrong(format!("the rows of `{}` are not CSV text", self.entry.name)),
            },
            "sql" => match given_text() {
                Some(text) => Json::String(text),
                None => return wrong(format!("the rows of `{}` are not SQL text", self.entry.name)),
            },
            other => return wrong(format!("`{other}` is no format of rows; expected `dict`, `csv` or `sql`")),
        };
        promote_full_row(&mut rows);
        let mut json = JsonMap::new();
        if is_input {
            json.insert("input".to_string(), Json::from(text(given.get("input"))));
        }
        json.extend([
            ("rows".to_string(), rows),
            ("format".to_string(), Json::from(format)),
            ("fixture".to_string(), Json::from(name)),
        ]);
        Ok(Json::Object(json))
    }
}

impl Rows<'_> {
    /// An input without rows is a seed: its file's.
    fn seed_rows(&self, given: &JsonMap, path: &[&str]) -> Outcome<Json> {
        let input = text(given.get("input")).unwrap_or_default();
        let location = location_at(&self.entry.yaml, path);
        let template = TemplateText { name: input.clone(), source: format!("{{{{ {input} }}}}"), location: location.clone() };
        let called = self.resolver.jinja.static_calls(&template).unwrap_or_default().refs.into_iter().next();
        let found = called.as_ref().and_then(|args| {
            let package = args.package.as_deref().or(Some(self.package));
            self.resolver.refs.get(&args.name, package, None).into_iter().next()
        });
        let seed =
            found.and_then(|id| self.resolver.manifest.nodes.get(&id)).filter(|node| node.resource_type == ResourceType::Seed);
        let Some(seed) = seed else {
            let message = format!("the input `{input}` of `{}` has no rows, and is no seed to take them from", self.entry.name);
            return Diagnostic::error("unit-test-rows", message).at(location).help("write `rows: []` for none").fail();
        };
        let file = Path::new(seed.root_path.as_deref().unwrap_or_default()).join(&seed.original_file_path);
        match self.resolver.world.read(&file) {
            Ok(bytes) => Ok(csv_rows(&String::from_utf8_lossy(&bytes))),
            Err(error) => {
                let message = format!("the seed file {} cannot be read: {error}", seed.original_file_path);
                Diagnostic::error("unit-test-rows", message).at(location).fail()
            }
        }
    }
}

/// Rows of CSV text as mappings; an empty cell is null.
fn csv_rows(text: &str) -> Json {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headers: Vec<String> = reader.headers().map(|row| row.iter().map(String::from).collect()).unwrap_or_default();
    let rows = reader.records().map_while(Result::ok).map(|row| {
        let cells = headers.iter().enumerate().map(|(index, header)| {
            let cell = row.get(index).filter(|cell| !cell.is_empty());
            (header.clone(), Json::from(cell))
        });
        Json::Object(cells.collect())
    });
    Json::Array(rows.collect())
}

/// The first row without nulls comes first: some databases take a column's type from the first row.
fn promote_full_row(rows: &mut Json) {
    let Json::Array(rows) = rows else { return };
    let full = rows.iter().position(|row| row.as_object().is_some_and(|row| row.values().all(|value| !value.is_null())));
    if let Some(full) = full {
        rows.swap(0, full);
    }
}

/// sha256 over what decides the outcome, spelt as Python spells the objects dbt keeps.
fn checksum(model: &str, versions: Option<&Json>, given: &[Json], expect: &Json, overrides: Option<&Json>) -> String {
    let fixture = |name: &str, value: &Json| {
        let input = if name == "UnitTestInputFixture" { format!("input={}, ", repr(&value["input"])) } else { String::new() };
        let format = value["format"].as_str().unwrap_or_default();
        let kind = match format {
            "csv" => "CSV",
            "sql" => "SQL",
            _ => "Dict",
        };
        format!(
            "{name}({input}rows={}, format=<UnitTestFormat.{kind}: {}>, fixture={})",
            repr(&value["rows"]),
            repr_str(format),
            repr(&value["fixture"])
        )
    };
    let inputs: Vec<String> = given.iter().map(|input| fixture("UnitTestInputFixture", input)).collect();
    let versions = versions.map_or_else(
        || "None".to_string(),
        |versions| {
            format!("UnitTestNodeVersions(include={}, exclude={})", repr(&versions["include"]), repr(&versions["exclude"]))
        },
    );
    let overrides = overrides.map_or_else(
        || "None".to_string(),
        |given| {
            format!(
                "UnitTestOverrides(macros={}, vars={}, env_vars={})",
                repr(&given["macros"]),
                repr(&given["vars"]),
                repr(&given["env_vars"])
            )
        },
    );
    let expected = fixture("UnitTestOutputFixture", expect);
    let mut data = format!("{model}-{versions}-[{}]-{expected}-{overrides}", inputs.join(", "));
    for input in given.iter().filter(|input| !input["fixture"].is_null()) {
        data.push('-');
        data.push_str(&str_of(&input["rows"]));
    }
    crate::parse::hex(&Sha256::digest(data.as_bytes()))
}
