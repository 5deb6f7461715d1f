//! Property files: the YAML beside models that describes and configures resources. Checked here, rendered and applied later.

use std::sync::Arc;

use super::files::ProjectFile;
use super::keys;
use super::yaml::{self, Yaml};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::source::Location;

/// The lists at the top of a property file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    Models,
    Sources,
    Seeds,
    Snapshots,
    Analyses,
    Macros,
    Exposures,
    Groups,
    Metrics,
    SemanticModels,
    SavedQueries,
    UnitTests,
    DataTests,
    Functions,
}

/// Every section: its key, the word for one entry, and the keys that an entry may have.
const SECTIONS: [(Section, &str, &str, &[&str]); 14] = [
    (Section::Models, "models", "model", keys::MODEL),
    (Section::Sources, "sources", "source", keys::SOURCE),
    (Section::Seeds, "seeds", "seed", keys::NODE),
    (Section::Snapshots, "snapshots", "snapshot", keys::NODE),
    (Section::Analyses, "analyses", "analysis", keys::NODE),
    (Section::Macros, "macros", "macro", keys::MACRO),
    (Section::Exposures, "exposures", "exposure", keys::EXPOSURE),
    (Section::Groups, "groups", "group", keys::GROUP),
    (Section::Metrics, "metrics", "metric", keys::METRIC),
    (Section::SemanticModels, "semantic_models", "semantic model", keys::SEMANTIC_MODEL),
    (Section::SavedQueries, "saved_queries", "saved query", keys::SAVED_QUERY),
    (Section::UnitTests, "unit_tests", "unit test", keys::UNIT_TEST),
    (Section::DataTests, "data_tests", "data test", keys::DATA_TEST),
    (Section::Functions, "functions", "function", keys::FUNCTION),
];

impl Section {
    /// The section's key in the file: `models`.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> &'static (Section, &'static str, &'static str, &'static [&'static str]) {
        SECTIONS.iter().find(|row| row.0 == self).expect("every section has a row")
    }
}

/// One entry of a section, as written.
#[derive(Clone, Debug)]
pub struct PropertyEntry {
    pub section: Section,
    /// A mapping with a text `name`.
    pub yaml: Yaml,
    pub file: Arc<ProjectFile>,
}

impl PropertyEntry {
    pub fn name(&self) -> &str {
        self.yaml.get("name").and_then(Yaml::as_str).unwrap_or_default()
    }
}

/// The entries of one property file, in order of the file.
#[derive(Clone, Debug, Default)]
pub struct PropertyFile {
    pub entries: Vec<PropertyEntry>,
}

/// Reads and checks a property file. Unknown keys give warnings (`unknown-property`); values of a wrong kind give errors
/// (`property-value`), and the entry they stand in is left out. Jinja is not rendered. White space at the end of the file is no
/// part of its last text, as dbt has it.
///
/// # Errors
/// Where the file is no YAML.
pub fn read_properties(text: &str, file: &ProjectFile) -> Outcome<(PropertyFile, Vec<Diagnostic>)> {
    let (root, diagnostics) = yaml::parse(text.trim_end(), &file.shown)?;
    let mut reader = Reader { file: Arc::new(file.clone()), diagnostics, entries: Vec::new() };
    reader.read(root);
    Ok((PropertyFile { entries: reader.entries }, reader.diagnostics))
}

struct Reader {
    file: Arc<ProjectFile>,
    diagnostics: Vec<Diagnostic>,
    entries: Vec<PropertyEntry>,
}

impl Reader {
    fn read(&mut self, root: Yaml) {
        let kind = root.kind();
        let sections = match root.value {
            yaml::YamlValue::Null => return,
            yaml::YamlValue::Mapping(sections) => sections,
            _ => {
                let message = format!("a property file holds a mapping with sections such as `models`, not {kind}");
                self.diagnostics.push(Diagnostic::error("property-value", message).at(root.location));
                return;
            }
        };
        for (key, (location, value)) in *sections {
            let wanted = if key == "tests" { "data_tests" } else { key.as_str() };
            match SECTIONS.iter().find(|row| row.1 == wanted) {
                Some(row) => self.read_section(row.0, &key, value),
                None if matches!(key.as_str(), "version" | "anchors") => {}
                None => {
                    let message = format!("`{key}` is no section of a property file; it has no effect");
                    let warning = Diagnostic::warning("unknown-section", message).at(location);
                    self.diagnostics.push(warning.suggest(&key, SECTIONS.iter().map(|row| row.1)));
                }
            }
        }
    }

