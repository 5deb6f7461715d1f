//! Generic tests: from `tests:`/`data_tests:` entries to test nodes with dbt's names, ids and configs.

use std::collections::HashSet;
use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::TemplateText;
use crate::manifest::{JsonMap, Node, RefArgs, TestDetail};
use crate::name::{ResourceType, UniqueId};
use crate::parse::python_text::{hashable_repr, str_of};
use crate::parse::{Capture, LiteralCall, ParseScope, ParsedProperty, capture_text, literal_call, property_context, value_of};
use crate::project::yaml::{Yaml, YamlValue};
use crate::project::{Package, Section, has_jinja};
use crate::source::Location;

use super::columns::{objects, text, texts};
use super::node::{Calls, add_references, blank, is_enabled};
use super::test_definition::{Definition, name_and_arguments};
use super::{Resolver, names, versions};

/// A test as a property file has it.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Its name, or a mapping from the name to its arguments.
    pub test: &'a Json,
    pub column: Option<&'a str>,
    /// The column or table it stands in, where that is known.
    pub place: Option<&'a Yaml>,
    /// Those of the column and the table, before its own.
    pub tags: &'a [String],
}

/// What a test stands on.
pub(super) struct Target {
    pub package: Arc<Package>,
    /// As it appears in the test's name (`orders`, `orders_v2`, `raw_orders`).
    pub name: String,
    /// `ref('orders')` or `source('raw', 'orders')`.
    pub call: LiteralCall,
    pub original_file_path: String,
    /// `models.orders`.
    pub file_key_name: String,
    pub attached: Option<UniqueId>,
    pub group: Option<String>,
}

impl Target {
    fn call_text(&self) -> String {
        match &self.call {
            LiteralCall::Ref(RefArgs { name, version: Some(version), .. }) => {
                format!("ref('{name}', version='{}')", str_of(version))
            }
            LiteralCall::Ref(args) => format!("ref('{}')", args.name),
            LiteralCall::Source([source, table]) => format!("source('{source}', '{table}')"),
            LiteralCall::Metric(_) => String::new(),
        }
    }

    pub fn is_source(&self) -> bool {
        matches!(self.call, LiteralCall::Source(_))
    }
}

/// Keys that are config wherever they stand.
const CONFIG_KEYS: [&str; 15] = [
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "sql_header",
    "meta",
    "database",
    "schema",
    "alias",
];

/// What `depends_on.macros` of a test holds where there is no such test: Python's word for nothing, as dbt writes it.
const NO_MACRO: &str = "None";

