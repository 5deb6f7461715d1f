//! Which warnings become errors and which are not shown: `--warn-error` and `--warn-error-options`.

use headwater::diagnostic::{Diagnostic, Outcome, Severity};
use headwater::manifest::JsonMap;
use serde_json::Value as Json;

/// dbt's names of warnings, for the codes that mean the same here.
const DBT_NAMES: [(&str, &str); 6] = [
    ("NoNodesForSelectionCriteria", "selection-empty"),
    ("NothingToDo", "selection-empty"),
    ("NodeNotFoundOrDisabled", "ref-not-found"),
    ("NoNodeForYamlKey", "patch-without-node"),
    ("DuplicateYAMLKeysDeprecation", "yaml-duplicate-key"),
    ("CustomKeyInConfigDeprecation", "unknown-config"),
];

/// What becomes of a warning.
#[derive(Clone, Debug, Default)]
pub struct WarningRules {
    /// `--warn-error`, or `error: all`.
    pub all_errors: bool,
    errors: Vec<String>,
    /// Exceptions from `all_errors`.
    warns: Vec<String>,
    silenced: Vec<String>,
}

impl WarningRules {
    /// `{error: all | [names], warn: [names], silence: [names]}`; `include` and `exclude` are the older words.
    pub fn from_options(options: &JsonMap) -> Outcome<Self> {
        let mut rules = Self::default();
        for (key, value) in options {
            match key.as_str() {
                "error" | "include" if matches!(value.as_str(), Some("all" | "*")) => rules.all_errors = true,
                "error" | "include" => rules.errors = names(key, value)?,
                "warn" | "exclude" => rules.warns = names(key, value)?,
                "silence" => rules.silenced = names(key, value)?,
                other => {
                    return Diagnostic::error("bad-argument", format!("`{other}` is no key of --warn-error-options"))
                        .help("its keys are `error`, `warn` and `silence`")
                        .suggest(other, ["error", "warn", "silence"])
                        .fail();
                }
            }
        }
        Ok(rules)
    }

    /// The diagnostic as it is told: a warning may have become an error, or nothing.
    pub fn apply(&self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        if diagnostic.is_error() {
            return Some(diagnostic);
        }
        let listed = |list: &[String]| list.iter().any(|name| code_of(name) == diagnostic.code);
        if listed(&self.silenced) {
            return None;
        }
        if listed(&self.errors) || (self.all_errors && !listed(&self.warns)) {
            diagnostic.severity = Severity::Error;
        }
        Some(diagnostic)
    }
}

fn code_of(name: &str) -> &str {
    DBT_NAMES.iter().find(|(dbt, _)| *dbt == name).map_or(name, |(_, code)| code)
}

fn names(key: &str, value: &Json) -> Outcome<Vec<String>> {
    let list = value.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(str::to_string)).collect());
    match list {
        Some(list) => Ok(list),
        None if value.is_null() => Ok(Vec::new()),
        None => Diagnostic::error("bad-argument", format!("`{key}` of --warn-error-options is a list of names, not {value}"))
            .help("a form like {error: all, warn: [selection-empty], silence: [unknown-property]}")
            .fail(),
    }
}