    fn read_section(&mut self, section: Section, key: &str, value: Yaml) {
        let kind = value.kind();
        let yaml::YamlValue::Sequence(items) = value.value else {
            self.diagnostics.push(
                Diagnostic::error("property-value", format!("`{key}` is a list, not {kind}"))
                    .at(value.location)
                    .help("begin each entry with `- name: …`"),
            );
            return;
        };
        let (_, _, word, known) = section.row();
        for yaml in items {
            let mut check = Check { diagnostics: Vec::new() };
            if check.named(&yaml, word) {
                let owner = format!("the {word} `{}`", yaml.get("name").and_then(Yaml::as_str).unwrap_or_default());
                check.entry(section, &yaml, known, &owner);
            }
            let failed = check.diagnostics.iter().any(Diagnostic::is_error);
            self.diagnostics.append(&mut check.diagnostics);
            if !failed {
                self.entries.push(PropertyEntry { section, yaml, file: self.file.clone() });
            }
        }
    }
}

/// A list of named things and what an entry may hold.
struct NamedList {
    key: &'static str,
    /// One of them, in a message.
    word: &'static str,
    known: &'static [&'static str],
}

const COLUMNS: NamedList = NamedList { key: "columns", word: "column", known: keys::COLUMN };
const TABLES: NamedList = NamedList { key: "tables", word: "table", known: keys::TABLE };
const ARGUMENTS: NamedList = NamedList { key: "arguments", word: "argument", known: keys::ARGUMENT };

/// Collects what is wrong with one entry.
struct Check {
    diagnostics: Vec<Diagnostic>,
}

impl Check {
    fn error(&mut self, message: String, location: &Location) {
        self.diagnostics.push(Diagnostic::error("property-value", message).at(location.clone()));
    }

    /// Whether it is a mapping with a text `name`.
    fn named(&mut self, yaml: &Yaml, word: &str) -> bool {
        if yaml.as_map().is_none() {
            self.error(format!("this {word} is a mapping with a `name`, not {}", yaml.kind()), &yaml.location);
            return false;
        }
        match yaml.get("name") {
            Some(name) if name.as_str().is_some_and(|name| !name.is_empty()) => return true,
            Some(name) if matches!(name.value, yaml::YamlValue::Text(_)) => {
                self.error(format!("the `name` of this {word} is empty"), &name.location);
            }
            Some(name) => {
                let message = format!("the `name` of this {word} is text, not {}", name.kind());
                let diagnostic = Diagnostic::error("property-value", message).at(name.location.clone());
                self.diagnostics.push(diagnostic.help("put quotes around it"));
            }
            None => {
                let keys = yaml.as_map().into_iter().flat_map(|map| map.keys().map(String::as_str));
                let misspelt =
                    crate::diagnostic::nearest("name", keys).map(|key| format!("did you mean `name` instead of `{key}`?"));
                let diagnostic =
                    Diagnostic::error("property-value", format!("this {word} has no `name`")).at(yaml.location.clone());
                self.diagnostics.push(misspelt.into_iter().fold(diagnostic, Diagnostic::help));
            }
        }
        false
    }

    fn entry(&mut self, section: Section, yaml: &Yaml, known: &[&str], owner: &str) {
        keys::check(yaml, known, owner, &mut self.diagnostics);
        self.described(yaml, owner);
        match section {
            Section::Models | Section::Seeds | Section::Snapshots | Section::Analyses => self.node(yaml, owner),
            Section::Sources => self.named_list(yaml, &TABLES, owner),
            Section::Macros => self.named_list(yaml, &ARGUMENTS, owner),
            Section::UnitTests => self.unit_test(yaml, owner),
            Section::Exposures => self.exposure(yaml, owner),
            _ => {}
        }
    }

