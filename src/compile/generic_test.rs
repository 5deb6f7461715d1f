//! Generic tests: their arguments are rendered, then handed to the macro `test_<name>`.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use minijinja::Value;
use regex::Regex;
use serde_json::Value as Json;

use super::{CompileScope, Extras, value_of};
use crate::diagnostic::Outcome;
use crate::jinja::{MacroCall, NodeScope, Rendered, TemplateText};
use crate::manifest::{Node, TestDetail};

/// An argument written as a bare call, such as `to: ref('customers')`.
static CALL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(env_var|ref|var|source|doc)\s*\(.+\)\s*$").expect("the pattern is a valid regex"));

/// The name under which a render hands a value, not its text, back to us.
const CAPTURE: &str = "headwater_capture";

/// The SQL of one generic test. Ephemeral models that the arguments name are noted in `scope`.
pub(super) fn render(node: &Node, test: &TestDetail, scope: &Arc<CompileScope>) -> Outcome<Rendered> {
    let mut kwargs = Vec::with_capacity(test.kwargs.len());
    for (name, value) in &test.kwargs {
        // A column's name is text even where it looks like a call.
        let value = match (name.as_str(), value) {
            ("column_name", Json::String(text)) => Value::from(text.as_str()),
            _ => argument(value, node, scope)?,
        };
        kwargs.push((name.clone(), value));
    }
    let name = format!("test_{}", test.name);
    let call = MacroCall { name: &name, package: test.namespace.as_deref(), args: &[], kwargs: &kwargs };
    let answer = scope.context().jinja.call_macro(&call, scope.clone())?;
    let callee = test.namespace.as_ref().map_or_else(|| format!("{name}("), |package| format!("{package}.{name}("));
    Ok(Rendered::of_expression(answer.to_string(), &callee, node.location.clone()))
}

/// An argument with its strings rendered, at any depth.
fn argument(value: &Json, node: &Node, scope: &Arc<CompileScope>) -> Outcome<Value> {
    match value {
        Json::String(text) => rendered(text, node, scope),
        Json::Array(items) => {
            let items = items.iter().map(|item| argument(item, node, scope)).collect::<Outcome<Vec<_>>>()?;
            Ok(Value::from(items))
        }
        Json::Object(entries) => {
            let pairs = entries.iter().map(|(key, item)| Ok((Value::from(key.as_str()), argument(item, node, scope)?)));
            Ok(Value::from_pairs(pairs.collect::<Outcome<Vec<(Value, Value)>>>()?))
        }
        other => Ok(value_of(other)),
    }
}

/// A string that is one expression keeps the expression's value (a relation stays a relation); other Jinja gives text.
fn rendered(text: &str, node: &Node, scope: &Arc<CompileScope>) -> Outcome<Value> {
    let trimmed = text.trim();
    if CALL.is_match(text) {
        return evaluate(trimmed, node, scope);
    }
    let inner = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    match inner.filter(|inner| !inner.contains("{{") && !inner.contains("{%")) {
        Some(expression) => evaluate(expression.trim_matches('-').trim(), node, scope),
        None if ["{{", "{%", "{#"].iter().any(|open| text.contains(open)) => {
            let template = template(text.to_string(), node);
            scope.context().jinja.render(&template, scope.clone()).map(Value::from)
        }
        None => Ok(Value::from(text)),
    }
}

/// The value of an expression: the engine renders text only, so the expression is passed to a function that keeps it.
fn evaluate(expression: &str, node: &Node, scope: &Arc<CompileScope>) -> Outcome<Value> {
    let kept: Arc<Mutex<Option<Value>>> = Arc::default();
    let slot = kept.clone();
    let keep = Value::from_function(move |value: Value| {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        String::new()
    });
    let inner = Arc::new(scope.with_extras(Extras::from([(CAPTURE.to_string(), keep)])));
    let template = template(format!("{{{{ {CAPTURE}({expression}) }}}}"), node);
    let text = scope.context().jinja.render(&template, inner.clone() as Arc<dyn NodeScope>)?;
    scope.adopt(&inner);
    let value = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(value.unwrap_or_else(|| Value::from(text)))
}

fn template(source: String, node: &Node) -> TemplateText {
    TemplateText { name: node.unique_id.to_string(), source, location: node.location.clone() }
}
