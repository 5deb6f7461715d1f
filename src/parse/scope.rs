//! The scope a template is rendered in while parsing: it records what is called and answers placeholders.

use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::{Introspect, NodeScope, RefAnswer, value_of};
use crate::manifest::{JsonMap, RefArgs};
use crate::name::{Relation, ResourceType, UniqueId};
use crate::project::Project;

use super::{Capture, variable};

/// What a template may know of the node it belongs to before that node is resolved.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    pub unique_id: UniqueId,
    pub resource_type: ResourceType,
    pub name: String,
    pub package: String,
    pub path: String,
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub raw_code: String,
    pub relation: Relation,
}

/// Records the calls of one template. Further names of its context are given as `extra`.
pub struct ParseScope {
    project: Arc<Project>,
    node: NodeIdentity,
    capture: Mutex<Capture>,
    extra: Vec<(&'static str, Value)>,
    /// Where macros are looked up first, if not in the node's own package.
    macro_package: Option<String>,
}

impl ParseScope {
    pub fn new(project: Arc<Project>, node: NodeIdentity) -> Self {
        Self { project, node, capture: Mutex::new(Capture::default()), extra: Vec::new(), macro_package: None }
    }

    /// Adds a name to the context.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.extra.push((name, value));
        self
    }

    /// Looks macros up as seen from another package: a generic test's body sees the macros beside it.
    #[must_use]
    pub fn seen_from(mut self, package: &str) -> Self {
        self.macro_package = Some(package.to_string());
        self
    }

    /// What was recorded so far; the record starts anew.
    pub fn take(&self) -> Capture {
        std::mem::take(&mut self.recorded())
    }

    fn recorded(&self) -> std::sync::MutexGuard<'_, Capture> {
        // A panic while recording leaves a capture that is only incomplete, never wrong.
        self.capture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At parse time every reference answers the node's own relation, as dbt does.
    fn placeholder(&self) -> RefAnswer {
        RefAnswer { relation: self.node.relation.clone(), relation_type: None, rendered: None }
    }
}

impl NodeScope for ParseScope {
    fn resolve_ref(&self, args: RefArgs) -> Outcome<RefAnswer> {
        self.recorded().refs.push(args);
        Ok(self.placeholder())
    }

    fn resolve_source(&self, source: &str, table: &str) -> Outcome<RefAnswer> {
        self.recorded().sources.push([source.to_string(), table.to_string()]);
        Ok(self.placeholder())
    }

    fn resolve_function(&self, name: &str, package: Option<&str>) -> Outcome<RefAnswer> {
        let arguments = package.into_iter().chain([name]).map(str::to_string).collect();
        self.recorded().functions.push(arguments);
        Ok(self.placeholder())
    }

    fn set_config(&self, values: JsonMap) -> Outcome<()> {
        for (old, new) in [("pre_hook", "pre-hook"), ("post_hook", "post-hook")] {
            if values.contains_key(old) && values.contains_key(new) {
                let message = format!("the config holds both `{old}` and `{new}`, which mean the same");
                return Diagnostic::error("config-conflict", message).help(format!("keep `{old}` alone")).fail();
            }
        }
        let mut capture = self.recorded();
        if capture.unrendered_config.is_empty() {
            capture.unrendered_config = super::unrendered_config(&self.node.raw_code);
        }
        super::config_calls::merge_calls(&mut capture.config, values);
        Ok(())
    }

    fn config_value(&self, _key: &str) -> Option<Json> {
        // dbt answers "" for every key while parsing.
        None
    }

    fn variable(&self, name: &str) -> Option<Json> {
        variable(&self.project, &self.node.package, name)
    }

    fn this_relation(&self) -> Option<RefAnswer> {
        Some(self.placeholder())
    }

    fn model(&self) -> Value {
        let node = &self.node;
        value_of(&json!({
            "unique_id": node.unique_id,
            "resource_type": node.resource_type,
            "name": node.name,
            "package_name": node.package,
            "path": node.path,
            "original_file_path": node.original_file_path,
            "fqn": node.fqn,
            "raw_code": node.raw_code,
            "database": node.relation.database,
            "schema": node.relation.schema,
            "alias": node.relation.identifier,
            "config": {},
            "tags": [],
            "meta": {},
            "columns": {},
            "depends_on": {"nodes": [], "macros": []},
            "refs": [],
            "sources": [],
        }))
    }

    fn executes(&self) -> bool {
        false
    }

    fn package(&self) -> &str {
        self.macro_package.as_deref().unwrap_or(&self.node.package)
    }

    fn macro_called(&self, macro_id: &UniqueId) {
        let mut capture = self.recorded();
        if !capture.macros.contains(macro_id) {
            capture.macros.push(macro_id.clone());
        }
    }

    fn database(&self) -> Option<Arc<dyn Introspect>> {
        None
    }

    fn extra(&self, name: &str) -> Option<Value> {
        self.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    }

    fn message(&self, _text: &str, _info: bool) {}

    fn warn(&self, _text: &str) {}
}