    fn node(&mut self, yaml: &Yaml, owner: &str) {
        self.named_list(yaml, &COLUMNS, owner);
        self.list(yaml, "constraints", owner);
        self.tests(yaml, owner);
        let versions = self.list(yaml, "versions", owner);
        for version in versions {
            if version.as_map().is_none() || version.get("v").is_none() {
                self.error(format!("a version of {owner} is a mapping with `v`"), &version.location);
                continue;
            }
            let owner = format!("a version of {owner}");
            keys::check(version, keys::VERSION, &owner, &mut self.diagnostics);
            self.described(version, &owner);
            self.tests(version, &owner);
            // A version's columns may be `include`/`exclude` instead of a name.
            for column in self.list(version, "columns", &owner) {
                keys::check(column, keys::VERSION_COLUMN, &format!("a column of {owner}"), &mut self.diagnostics);
            }
        }
    }

    /// `description` is text and `config` a mapping, wherever they stand.
    fn described(&mut self, yaml: &Yaml, owner: &str) {
        if let Some(description) = yaml.get("description").filter(|value| value.as_str().is_none()) {
            self.error(format!("`description` of {owner} is text, not {}", description.kind()), &description.location);
        }
        for key in ["config", "meta", "docs"] {
            if let Some(value) = yaml.get(key).filter(|value| value.as_map().is_none()) {
                self.error(format!("`{key}` of {owner} is a mapping, not {}", value.kind()), &value.location);
            }
        }
    }

    /// The items under `key`; nothing where it is absent, and an error where it is no list.
    fn list<'yaml>(&mut self, yaml: &'yaml Yaml, key: &str, owner: &str) -> &'yaml [Yaml] {
        let Some(value) = yaml.get(key) else { return &[] };
        if let Some(items) = value.as_sequence() {
            return items;
        }
        self.error(format!("`{key}` of {owner} is a list, not {}", value.kind()), &value.location);
        &[]
    }

    /// Columns, tables and arguments: named, with columns and tests of their own.
    fn named_list(&mut self, yaml: &Yaml, list: &NamedList, owner: &str) {
        let NamedList { key, word, known } = *list;
        for item in self.list(yaml, key, owner) {
            if !self.named(item, word) {
                continue;
            }
            let owner = format!("the {word} `{}` of {owner}", item.get("name").and_then(Yaml::as_str).unwrap_or_default());
            keys::check(item, known, &owner, &mut self.diagnostics);
            self.described(item, &owner);
            if word != "argument" {
                self.tests(item, &owner);
            }
            if word == "table" {
                self.named_list(item, &COLUMNS, &owner);
            }
        }
    }

    /// `data_tests`, or `tests` as it was called: texts or mappings, whose arguments are the test's business.
    fn tests(&mut self, yaml: &Yaml, owner: &str) {
        if let (Some(_), Some(old)) = (yaml.get("data_tests"), yaml.key_location("tests")) {
            self.error(format!("{owner} has `tests` and `data_tests`, which are two names of one thing"), old);
        }
        for key in ["data_tests", "tests"] {
            for test in self.list(yaml, key, owner) {
                if test.as_str().is_none() && test.as_map().is_none() {
                    self.error(
                        format!("a data test of {owner} is a test's name or a mapping, not {}", test.kind()),
                        &test.location,
                    );
                }
            }
        }
    }

    fn required(&mut self, yaml: &Yaml, required: &[&str], owner: &str) {
        for key in required.iter().filter(|key| yaml.get(key).is_none()) {
            self.error(format!("{owner} has no `{key}`"), &yaml.location);
        }
    }

    fn unit_test(&mut self, yaml: &Yaml, owner: &str) {
        self.required(yaml, &["model", "given", "expect"], owner);
        for given in self.list(yaml, "given", owner) {
            let owner = format!("an input of {owner}");
            keys::check(given, keys::GIVEN, &owner, &mut self.diagnostics);
            self.required(given, &["input"], &owner);
        }
        if let Some(expect) = yaml.get("expect") {
            keys::check(expect, keys::EXPECT, &format!("`expect` of {owner}"), &mut self.diagnostics);
        }
        if let Some(overrides) = yaml.get("overrides") {
            keys::check(overrides, keys::OVERRIDES, &format!("`overrides` of {owner}"), &mut self.diagnostics);
        }
    }

    fn exposure(&mut self, yaml: &Yaml, owner: &str) {
        self.required(yaml, &["type", "owner"], owner);
        self.list(yaml, "depends_on", owner);
    }
}
