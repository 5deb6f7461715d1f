//! `function`: a function of the project, made anew in place of what has its name.

use serde_json::Value as Json;

use super::{Input, Work};
use crate::adapter::{FunctionArgument, Operation, SqlFunction};
use crate::diagnostic::{Diagnostic, Outcome};

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    let node = input.node;
    if node.config_str("type") == Some("aggregate") {
        let message = format!("the function `{}` is an aggregate; this engine makes functions of single values only", node.name);
        return Diagnostic::error("function-aggregate", message).at(node.location.clone()).fail();
    }
    let detail = node.function.as_deref().cloned().unwrap_or_default();
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let argument = |argument: &Json| FunctionArgument {
        name: text(&argument["name"]),
        data_type: text(&argument["data_type"]),
        default: Some(&argument["default_value"]).filter(|value| !value.is_null()).map(text),
    };
    let function = SqlFunction {
        arguments: detail.arguments.iter().map(argument).collect(),
        returns: text(&detail.returns["data_type"]),
        body: input.compiled.sql.clone(),
    };
    Ok(Work::of(Operation::CreateFunction { relation: input.compiled.relation.clone(), function }))
}
