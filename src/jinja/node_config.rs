//! The config of a node that ran, as `results` in `on-run-end` has it: an object of dbt's, where a key that is not there is none.

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::collection::{dict, from_json};

#[derive(Debug)]
struct NodeConfig(IndexMap<String, Value>);

/// A config dictionary as such an object. dbt's `BaseConfig` answers every key it does not know with none, never undefined.
pub fn node_config(config: &Json) -> Value {
    let entries = config.as_object().into_iter().flatten();
    Value::from_object(NodeConfig(entries.map(|(key, value)| (key.clone(), from_json(value))).collect()))
}

impl NodeConfig {
    /// Hooks are attributes with an underscore there.
    fn find(&self, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let key = if matches!(key, "pre_hook" | "post_hook") { key.replace('_', "-") } else { key.to_string() };
        self.0.get(&key).cloned()
    }
}

impl Object for NodeConfig {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(self.find(key).unwrap_or(Value::from(())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|key| Value::from(key.as_str())).collect())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("get", [key]) => Ok(self.find(key).unwrap_or(Value::from(()))),
            ("get", [key, default]) => Ok(self.find(key).unwrap_or_else(|| default.clone())),
            ("to_dict", _) => Ok(dict(self.0.iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())))),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
