//! Placeholder for the engine that the jinja part brings: just enough to render what the execute tests write. Dropped at merge.

use std::sync::Arc;

use minijinja::value::{Kwargs, Object, Rest};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{NodeScope, RefAnswer};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::RefArgs;
use crate::source::Location;

/// A template's text with its place.
#[derive(Clone, Debug)]
pub struct TemplateText {
    pub name: String,
    pub source: Arc<str>,
    pub location: Location,
}

/// Renders templates.
#[derive(Default)]
pub struct Jinja {
    /// Macro name and the template that stands for it; its arguments are plain names.
    pub macros: Vec<(String, String)>,
}

impl Jinja {
    pub fn render(&self, template: &TemplateText, scope: Arc<dyn NodeScope>) -> Outcome<String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.render_str(&template.source, Value::from_object(Context { scope, locals: Vec::new() })).map_err(diagnose)
    }

    pub fn call_macro(
        &self,
        name: &str,
        _package: Option<&str>,
        _args: &[Value],
        kwargs: &[(String, Value)],
        scope: Arc<dyn NodeScope>,
    ) -> Outcome<Value> {
        let Some((_, source)) = self.macros.iter().find(|(known, _)| known == name) else {
            return Diagnostic::error("macro-not-found", format!("no macro `{name}`")).fail();
        };
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let context = Value::from_object(Context { scope, locals: kwargs.to_vec() });
        environment.render_str(source, context).map(Value::from).map_err(diagnose)
    }
}

fn diagnose(error: Error) -> Box<Diagnostic> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = source {
        if let Some(diagnostic) = inner.downcast_ref::<Diagnostic>() {
            return Box::new(diagnostic.clone());
        }
        source = inner.source();
    }
    Box::new(Diagnostic::error("jinja-error", error.to_string()))
}

struct Context {
    scope: Arc<dyn NodeScope>,
    locals: Vec<(String, Value)>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("context")
    }
}

fn relation(answer: Outcome<RefAnswer>) -> Result<Value, Error> {
    match answer {
        Ok(answer) => Ok(Value::from(answer.rendered.unwrap_or_else(|| answer.relation.render()))),
        Err(error) => Err(Error::new(ErrorKind::InvalidOperation, error.message.clone()).with_source(*error)),
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if let Some((_, value)) = self.locals.iter().find(|(local, _)| local == name) {
            return Some(value.clone());
        }
        if let Some(value) = self.scope.extra(name) {
            return Some(value);
        }
        let scope = self.scope.clone();
        Some(match name {
            "ref" => Value::from_function(move |Rest(names): Rest<String>| {
                let (package, name) = match names.as_slice() {
                    [package, name] => (Some(package.clone()), name.clone()),
                    [name, ..] => (None, name.clone()),
                    [] => (None, String::new()),
                };
                relation(scope.resolve_ref(RefArgs { name, package, version: None }))
            }),
            "source" => {
                Value::from_function(move |source: String, table: String| relation(scope.resolve_source(&source, &table)))
            }
            "var" => Value::from_function(move |name: String| {
                scope.variable(&name).map_or(Value::from(()), |value| Value::from(value.as_str().unwrap_or_default()))
            }),
            "config" => Value::from_function(move |_: Kwargs| String::new()),
            "run_query" => Value::from_function(move |sql: String| match scope.database().map(|database| database.query(&sql)) {
                Some(Ok(rows)) => Ok(Value::from(rows.rows.len())),
                Some(Err(error)) => Err(Error::new(ErrorKind::InvalidOperation, error.message.clone()).with_source(*error)),
                None => Ok(Value::from(0)),
            }),
            "is_incremental" => Value::from_function(move || {
                let this = scope.this_relation();
                let existing =
                    this.zip(scope.database()).and_then(|(this, database)| database.relation_type(&this.relation).ok()?);
                existing == Some(crate::name::RelationType::Table)
            }),
            "get_where_subquery" => Value::from_function(move |relation: String| {
                let filter = scope.config_value("where").and_then(|filter| filter.as_str().map(str::to_string));
                filter.map_or(relation.clone(), |filter| format!("(select * from {relation} where {filter}) dbt_subquery"))
            }),
            "panic" => Value::from_function(|| -> String { panic!("the template panics") }),
            "this" => {
                relation(self.scope.this_relation().map_or_else(|| Diagnostic::error("no-this", "no this").fail(), Ok)).ok()?
            }
            "model" => self.scope.model(),
            "execute" => Value::from(self.scope.executes()),
            _ => return None,
        })
    }
}
