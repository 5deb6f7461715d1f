//! The keys that project, profile and property files may hold, and the warning about others.

use super::yaml::{Yaml, YamlMap};
use crate::diagnostic::Diagnostic;

/// `dbt_project.yml`: dbt 1.12's contract, and what its JSON schema adds.
#[rustfmt::skip]
pub(super) const PROJECT: &[&str] = &[
    "analyses", "analysis-paths", "anchors", "asset-paths", "clean-targets", "config-version", "data-paths", "data_tests",
    "dbt-cloud", "dispatch", "docs-paths", "exposures", "flags", "function-paths", "functions", "log-path", "macro-paths",
    "metrics", "model-paths", "models", "name", "on-run-end", "on-run-start", "osi-paths", "packages", "packages-install-path",
    "profile",
    "project-root", "query-comment", "quoting", "require-dbt-version", "restrict-access", "saved-queries", "seed-paths", "seeds",
    "semantic-models", "snapshot-paths", "snapshots", "source-paths", "sources", "sync", "target-path", "test-paths", "tests",
    "unit_tests", "vars", "version",
];

/// An output of `type: datafusion` in `profiles.yml`.
pub(super) const DATAFUSION_OUTPUT: &[&str] =
    &["type", "acts_as", "path", "schema", "database", "threads", "memory_limit", "settings"];

#[rustfmt::skip]
pub(super) const COLUMN: &[&str] = &[
    "classifiers", "column_mask", "config", "constraints", "data_tests", "data_type", "databricks_tags", "description",
    "dimension", "docs", "entity", "granularity", "meta", "name", "policy_tags", "quote", "tags", "tests",
];
#[rustfmt::skip]
pub(super) const VERSION_COLUMN: &[&str] = &[
    "classifiers", "column_mask", "config", "constraints", "data_tests", "data_type", "databricks_tags", "description",
    "dimension", "docs", "entity", "exclude", "granularity", "include", "meta", "name", "policy_tags", "quote", "tags", "tests",
];
#[rustfmt::skip]
pub(super) const MODEL: &[&str] = &[
    "access", "agg_time_dimension", "columns", "config", "constraints", "contract", "data_tests", "data_type",
    "deprecation_date", "derived_semantics", "description", "docs", "group", "identifier", "latest_version", "meta", "metrics",
    "name", "primary_entity", "quote_columns", "semantic_model", "static_analysis_off_reason", "tests", "time_spine", "versions",
];
/// Seeds, snapshots and analyses.
#[rustfmt::skip]
pub(super) const NODE: &[&str] = &[
    "access", "columns", "config", "constraints", "contract", "data_tests", "data_type", "description", "docs", "group", "meta",
    "name", "quote_columns", "relation", "static_analysis_off_reason", "tests",
];
#[rustfmt::skip]
pub(super) const VERSION: &[&str] = &[
    "access", "columns", "config", "constraints", "contract", "data_tests", "defined_in", "deprecation_date", "description",
    "docs", "group", "meta", "tests", "v",
];
#[rustfmt::skip]
pub(super) const SOURCE: &[&str] = &[
    "catalog", "config", "database", "description", "freshness", "ingest", "loaded_at_field", "loaded_at_query", "loader", "meta",
    "name", "overrides", "quoting", "schema", "tables", "tags",
];
#[rustfmt::skip]
pub(super) const TABLE: &[&str] = &[
    "columns", "config", "constraints", "data_tests", "data_type", "description", "docs", "external", "freshness", "identifier",
    "ingest", "loaded_at_field", "loaded_at_query", "loader", "meta", "name", "quoting", "tags", "tests",
];
pub(super) const MACRO: &[&str] = &["arguments", "config", "constraints", "data_type", "description", "docs", "meta", "name"];
pub(super) const ARGUMENT: &[&str] = &["description", "name", "type"];
pub(super) const EXPOSURE: &[&str] =
    &["config", "depends_on", "description", "label", "maturity", "meta", "name", "owner", "tags", "type", "url"];
pub(super) const GROUP: &[&str] = &["config", "description", "meta", "name", "owner"];
pub(super) const UNIT_TEST: &[&str] =
    &["config", "description", "expect", "given", "model", "name", "overrides", "static_analysis_off_reason", "versions"];
pub(super) const GIVEN: &[&str] = &["fixture", "format", "input", "rows"];
pub(super) const EXPECT: &[&str] = &["fixture", "format", "rows"];
pub(super) const OVERRIDES: &[&str] = &["env_vars", "macros", "vars"];
pub(super) const DATA_TEST: &[&str] =
    &["config", "constraints", "data_type", "description", "docs", "meta", "name", "static_analysis_off_reason"];
#[rustfmt::skip]
pub(super) const SEMANTIC_MODEL: &[&str] = &[
    "config", "defaults", "description", "dimensions", "entities", "label", "measures", "model", "name", "node_relation",
    "primary_entity",
];
pub(super) const SAVED_QUERY: &[&str] =
    &["config", "description", "exports", "label", "metadata", "name", "query_params", "tags"];
#[rustfmt::skip]
pub(super) const METRIC: &[&str] = &[
    "agg", "agg_time_dimension", "base_metric", "calculation", "config", "constant_properties", "conversion_metric",
    "denominator", "description", "entity", "expr", "fill_nulls_with", "filter", "grain_to_date", "hidden", "input_metric",
    "input_metrics", "join_to_timespine", "label", "meta", "name", "non_additive_dimension", "numerator", "percentile",
    "percentile_type", "period_agg", "tags", "time_granularity", "type", "type_params", "window",
];
#[rustfmt::skip]
pub(super) const FUNCTION: &[&str] = &[
    "access", "arguments", "config", "constraints", "data_tests", "data_type", "description", "docs", "identifier", "language",
    "meta", "name", "overloads", "returns", "static_analysis_off_reason", "tests",
];

/// Configs that people put beside `config:` instead of into it.
#[rustfmt::skip]
const CONFIGS: &[&str] = &[
    "alias", "bind", "database", "delimiter", "dist", "enabled", "error_if", "event_time", "full_refresh", "grants",
    "incremental_strategy", "limit", "materialized", "on_schema_change", "partition_by", "persist_docs", "post_hook", "pre_hook",
    "schema", "severity", "sort", "store_failures", "tags", "unique_key", "where",
];

/// Warns of every key of `yaml` that is not in `known`. `owner` says whose keys they are: `the model `orders``.
pub(super) fn check(yaml: &Yaml, known: &[&str], owner: &str, warnings: &mut Vec<Diagnostic>) {
    let Some(map) = yaml.as_map() else { return };
    warnings.extend(unknown(map, known).map(|(key, (location, _))| {
        let warning = Diagnostic::warning("unknown-property", format!("`{key}` is no property of {owner}; it has no effect"))
            .at(location.clone());
        let config = CONFIGS.iter().find(|config| *config == key || config.replace('_', "-") == *key);
        match config {
            Some(_) if known.contains(&"config") => warning.help(format!("`{key}` is a config: put it under `config:`")),
            _ => warning.suggest(key, known.iter().copied()),
        }
    }));
}

/// The entries of `map` whose keys are not in `known`.
pub(super) fn unknown<'map>(
    map: &'map YamlMap,
    known: &[&str],
) -> impl Iterator<Item = (&'map String, &'map (crate::source::Location, Yaml))> {
    map.iter().filter(move |(key, _)| !known.contains(&key.as_str()))
}
