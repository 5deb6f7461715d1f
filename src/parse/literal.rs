//! Calls with literal arguments, read without evaluating anything: `ref('a', v=2)`, `source("s", "t")`.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use serde_json::Value as Json;

use crate::manifest::{JsonMap, RefArgs};

use super::unrendered::split_arguments;

/// A call that names its target plainly.
#[derive(Clone, Debug, PartialEq)]
pub enum LiteralCall {
    Ref(RefArgs),
    Source([String; 2]),
    Metric(Vec<String>),
}

/// The arguments of a call, if all are literals.
pub(super) struct LiteralArguments {
    pub positional: Vec<Json>,
    pub named: JsonMap,
}

/// Reads `expression` as one literal `ref`, `source` or `metric` call; none if it is anything else.
pub fn literal_call(expression: &str) -> Option<LiteralCall> {
    let tokens: Vec<Token<'_>> = tokenize(expression.trim(), true, SyntaxConfig::default())
        .map(|result| result.map(|(token, _)| token))
        .collect::<Result<_, _>>()
        .ok()?;
    let [Token::Ident(function), Token::ParenOpen, inner @ .., Token::ParenClose] = tokens.as_slice() else { return None };
    let depth = inner.iter().try_fold(0_i32, |depth, token| match token {
        Token::ParenOpen => Some(depth + 1),
        Token::ParenClose if depth == 0 => None,
        Token::ParenClose => Some(depth - 1),
        _ => Some(depth),
    })?;
    if depth != 0 {
        return None;
    }
    let arguments = arguments(&tokens[2..])?;
    match *function {
        "ref" => ref_args(arguments).map(LiteralCall::Ref),
        "source" => source_args(arguments).map(LiteralCall::Source),
        "metric" => {
            let names: Option<Vec<String>> = arguments.positional.iter().map(|name| name.as_str().map(String::from)).collect();
            names.filter(|names| !names.is_empty()).map(LiteralCall::Metric)
        }
        _ => None,
    }
}

pub(super) fn ref_args(arguments: LiteralArguments) -> Option<RefArgs> {
    let texts: Option<Vec<&str>> = arguments.positional.iter().map(Json::as_str).collect();
    let version = arguments.named.get("version").or_else(|| arguments.named.get("v")).cloned();
    match texts?.as_slice() {
        [name] => Some(RefArgs { name: (*name).to_string(), package: None, version }),
        [package, name] => Some(RefArgs { name: (*name).to_string(), package: Some((*package).to_string()), version }),
        _ => None,
    }
}

pub(super) fn source_args(arguments: LiteralArguments) -> Option<[String; 2]> {
    match arguments.positional.as_slice() {
        [Json::String(source), Json::String(table)] => Some([source.clone(), table.clone()]),
        _ => None,
    }
}

/// Reads the arguments of the call whose opening parenthesis stands just before `tokens`.
pub(super) fn arguments(tokens: &[Token<'_>]) -> Option<LiteralArguments> {
    let mut read = LiteralArguments { positional: Vec::new(), named: JsonMap::new() };
    for argument in split_arguments(tokens) {
        if let [Token::Ident(name), Token::Assign, value @ ..] = argument {
            read.named.insert((*name).to_string(), literal(value)?);
        } else {
            read.positional.push(literal(argument)?);
        }
    }
    Some(read)
}

fn literal(tokens: &[Token<'_>]) -> Option<Json> {
    match tokens {
        [Token::Str(text)] => Some(Json::from(*text)),
        [Token::String(text)] => Some(Json::from(text.to_string())),
        [Token::Int(number)] => Some(Json::from(*number)),
        [Token::Float(number)] => Some(Json::from(*number)),
        [Token::Minus, Token::Int(number)] => i64::try_from(*number).ok().map(|number| Json::from(-number)),
        [Token::Minus, Token::Float(number)] => Some(Json::from(-number)),
        [Token::Ident("true" | "True")] => Some(Json::Bool(true)),
        [Token::Ident("false" | "False")] => Some(Json::Bool(false)),
        [Token::Ident("none" | "None")] => Some(Json::Null),
        [Token::BracketOpen, inner @ .., Token::BracketClose] | [Token::ParenOpen, inner @ .., Token::ParenClose] => {
            split(inner, |token| matches!(token, Token::Comma))
                .into_iter()
                .map(literal)
                .collect::<Option<Vec<_>>>()
                .map(Json::Array)
        }
        [Token::BraceOpen, inner @ .., Token::BraceClose] => {
            let mut map = JsonMap::new();
            for entry in split(inner, |token| matches!(token, Token::Comma)) {
                let [key, value] = split(entry, |token| matches!(token, Token::Colon)).try_into().ok()?;
                map.insert(literal(key)?.as_str()?.to_string(), literal(value)?);
            }
            Some(Json::Object(map))
        }
        _ => None,
    }
}

/// Splits at separators outside brackets; empty parts (a trailing comma) are dropped.
fn split<'t, 's>(tokens: &'t [Token<'s>], is_separator: impl Fn(&Token<'s>) -> bool) -> Vec<&'t [Token<'s>]> {
    let (mut depth, mut begin, mut parts) = (0_usize, 0, Vec::new());
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => depth += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => depth = depth.saturating_sub(1),
            token if depth == 0 && is_separator(token) => {
                parts.push(&tokens[begin..index]);
                begin = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}
