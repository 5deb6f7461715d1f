//! `builtins.ref.config`: the run's configuration as dbt's own objects hold it, which packages reach for.

use minijinja::Value;

use super::collection::from_json;
use super::engine::Engine;

/// The root project's name, version, vars and target, the packages by name, and the arguments of the command.
pub(super) fn config(engine: &Engine) -> Value {
    from_json(&serde_json::Value::Object(engine.settings.runtime_config.clone()))
}
