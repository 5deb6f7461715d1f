//! Functions of the project: what property files say of them, and which function a call means.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{FunctionDetail, JsonMap};
use crate::name::UniqueId;
use crate::parse::{ParsedProperty, location_at};

use super::Resolver;
use super::columns::{objects, text};
use super::link::Asker;
use super::lookup::packages_to_search;
use super::patch::Patch;

impl Resolver<'_> {
    /// Gives a function its arguments, its result and its config.
    pub(super) fn patch_function(&mut self, entry: &ParsedProperty) -> Outcome<()> {
        let id = UniqueId::from(format!("function.{}.{}", entry.file.package.name, entry.name));
        let known = self.manifest.nodes.contains_key(&id) || self.manifest.disabled_nodes.contains_key(&id);
        if !known {
            self.warn_unmatched(entry, &entry.name);
            return Ok(());
        }
        let detail = detail(entry)?;
        let patch = Patch::new(entry)?;
        let calls = self.calls.get(&id).cloned().unwrap_or_default();
        let enabled = self.manifest.nodes.get(&id).cloned();
        let disabled = || self.manifest.disabled_nodes.get(&id).and_then(|nodes| nodes.first()).cloned();
        let Some(mut node) = enabled.or_else(disabled) else { return Ok(()) };
        node.function = Some(Box::new(detail));
        self.apply(&mut node, &patch, &calls)?;
        match self.manifest.nodes.get_mut(&id) {
            Some(known) => *known = node,
            None => _ = self.manifest.disabled_nodes.insert(id, vec![node]),
        }
        Ok(())
    }

    /// The function that a call means; none, with a diagnostic, if there is none. `by_name` has the first function of each name.
    pub(super) fn function_id(
        &mut self,
        call: &[String],
        caller: &Asker,
        by_name: &BTreeMap<String, UniqueId>,
    ) -> Option<UniqueId> {
        let (name, package) = match call {
            [name] => (name, None),
            [package, name] => (name, Some(package.as_str())),
            _ => return None,
        };
        let root = self.project.name.clone();
        let id = |package: &str| UniqueId::from(format!("function.{package}.{name}"));
        let searched = packages_to_search(&root, &caller.package, package);
        let found = searched.iter().find_map(|package| match package {
            Some(package) => Some(id(package)).filter(|id| self.manifest.nodes.contains_key(id)),
            None => by_name.get(name).cloned(),
        });
        if found.is_none() {
            let disabled = self
                .manifest
                .disabled_nodes
                .keys()
                .any(|id| id.kind() == "function" && id.as_str().ends_with(&format!(".{name}")));
            let reason = if disabled { "is disabled" } else { "does not exist" };
            let message = format!("{} `{}` calls the function `{name}`, which {reason}", caller.kind, caller.name);
            let known = by_name.keys().map(String::as_str);
            let mistake = Diagnostic::error("function-not-found", message).at(caller.location.clone()).suggest(name, known);
            self.diagnostics.push(mistake);
        }
        found
    }

    /// A function needs to say what it returns; arguments with a default come last.
    pub(super) fn check_functions(&mut self) {
        let mut found = Vec::new();
        for node in self.manifest.functions() {
            let Some(function) = &node.function else { continue };
            if function.returns.is_null() {
                let message = format!("the function `{}` does not say what it returns", node.name);
                let mistake = Diagnostic::error("function-invalid", message).at(node.location.clone());
                found.push(mistake.help("describe it in a property file, under `functions:`, with `returns: {data_type: …}`"));
            }
            let has_default = |argument: &Json| !argument["default_value"].is_null();
            let first = function.arguments.iter().position(has_default).unwrap_or(usize::MAX);
            let late = function.arguments.iter().enumerate().find(|(at, argument)| *at > first && !has_default(argument));
            if let Some((_, argument)) = late {
                let name = argument["name"].as_str().unwrap_or_default();
                let message = format!(
                    "the argument `{name}` of the function `{}` has no default, but stands behind one that has",
                    node.name
                );
                let mistake = Diagnostic::error("function-invalid", message).at(node.location.clone());
                found.push(mistake.help("put arguments with a default last"));
            }
        }
        self.diagnostics.extend(found);
    }
}

/// Arguments and result in the form of `manifest.json`.
fn detail(entry: &ParsedProperty) -> Outcome<FunctionDetail> {
    let given = &entry.properties;
    let invalid = |key: &str, message: String| {
        Diagnostic::error("function-invalid", message)
            .at(location_at(&entry.yaml, &[key]))
            .help("expected `returns: {data_type: …}` and `arguments: [{name: …, data_type: …}]`")
    };
    let returns = given.get("returns").and_then(Json::as_object).filter(|returns| text(returns.get("data_type")).is_some());
    let Some(returns) = returns else {
        return invalid("returns", format!("the function `{}` does not say the type that it returns", entry.name)).fail();
    };
    let argument = |given: &JsonMap| {
        let (name, data_type) = (text(given.get("name")), text(given.get("data_type")));
        if name.is_none() || data_type.is_none() {
            let message = format!("an argument of the function `{}` lacks its name or its type", entry.name);
            return invalid("arguments", message).fail();
        }
        Ok(json!({
            "name": name, "data_type": data_type, "description": text(given.get("description")),
            "default_value": given.get("default_value"),
        }))
    };
    let arguments = objects(given.get("arguments")).into_iter().map(argument).collect::<Outcome<_>>()?;
    let returns = json!({"data_type": text(returns.get("data_type")), "description": text(returns.get("description"))});
    let overloads = given.get("overloads").and_then(Json::as_array).cloned().unwrap_or_default();
    if !overloads.is_empty() {
        return invalid("overloads", format!("the function `{}` has overloads, which are not supported", entry.name)).fail();
    }
    Ok(FunctionDetail { returns, arguments, overloads })
}
