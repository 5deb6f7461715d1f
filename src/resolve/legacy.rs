//! What dbt deprecates of behaviour, semantic models and templates: told here, where the whole project is known.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Node, OtherResource};
use crate::name::ResourceType;
use crate::source::Location;

use super::Resolver;
use super::columns::{objects, text};

/// Materializations that dbt brings along.
const BUILT_IN_MATERIALIZATIONS: [&str; 10] =
    ["view", "table", "incremental", "materialized_view", "seed", "snapshot", "test", "unit", "clone", "function"];

/// Granularities of a time spine from the finest on, as far as a day.
const UP_TO_A_DAY: [&str; 7] = ["nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day"];

impl Resolver<'_> {
    pub(super) fn check_legacy(&mut self) {
        let mut found = Vec::new();
        found.extend(self.iteration_module());
        found.extend(self.microbatch_macro());
        found.extend(self.package_materializations());
        found.extend(self.schemaless());
        found.extend(self.cumulative_params());
        found.extend(self.time_spine());
        found.extend(self.time_dimensions());
        self.diagnostics.extend(found);
    }

    fn flag(&self, name: &str, usual: bool) -> bool {
        self.project.flags.get(name).and_then(Json::as_bool).unwrap_or(usual)
    }

    /// `modules.itertools` in nodes and in the project's own macros.
    fn iteration_module(&self) -> Vec<Diagnostic> {
        let uses = |text: &str| text.contains("modules.itertools");
        let nodes = self.manifest.nodes.values().filter(|node| uses(&node.raw_code)).map(|node| &node.location);
        let own = self.manifest.macros.values().filter(|found| found.package_name == self.project.name);
        let macros = own.filter(|found| uses(&found.macro_sql)).map(|found| &found.location);
        let warning = |place: &Location| {
            let warning = Diagnostic::warning("jinja-itertools", "dbt deprecates `modules.itertools`").at(place.clone());
            warning.help("write loops, or use `zip`, `set` and the filters `batch` and `unique`")
        };
        nodes.chain(macros).map(warning).collect()
    }

    /// A microbatch strategy of the project's own that is not called batch by batch.
    fn microbatch_macro(&self) -> Option<Diagnostic> {
        if self.flag("require_batched_execution_for_custom_microbatch_strategy", true) {
            return None;
        }
        let has_model = self.manifest.nodes.values().any(|node| node.config_str("incremental_strategy") == Some("microbatch"));
        let own = |name: &str| self.macros.in_package(&self.project.name, name).is_some();
        let prefixes = ["", "default__", &format!("{}__", self.project.target.adapter_type)];
        let has_macro = prefixes.iter().any(|prefix| own(&format!("{prefix}get_incremental_microbatch_sql")));
        (has_model && has_macro).then(|| {
            let message = "dbt deprecates a microbatch macro of the project's own outside of batches";
            let flag = "require_batched_execution_for_custom_microbatch_strategy";
            Diagnostic::warning("microbatch-macro", message).help(format!("set `flags: {{{flag}: true}}` in dbt_project.yml"))
        })
    }

    /// Packages that bring a materialization of a built-in one's name, where the project lets that count.
    fn package_materializations(&self) -> Vec<Diagnostic> {
        if self.flag("require_explicit_package_overrides_for_builtin_materializations", true) {
            return Vec::new();
        }
        let adapter = &self.project.target.adapter_type;
        let named = |name: &str| {
            let kinds = ["default", adapter.as_str()].map(|prefix| format!("_{prefix}"));
            let rest = name.strip_prefix("materialization_")?;
            kinds.iter().find_map(|kind| rest.strip_suffix(kind.as_str())).map(str::to_string)
        };
        let installed = |package: &str| package != self.project.name && self.project.package(package).is_some();
        let macros = self.manifest.macros.values().filter(|found| installed(&found.package_name));
        let overriding = macros.filter_map(|found| {
            let name = named(&found.name).filter(|name| BUILT_IN_MATERIALIZATIONS.contains(&name.as_str()))?;
            let message = format!("the package `{}` replaces the built-in materialization `{name}`", found.package_name);
            let warning = Diagnostic::warning("package-materialization", message).at(found.location.clone());
            Some(
                warning
                    .help(format!("dbt deprecates that: write a materialization `{name}` of your own that calls the package's")),
            )
        });
        overriding.collect()
    }

    /// Nodes for which `generate_schema_name` gave nothing.
    fn schemaless(&self) -> Vec<Diagnostic> {
        let refused = self.flag("require_valid_schema_from_generate_schema_name", false);
        let made = if refused { Diagnostic::error } else { Diagnostic::warning };
        let is_one = |node: &&Node| node.schema.is_none() && node.resource_type != ResourceType::Operation;
        let nodes = self.manifest.nodes.values().filter(is_one);
        let warning = |node: &Node| {
            let message = format!("`generate_schema_name` gives no schema for `{}`", node.unique_id);
            made("schema-name-null", message).at(node.location.clone()).help("let the macro return a schema's name")
        };
        nodes.map(warning).collect()
    }

    /// `window` and `grain_to_date` of cumulative metrics outside `cumulative_type_params`.
    fn cumulative_params(&self) -> Vec<Diagnostic> {
        if self.manifest.semantic_models.is_empty() {
            return Vec::new();
        }
        let refused = self.flag("require_nested_cumulative_type_params", true);
        let made = if refused { Diagnostic::error } else { Diagnostic::warning };
        let outside = |metric: &&OtherResource| {
            let params = &metric.json["type_params"];
            !params["window"].is_null() || !params["grain_to_date"].is_null()
        };
        let warning = |metric: &OtherResource| {
            let message = format!("the metric `{}` has `window` or `grain_to_date` right under `type_params`", metric.name);
            let warning = made("metric-cumulative-params", message).at(metric.location.clone());
            warning.help("move it into `cumulative_type_params`")
        };
        self.manifest.metrics.values().filter(outside).map(warning).collect()
    }

    /// Semantic models need a model that lists the days, and that says so in its properties.
    fn time_spine(&self) -> Option<Diagnostic> {
        let semantic_model = self.manifest.semantic_models.values().next()?;
        let grains: BTreeSet<&str> = self.manifest.nodes.values().filter_map(spine_granularity).collect();
        let old = self.manifest.nodes.values().find(|node| node.name == "metricflow_time_spine" && node.model.is_some());
        if old.is_none() && !UP_TO_A_DAY.iter().any(|grain| grains.contains(grain)) {
            let message = "semantic models need a time spine of days or smaller, and the project has none";
            let mistake = Diagnostic::error("time-spine-missing", message).at(semantic_model.location.clone());
            return Some(mistake.help("give a model with a row a day `time_spine: {standard_granularity_column: …}`"));
        }
        let is_old = old.filter(|node| node.model.as_ref().is_some_and(|model| model.time_spine.is_none()));
        let tolerated = !self.flag("require_yaml_configuration_for_mf_time_spines", true);
        is_old.filter(|_| tolerated && !grains.contains("day")).map(|node| {
            let message = "dbt deprecates a time spine that only its name tells";
            let warning = Diagnostic::warning("time-spine-not-configured", message).at(node.location.clone());
            warning.help("describe the model with `time_spine: {standard_granularity_column: date_day}`")
        })
    }

    /// Time dimensions without a granularity.
    fn time_dimensions(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for model in self.manifest.semantic_models.values() {
            for dimension in objects(model.json.get("dimensions")) {
                let is_time = dimension.get("type").and_then(Json::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("time"));
                let grain = dimension.get("type_params").and_then(|params| params.get("time_granularity"));
                if is_time && text(grain).is_none() {
                    let name = text(dimension.get("name")).unwrap_or_default();
                    let message = format!("the time dimension `{name}` of `{}` has no granularity", model.name);
                    let warning = Diagnostic::warning("time-dimension-granularity", message).at(model.location.clone());
                    found.push(warning.help("give it `type_params: {time_granularity: day}`"));
                }
            }
        }
        found
    }
}

/// The granularity of a model that is a time spine.
fn spine_granularity(node: &Node) -> Option<&str> {
    let spine = node.model.as_ref()?.time_spine.as_ref()?;
    let column = spine.get("standard_granularity_column")?.as_str()?;
    node.columns.get(column)?.granularity.as_deref()
}