impl Resolver<'_> {
    /// Adds the tests of models, seeds and snapshots; gives back the entries of other kinds.
    pub(super) fn add_generic_tests(&mut self, properties: Vec<ParsedProperty>) -> Vec<ParsedProperty> {
        let mut others = Vec::new();
        for entry in properties {
            if matches!(entry.section, Section::Models | Section::Seeds | Section::Snapshots) {
                let outcome = self.tests_of(&entry);
                crate::parse::keep(outcome, &mut self.diagnostics);
            } else {
                others.push(entry);
            }
        }
        others
    }

    fn tests_of(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let versions = if entry.section == Section::Models { versions::of(entry)? } else { Vec::new() };
        if versions.is_empty() {
            let columns: Vec<JsonMap> = objects(entry.properties.get("columns")).into_iter().cloned().collect();
            let tests = test_list(&entry.properties, &entry.name, &entry.location)?;
            self.tests_of_target(entry, None, &columns, &tests);
            return Ok(());
        }
        for version in versions {
            let tests = match version.tests {
                Some(tests) => tests,
                None => test_list(&entry.properties, &entry.name, &entry.location)?,
            };
            self.tests_of_target(entry, Some(version.v), &version.columns, &tests);
        }
        Ok(())
    }

    fn tests_of_target(&mut self, entry: &ParsedProperty, version: Option<Json>, columns: &[JsonMap], tests: &[Json]) {
        let package = entry.file.package.clone();
        let attached = self.attached(&entry.name, &package.name, version.as_ref());
        let name = match &version {
            Some(version) => format!("{}_v{}", entry.name, str_of(version)),
            None => entry.name.clone(),
        };
        let args = RefArgs { name: entry.name.clone(), package: None, version };
        let group = attached.as_ref().and_then(|id| self.group_of(id));
        let target = Target {
            package,
            name,
            call: LiteralCall::Ref(args),
            original_file_path: entry.file.original.to_string(),
            file_key_name: format!("{}.{}", entry.section.as_str(), entry.name),
            attached,
            group,
        };
        let quoted = entry.properties.get("quote_columns").and_then(Json::as_bool).unwrap_or(false);
        for column in columns {
            let outcome = test_list(column, &entry.name, &entry.location);
            let Some(tests) = crate::parse::keep(outcome, &mut self.diagnostics) else { continue };
            let column_name = quoted_name(column, quoted);
            let mut tags = texts(column.get("tags"));
            tags.extend(texts(column.get("config").and_then(|config| config.get("tags"))));
            let place = named(entry.yaml.get("columns"), column.get("name"));
            for test in &tests {
                self.add_test(&target, Given { test, column: column_name.as_deref(), place, tags: &tags }, entry);
            }
        }
        for test in tests {
            self.add_test(&target, Given { test, column: None, place: None, tags: &[] }, entry);
        }
    }

    fn attached(&self, name: &str, package: &str, version: Option<&Json>) -> Option<UniqueId> {
        let enabled = self.refs.get(name, Some(package), version).into_iter().next();
        enabled.or_else(|| self.refs.get_disabled(name, None, version).into_iter().next())
    }

    fn group_of(&self, id: &UniqueId) -> Option<String> {
        let node = self.manifest.nodes.get(id).or_else(|| self.manifest.disabled_nodes.get(id)?.first())?;
        node.group.clone()
    }

    /// Adds one test node; a mistake in it becomes a diagnostic.
    pub(super) fn add_test(&mut self, target: &Target, given: Given<'_>, entry: &ParsedProperty) {
        let location = test_location(entry, &given);
        let outcome = self.test_node(target, given, &location);
        if let Some(node) = crate::parse::keep(outcome, &mut self.diagnostics) {
            if node.depends_on.macros.first().is_some_and(|id| id.as_str() == NO_MACRO) && is_enabled(&node) {
                let name = node.test.as_ref().map_or("", |test| test.name.as_str());
                let missing = Diagnostic::warning("test-not-found", format!("there is no generic test `{name}`"))
                    .at(location)
                    .help("a generic test is a `{% test name(model) %}` block below `tests/generic` or in a macro file")
                    .suggest(name, self.macros.test_names());
                self.diagnostics.push(missing);
            }
            self.diagnostics.extend(self.deprecated_config(target, given.test, &node.location));
            self.diagnostics.extend(self.deprecated_arguments(target, given.test, &node.location));
            // No property file changes a generic test's config: its calls are of no further use.
            self.add_node(node, Calls::default());
        }
    }

    /// dbt 1.12 wants a test's configuration below `config`.
    fn deprecated_config(&self, target: &Target, test: &Json, location: &Location) -> Vec<Diagnostic> {
        let Ok((name, args)) = name_and_arguments(test, location) else { return Vec::new() };
        let outside = args.keys().filter(|key| self.nests_arguments() && CONFIG_KEYS.contains(&key.as_str()));
        let warning = |key: &String| {
            let message = format!("`{key}` of the test `{name}` on `{}` stands outside `config`", target.name);
            let warning = Diagnostic::warning("test-config-not-nested", message).at(location.clone());
            warning.help("dbt deprecates this: move it below `config:`")
        };
        outside.map(warning).collect()
    }

    /// dbt 1.12 wants a test's own arguments below `arguments`, unless the project's flag says that this is no keyword.
    fn deprecated_arguments(&self, target: &Target, test: &Json, location: &Location) -> Option<Diagnostic> {
        let (name, args) = name_and_arguments(test, location).ok()?;
        if !self.nests_arguments() {
            let message = format!("`arguments` of the test `{name}` on `{}` is an argument like any other here", target.name);
            let warning = Diagnostic::warning("test-arguments-nested", message).at(location.clone());
            let help = "set the flag `require_generic_test_arguments_property` to nest arguments below it";
            return args.contains_key("arguments").then(|| warning.help(help));
        }
        let is_own = |key: &str| !["config", "column_name", "description", "name"].contains(&key) && !CONFIG_KEYS.contains(&key);
        if args.contains_key("arguments") || !args.keys().any(|key| is_own(key)) {
            return None;
        }
        let message = format!("arguments of the test `{name}` on `{}` stand outside `arguments`", target.name);
        let warning = Diagnostic::warning("test-arguments-not-nested", message).at(location.clone());
        Some(warning.help("dbt deprecates this: nest them below `arguments:`"))
    }

    /// The flag `require_generic_test_arguments_property`, which is on unless the project says otherwise.
    fn nests_arguments(&self) -> bool {
        self.project.flags.get("require_generic_test_arguments_property").and_then(Json::as_bool).unwrap_or(true)
    }

    fn test_node(&self, target: &Target, given: Given<'_>, location: &Location) -> Outcome<Node> {
        let Given { test, column, place: _, tags } = given;
        let mut definition = self.define(target, test, column, location)?;
        let model = format!("{{{{ get_where_subquery({}) }}}}", target.call_text());
        definition.args.insert("model".to_string(), Json::String(model));
        let (short_name, full_name) = definition.names(target);
        if definition.given_name.is_none() && short_name != full_name {
            definition.config.entry("alias").or_insert_with(|| Json::from(short_name.clone()));
        }
        let macro_id = self.test_macro(&definition, target);
        let metadata = json!({
            "namespace": definition.namespace, "name": definition.name, "kwargs": definition.args,
        });
        let digest = Md5::digest(format!("{full_name}{}", hashable_repr(&metadata)).as_bytes());
        let hash = crate::parse::hex(&digest);
        let id = format!("test.{}.{full_name}.{}", target.package.name, &hash[hash.len() - 10..]);
        let mut all_tags: Vec<String> = tags.iter().cloned().chain(texts(definition.config.get("tags"))).collect();
        all_tags.sort();
        all_tags.dedup();
        let node = Node {
            path: format!("{short_name}.sql"),
            original_file_path: target.original_file_path.clone(),
            fqn: fqn(target, &full_name),
            alias: full_name.clone(),
            name: full_name,
            package_name: target.package.name.clone(),
            database: Some(self.project.target.database.clone()),
            schema: Some(self.project.target.schema.clone()),
            tags: all_tags,
            description: definition.description.clone(),
            raw_code: definition.raw_code(),
            created_at: self.now,
            test: Some(Box::new(TestDetail {
                name: definition.name.clone(),
                kwargs: definition.args.clone(),
                namespace: definition.namespace.clone(),
                column_name: column.map(String::from),
                file_key_name: Some(target.file_key_name.clone()),
                attached_node: target.attached.clone(),
            })),
            ..blank(UniqueId::from(id), ResourceType::Test, location.clone())
        };
        self.configure_test(node, definition, target, macro_id)
    }

    fn configure_test(&self, mut node: Node, definition: Definition, target: &Target, macro_id: UniqueId) -> Outcome<Node> {
        node.depends_on.macros.push(macro_id.clone());
        let mut calls = Calls { config: definition.config.clone(), unrendered: JsonMap::new() };
        if matches!(macro_id.as_str(), "macro.dbt.test_not_null" | "macro.dbt.test_unique") {
            self.configure(&mut node, &calls, None)?;
            match &target.call {
                LiteralCall::Ref(args) => node.refs.push(args.clone()),
                LiteralCall::Source(source) => node.sources.push(source.clone()),
                LiteralCall::Metric(_) => {}
            }
        } else {
            let capture = self.capture_test(&node, &definition, target, &macro_id)?;
            crate::parse::config_calls::merge_calls(&mut calls.config, capture.config);
            calls.unrendered = capture.unrendered_config;
            add_references(&mut node, capture.refs, capture.sources, capture.macros);
            self.configure(&mut node, &calls, None)?;
        }
        if target.attached.is_some() {
            node.group.clone_from(&target.group);
        }
        Ok(node)
    }

    /// What a test refers to. The built-in tests with plain arguments need no rendering: they refer to what they name.
    fn capture_test(&self, node: &Node, definition: &Definition, target: &Target, macro_id: &UniqueId) -> Outcome<Capture> {
        let built_in = matches!(macro_id.as_str(), "macro.dbt.test_accepted_values" | "macro.dbt.test_relationships");
        if built_in && let Some(capture) = self.plain_capture(node, definition, target) {
            return Ok(capture);
        }
        let scope = ParseScope::new(self.shared.clone(), names::identity(node));
        let mut capture = self.capture_arguments(&definition.args, scope, node)?;
        let kwargs = self.argument_values(&definition.args, target);
        let scope = ParseScope::new(self.shared.clone(), names::identity(node))
            .seen_from(macro_id.as_str().split('.').nth(1).unwrap_or(&node.package_name))
            .with("_dbt_generic_test_kwargs", value_of(&Json::Object(kwargs)));
        let text =
            TemplateText { name: node.unique_id.to_string(), source: node.raw_code.clone(), location: node.location.clone() };
        let body = capture_text(&text, self.jinja, scope)?;
        capture.refs.extend(body.refs);
        capture.sources.extend(body.sources);
        // dbt counts the test macro as the node's package sees it, also where another one is named by its package.
        let test_macro = format!(".test_{}", definition.name);
        capture.macros.extend(body.macros.into_iter().filter(|id| !id.as_str().ends_with(&test_macro)));
        if !capture.macros.is_empty() {
            let visible = self.macros_within(node, macro_id);
            capture.macros.retain(|id| visible.contains(id));
        }
        capture.config = body.config;
        capture.unrendered_config = body.unrendered_config;
        Ok(capture)
    }

    /// The macros that a generic test sees: those its own macro and `get_where_subquery` lead to, and no others.
    fn macros_within(&self, node: &Node, macro_id: &UniqueId) -> HashSet<UniqueId> {
        let where_subquery = self.macros.find(&node.package_name, "get_where_subquery").cloned();
        let mut open: Vec<UniqueId> = where_subquery.into_iter().chain([macro_id.clone()]).collect();
        let mut seen = HashSet::new();
        while let Some(id) = open.pop() {
            if let Some(found) = self.manifest.macros.get(&id)
                && seen.insert(id)
            {
                open.extend(found.depends_on.macros.iter().cloned());
            }
        }
        seen
    }

    fn plain_capture(&self, node: &Node, definition: &Definition, target: &Target) -> Option<Capture> {
        let mut capture = Capture::default();
        for (key, value) in &definition.args {
            if key == "model" {
                take_call(target.call_as_written(), &mut capture);
                capture.macros.push(self.macros.find(&node.package_name, "get_where_subquery")?.clone());
            } else if key != "column_name" {
                plain_argument(value, &mut capture)?;
            }
        }
        if !definition.config.is_empty() {
            capture.config.clone_from(&definition.config);
            capture.unrendered_config = crate::parse::unrendered_config(&node.raw_code);
        }
        Some(capture)
    }

    /// Renders every argument that holds Jinja or looks like a call, for the references in it.
    fn capture_arguments(&self, args: &JsonMap, scope: ParseScope, node: &Node) -> Outcome<Capture> {
        let mut templates = Vec::new();
        for (_, value) in args.iter().filter(|(key, _)| *key != "column_name") {
            collect_templates(value, &mut templates);
        }
        let source: String = templates.concat();
        if source.is_empty() {
            return Ok(Capture::default());
        }
        let text = TemplateText { name: node.unique_id.to_string(), source, location: node.location.clone() };
        capture_text(&text, self.jinja, scope)
    }

    /// The arguments as the test macro gets them while parsing: relations are only placeholders.
    fn argument_values(&self, args: &JsonMap, target: &Target) -> JsonMap {
        let mut values = args.clone();
        values.insert("model".to_string(), Json::from(target.call_text()));
        values
    }

    /// The macro of the test; a test without one is kept, and fails when it is compiled.
    fn test_macro(&self, definition: &Definition, target: &Target) -> UniqueId {
        let name = format!("test_{}", definition.name);
        let named = definition.namespace.as_deref().is_none_or(|package| self.macros.find(package, &name).is_some());
        let found = self.macros.find(&target.package.name, &name).filter(|_| named);
        found.cloned().unwrap_or_else(|| UniqueId::from(NO_MACRO))
    }

    /// Takes a test entry apart: name, arguments, config.
    fn define(&self, target: &Target, test: &Json, column: Option<&str>, location: &Location) -> Outcome<Definition> {
        let (full_name, mut args) = name_and_arguments(test, location)?;
        if let Some(column) = column {
            args.insert("column_name".to_string(), Json::from(column));
        }
        if self.nests_arguments()
            && let Some(Json::Object(arguments)) = args.shift_remove("arguments")
        {
            args.extend(arguments);
        }
        if args.contains_key("model") {
            let message = format!("the test `{full_name}` on `{}` sets `model`, which is set by itself", target.name);
            return Diagnostic::error("test-argument-model", message).at(location.clone()).help("remove `model`").fail();
        }
        let Some((namespace, name)) = test_name(&full_name) else {
            return Diagnostic::error("test-name", format!("`{full_name}` on `{}` is no name of a test", target.name))
                .at(location.clone())
                .help("a name has letters, digits and underscores, and may begin with a package and a dot")
                .fail();
        };
        let config = self.test_config(&mut args, target, location)?;
        let description = text(args.shift_remove("description").as_ref()).unwrap_or_default();
        let given_name = text(args.shift_remove("name").as_ref());
        Ok(Definition { name, namespace, args, config, given_name, description })
    }

    /// Config keys from the entry's top level, then its `config:`; text in them is rendered now.
    fn test_config(&self, args: &mut JsonMap, target: &Target, location: &Location) -> Outcome<JsonMap> {
        let mut nested = match args.shift_remove("config") {
            Some(Json::Object(config)) => config,
            None | Some(Json::Null) => JsonMap::new(),
            Some(_) => {
                return Diagnostic::error(
                    "test-config-invalid",
                    format!("the config of a test on `{}` is not a mapping", target.name),
                )
                .at(location.clone())
                .fail();
            }
        };
        let render = |value: Json| match value {
            // Rendering drops one newline at the end, also of text without Jinja.
            Json::String(text) if !has_jinja(&text) => Ok(Json::from(text.strip_suffix('\n').unwrap_or(&text))),
            Json::String(text) => property_context(self.world, self.project, &target.package).render_text(&text, location),
            other => Ok(other),
        };
        let mut config = JsonMap::new();
        for key in CONFIG_KEYS {
            let top = args.shift_remove(key).filter(is_truthy);
            if top.is_some() && nested.contains_key(key) {
                let message = format!("a test on `{}` has `{key}` both at its top level and in `config`", target.name);
                return Diagnostic::error("property-twice", message)
                    .at(location.clone())
                    .help("keep the one under `config`")
                    .fail();
            }
            let value = top.or_else(|| nested.shift_remove(key));
            if let Some(value) = value.filter(|value| !value.is_null()) {
                config.insert(key.to_string(), render(value)?);
            }
        }
        for (key, value) in nested.into_iter().filter(|(_, value)| !value.is_null()) {
            config.insert(key, render(value)?);
        }
        Ok(config)
    }
}

