//! Which warnings become errors and which are not shown: `--warn-error` and `--warn-error-options`.

use headwater::diagnostic::{Diagnostic, Outcome, Severity};
use headwater::manifest::JsonMap;
use serde_json::{Value as Json, json};

/// dbt's names of warnings, for the codes that mean the same here.
const DBT_NAMES: [(&str, &str); 17] = [
    ("NoNodesForSelectionCriteria", "selection-empty"),
    ("NothingToDo", "selection-empty"),
    ("NodeNotFoundOrDisabled", "ref-not-found"),
    ("NodeNotFoundOrDisabled", "ref-disabled"),
    ("NodeNotFoundOrDisabled", "source-not-found"),
    ("NodeNotFoundOrDisabled", "source-disabled"),
    ("NoNodeForYamlKey", "patch-without-node"),
    ("MacroNotFoundForPatch", "patch-without-macro"),
    ("WrongResourceSchemaFile", "wrong-section"),
    ("UnusedResourceConfigPath", "unused-config-path"),
    ("JinjaLogWarning", "jinja-warning"),
    ("CustomTopLevelKeyDeprecation", "unknown-section"),
    ("CustomKeyInConfigDeprecation", "unknown-config"),
    ("CustomKeyInObjectDeprecation", "unknown-property"),
    ("DeprecatedModel", "model-deprecated"),
    ("DeprecatedReference", "reference-deprecated"),
    ("UpcomingReferenceDeprecation", "reference-deprecated-soon"),
];

/// What dbt 1.12 deprecates and headwater tells of: dbt's name and the code here. Of each, the first is shown, and a summary
/// counts them.
const DEPRECATIONS: [(&str, &str); 28] = [
    ("PackageRedirectDeprecation", "package-redirect"),
    ("PackageInstallPathDeprecation", "packages-install-path"),
    ("ConfigSourcePathDeprecation", "renamed-source-paths"),
    ("ConfigDataPathDeprecation", "renamed-data-paths"),
    ("ExposureNameDeprecation", "exposure-name"),
    ("ConfigLogPathDeprecation", "project-log-path"),
    ("ConfigTargetPathDeprecation", "project-target-path"),
    ("ProjectFlagsMovedDeprecation", "profile-config"),
    ("PackageMaterializationOverrideDeprecation", "package-materialization"),
    ("ResourceNamesWithSpacesDeprecation", "name-with-spaces"),
    ("SourceFreshnessProjectHooksNotRun", "freshness-hooks"),
    ("MFTimespineWithoutYamlConfigurationDeprecation", "time-spine-not-configured"),
    ("MFCumulativeTypeParamsDeprecation", "metric-cumulative-params"),
    ("MicrobatchMacroOutsideOfBatchesDeprecation", "microbatch-macro"),
    ("UnexpectedJinjaBlockDeprecation", "unexpected-block"),
    ("DuplicateYAMLKeysDeprecation", "duplicate-yaml-key"),
    ("CustomOutputPathInSourceFreshnessDeprecation", "freshness-output"),
    ("PropertyMovedToConfigDeprecation", "test-config-not-nested"),
    ("ModelParamUsageDeprecation", "models-flag"),
    ("WEOIncludeExcludeDeprecation", "warn-error-options-renamed"),
    ("SourceOverrideDeprecation", "source-overrides"),
    ("EnvironmentVariableNamespaceDeprecation", "reserved-variable"),
    ("ArgumentsPropertyInGenericTestDeprecation", "test-arguments-nested"),
    ("MissingArgumentsPropertyInGenericTestDeprecation", "test-arguments-not-nested"),
    ("ModulesItertoolsUsageDeprecation", "jinja-itertools"),
    ("DuplicateNameDistinctNodeTypesDeprecation", "duplicate-name"),
    ("TimeDimensionsRequireGranularityDeprecation", "time-dimension-granularity"),
    ("GenerateSchemaNameNullValueDeprecation", "schema-name-null"),
];

/// Deprecations of dbt's that say what a warning of ours says: each of those is shown.
const DEPRECATED_TOO: [&str; 3] = ["unknown-section", "unknown-config", "unknown-property"];

/// dbt's name of the deprecation that a code stands for.
pub fn deprecation(code: &str) -> Option<&'static str> {
    DEPRECATIONS.iter().find(|(_, known)| *known == code).map(|(name, _)| *name)
}

/// What becomes of a warning.
#[derive(Clone, Debug, Default)]
pub struct WarningRules {
    /// `--warn-error`, or `error: all`.
    pub all_errors: bool,
    errors: Vec<String>,
    /// Exceptions from `all_errors`.
    warns: Vec<String>,
    silenced: Vec<String>,
    /// `--show-all-deprecations`.
    pub all_deprecations: bool,
    /// Warnings about the options themselves.
    pub about: Vec<Diagnostic>,
}

impl WarningRules {
    /// `{error: all | [names], warn: [names], silence: [names]}`; `include` and `exclude` are the older words.
    pub fn from_options(options: &JsonMap) -> Outcome<Self> {
        let mut rules = Self::default();
        for (key, value) in options {
            if let Some((old, new)) = [("include", "error"), ("exclude", "warn")].into_iter().find(|(old, _)| old == key) {
                let message = format!("`{old}` of the warn-error options is the old name of `{new}`");
                let warning = Diagnostic::warning("warn-error-options-renamed", message).help(format!("call it `{new}`"));
                rules.about.push(warning);
            }
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

    /// The options by dbt's names, as artifacts keep them.
    pub fn options(&self) -> Json {
        let errors = if self.all_errors { json!("all") } else { json!(self.errors) };
        json!({"error": errors, "warn": self.warns, "silence": self.silenced})
    }

    /// The diagnostic as it is told: a warning may have become an error, or nothing.
    pub fn apply(&self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        if diagnostic.is_error() {
            return Some(diagnostic);
        }
        let listed = |list: &[String]| list.iter().any(|name| means(name, diagnostic.code));
        if listed(&self.silenced) {
            return None;
        }
        if listed(&self.errors) || (self.all_errors && !listed(&self.warns)) {
            diagnostic.severity = Severity::Error;
        }
        Some(diagnostic)
    }
}

/// Whether a name, dbt's or ours, stands for a code; `Deprecations` stands for all of them.
fn means(name: &str, code: &str) -> bool {
    name == code
        || (name == "Deprecations" && (deprecation(code).is_some() || DEPRECATED_TOO.contains(&code)))
        || DBT_NAMES.iter().chain(&DEPRECATIONS).any(|(dbt, known)| *dbt == name && *known == code)
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
