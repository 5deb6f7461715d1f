//! Selection methods, the `tag` of `tag:nightly`: one file each, one row in [`METHODS`]. The rules are those of dbt-core's
//! `graph/selector_methods.py`.

use std::cell::RefCell;

use serde_json::Value as Json;

use super::Member;
use super::pattern::Pattern;
use super::state::State;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Manifest;
use crate::name::ResourceType;

mod access;
mod config;
mod exposure;
mod file;
mod fqn;
mod group;
mod metric;
mod package;
mod path;
mod resource_type;
mod result;
mod saved_query;
mod selector;
mod semantic_model;
mod source;
mod source_status;
mod state;
mod tag;
mod test_name;
mod test_type;
mod unit_test;
mod version;

/// What one use of a method has to go by.
#[derive(Clone, Copy)]
pub(super) struct Criterion<'a> {
    pub(super) method: &'static str,
    /// What follows the method's name after dots: `config.meta.owner:ann` has `meta`, `owner`.
    pub(super) arguments: &'a [String],
    pub(super) value: &'a str,
    pub(super) manifest: &'a Manifest,
    pub(super) members: &'a [Member<'a>],
    /// What `--state` names, if it was given.
    pub(super) state: Option<&'a State>,
    /// Where warnings go.
    pub(super) warnings: &'a RefCell<Vec<Diagnostic>>,
}

impl<'a> Criterion<'a> {
    /// A part of the earlier state, or an error that says which file would hold it.
    fn earlier<T>(&self, part: impl Fn(&'a State) -> Option<&'a T>, file: &str) -> Outcome<&'a T> {
        let lacks = |help: &str| {
            let message = format!("`{}:{}` compares with an earlier {file}, and there is none", self.method, self.value);
            Diagnostic::error("state-missing", message).help(help)
        };
        let Some(state) = self.state else {
            return lacks("name the folder with the earlier run's artifacts: --state DIR, or DBT_STATE").fail();
        };
        part(state)
            .map_or_else(|| lacks("the folder of --state does not hold it; copy the earlier target folder there").fail(), Ok)
    }

    fn warn(&self, warning: Diagnostic) {
        self.warnings.borrow_mut().push(warning);
    }

    fn warning(&self, message: &str, expected: &str) -> Diagnostic {
        Diagnostic::warning("selection-empty", message).help(format!("expected {expected}"))
    }

    /// An error about the value, with what the method expects.
    fn invalid(&self, expected: &str) -> Diagnostic {
        let message = format!("invalid value '{}' for the selection method `{}`", self.value, self.method);
        Diagnostic::error("selection-invalid", message).help(format!("expected {expected}"))
    }
}

/// Says of a resource whether it is meant.
pub(super) type Matcher<'a> = Box<dyn Fn(&Member<'_>) -> bool + 'a>;

/// A method: reads its value once, then answers for every resource.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) prepare: for<'a> fn(Criterion<'a>) -> Outcome<Matcher<'a>>,
}

/// Every method, in dbt's order.
pub(super) const METHODS: &[Method] = &[
    fqn::METHOD,
    tag::METHOD,
    group::METHOD,
    access::METHOD,
    source::METHOD,
    path::METHOD,
    file::METHOD,
    package::METHOD,
    config::METHOD,
    test_name::METHOD,
    test_type::METHOD,
    resource_type::METHOD,
    state::METHOD,
    exposure::METHOD,
    metric::METHOD,
    result::METHOD,
    source_status::METHOD,
    version::METHOD,
    semantic_model::METHOD,
    saved_query::METHOD,
    unit_test::METHOD,
    selector::METHOD,
];

/// The method of that name, or an error with the nearest one.
pub(super) fn find(name: &str) -> Outcome<&'static Method> {
    if let Some(method) = METHODS.iter().find(|method| method.name == name) {
        return Ok(method);
    }
    let names = METHODS.iter().map(|method| method.name);
    Diagnostic::error("selection-method-unknown", format!("'{name}' is not a valid method name"))
        .help(format!("methods are: {}", names.clone().collect::<Vec<_>>().join(", ")))
        .suggest(name, names)
        .fail()
}

/// The method of a bare value: a path if it has a slash, a file if it ends like one, else a name.
pub(super) fn default_for(value: &str) -> Outcome<&'static Method> {
    let lower = value.to_lowercase();
    let is_file = [".sql", ".py", ".csv"].iter().any(|ending| lower.ends_with(ending));
    find(if value.contains('/') {
        "path"
    } else if is_file {
        "file"
    } else {
        "fqn"
    })
}

/// The rule of methods that name resources of one type: `[package.]name`, both as patterns.
fn named<'a>(criterion: Criterion<'a>, resource_type: ResourceType) -> Outcome<Matcher<'a>> {
    let (package, name) = match *criterion.value.split('.').collect::<Vec<_>>() {
        [name] => ("*", name),
        [package, name] => (package, name),
        _ => return criterion.invalid("`name` or `package.name`").fail(),
    };
    let (package, name) = (Pattern::new(package), Pattern::new(name));
    Ok(Box::new(move |member| {
        member.resource_type() == resource_type && package.matches(member.package_name()) && name.matches(member.name())
    }))
}

/// A model's version as people write it: `2`, `1.5`, `beta`.
pub(super) fn version_text(version: &Json) -> String {
    match version {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