/// Package and name of a test; what stands behind them, such as a colon too many, is passed over as in dbt.
fn test_name(text: &str) -> Option<(Option<String>, String)> {
    let word = |text: &str| {
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..length].to_string()
    };
    let is_name = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let first = word(text);
    let second = text[first.len()..].strip_prefix('.').map(word).filter(|second| is_name(second));
    match second {
        _ if !is_name(&first) => None,
        Some(second) => Some((Some(first), second)),
        None => Some((None, first)),
    }
}

impl Target {
    /// The reference as a template captures it: its version is text there.
    fn call_as_written(&self) -> LiteralCall {
        match &self.call {
            LiteralCall::Ref(args) => {
                let version = args.version.as_ref().map(|version| Json::from(str_of(version)));
                LiteralCall::Ref(RefArgs { version, ..args.clone() })
            }
            other => other.clone(),
        }
    }
}

fn fqn(target: &Target, name: &str) -> Vec<String> {
    let below_root = target.original_file_path.split_once('/').map_or("", |(_, rest)| rest);
    let folders = below_root.rsplit_once('/').map_or("", |(folders, _)| folders);
    std::iter::once(target.package.name.as_str())
        .chain(folders.split('/').filter(|folder| !folder.is_empty()))
        .chain([name])
        .map(String::from)
        .collect()
}

fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => false,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
        Json::Bool(true) => true,
    }
}

/// A list under `data_tests:` or the older `tests:`.
pub(super) fn test_list(properties: &JsonMap, owner: &str, location: &Location) -> Outcome<Vec<Json>> {
    let lists: Vec<&Vec<Json>> = ["data_tests", "tests"].iter().filter_map(|key| properties.get(*key)?.as_array()).collect();
    if lists.len() == 2 && !lists[1].is_empty() {
        return Diagnostic::error("property-twice", format!("`{owner}` has both `tests` and `data_tests`"))
            .at(location.clone())
            .help("keep `data_tests`")
            .fail();
    }
    Ok(lists.into_iter().find(|list| !list.is_empty()).cloned().unwrap_or_default())
}

/// The column's name, in double quotes where it asks for them.
pub(super) fn quoted_name(column: &JsonMap, quoted: bool) -> Option<String> {
    let name = text(column.get("name"))?;
    let quote = column.get("quote").and_then(Json::as_bool).unwrap_or(quoted);
    Some(if quote { crate::name::quote_identifier(&name) } else { name })
}

/// The item of a list that has this name.
pub(super) fn named<'a>(list: Option<&'a Yaml>, name: Option<&Json>) -> Option<&'a Yaml> {
    let name = name?.as_str()?;
    list?.as_sequence()?.iter().find(|item| item.get("name").and_then(Yaml::as_str) == Some(name))
}

/// Where the entry stands in the file: the first value in its place that equals it, or else in the whole entry.
fn test_location(entry: &ParsedProperty, given: &Given<'_>) -> Location {
    let found = given.place.and_then(|place| find_value(place, given.test)).or_else(|| find_value(&entry.yaml, given.test));
    found.unwrap_or_else(|| entry.location.clone())
}

fn find_value(yaml: &Yaml, wanted: &Json) -> Option<Location> {
    match &yaml.value {
        YamlValue::Sequence(items) => items.iter().find_map(|item| {
            let same = match (&item.value, wanted) {
                (YamlValue::Text(text), Json::String(wanted)) => text == wanted,
                (YamlValue::Mapping(_), Json::Object(_)) => item.to_json() == *wanted,
                _ => false,
            };
            if same { Some(item.location.clone()) } else { find_value(item, wanted) }
        }),
        YamlValue::Mapping(map) => map.values().find_map(|(_, value)| find_value(value, wanted)),
        _ => None,
    }
}

fn take_call(call: LiteralCall, capture: &mut Capture) {
    match call {
        LiteralCall::Ref(args) => capture.refs.push(args),
        LiteralCall::Source(source) => capture.sources.push(source),
        LiteralCall::Metric(names) => capture.metrics.push(names),
    }
}

/// Takes the reference an argument holds; none if only rendering can tell.
fn plain_argument(value: &Json, capture: &mut Capture) -> Option<()> {
    match value {
        Json::String(text) if text.contains("{{") || text.contains("{%") => None,
        Json::String(text) if looks_like_call(text) => {
            take_call(literal_call(text)?, capture);
            Some(())
        }
        Json::Array(items) => items.iter().try_for_each(|item| plain_argument(item, capture)),
        Json::Object(map) => map.values().try_for_each(|item| plain_argument(item, capture)),
        _ => Some(()),
    }
}

/// Whether dbt treats the text as a call to evaluate: `ref(…)`, `source(…)`, `var(…)`, `env_var(…)`, `doc(…)`.
fn looks_like_call(text: &str) -> bool {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else { return false };
    matches!(name.trim_end(), "env_var" | "ref" | "var" | "source" | "doc") && rest.len() > 1 && rest.ends_with(')')
}

fn collect_templates(value: &Json, templates: &mut Vec<String>) {
    match value {
        Json::String(text) if looks_like_call(text) => templates.push(format!("{{{{ {text} }}}}")),
        Json::String(text) if text.contains("{{") || text.contains("{%") => templates.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|item| collect_templates(item, templates)),
        Json::Object(map) => map.values().for_each(|item| collect_templates(item, templates)),
        _ => {}
    }
}
