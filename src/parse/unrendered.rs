//! The first `config(…)` call of a template as it is written: dbt keeps it in `unrendered_config` to compare runs.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use serde_json::Value as Json;

use crate::manifest::JsonMap;

/// The keyword arguments of the first `config(…)` call, each as its source text in Python's spelling; a plain string
/// without its quotes. Empty if there is no such call.
pub fn unrendered_config(source: &str) -> JsonMap {
    let mut config = JsonMap::new();
    if !source.contains("config(") {
        return config;
    }
    let tokens: Vec<Token<'_>> =
        tokenize(source, false, SyntaxConfig::default()).map_while(Result::ok).map(|(token, _)| token).collect();
    let start =
        tokens.windows(2).position(|pair| matches!(pair[0], Token::Ident("config")) && matches!(pair[1], Token::ParenOpen));
    let Some(start) = start else { return config };
    for argument in split_arguments(&tokens[start + 2..]) {
        if let [Token::Ident(key), Token::Assign, value @ ..] = argument {
            config.insert((*key).to_string(), Json::String(spell(value)));
        }
    }
    config
}

/// The arguments of a call whose opening parenthesis stands just before `tokens`.
pub(super) fn split_arguments<'t, 's>(tokens: &'t [Token<'s>]) -> Vec<&'t [Token<'s>]> {
    let (mut depth, mut begin, mut arguments) = (0_usize, 0, Vec::new());
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => depth += 1,
            Token::ParenClose if depth == 0 => {
                if index > begin {
                    arguments.push(&tokens[begin..index]);
                }
                break;
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                arguments.push(&tokens[begin..index]);
                begin = index + 1;
            }
            _ => {}
        }
    }
    arguments
}

fn spell(tokens: &[Token<'_>]) -> String {
    match tokens {
        [Token::Str(text)] => return (*text).to_string(),
        [Token::String(text)] => return text.to_string(),
        _ => {}
    }
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Ident("true" | "True") => text.push_str("True"),
            Token::Ident("false" | "False") => text.push_str("False"),
            Token::Ident("none" | "None") => text.push_str("None"),
            Token::Ident(word @ ("and" | "or" | "in" | "if" | "else")) => {
                text.push(' ');
                text.push_str(word);
                text.push(' ');
            }
            Token::Ident("not") => text.push_str("not "),
            Token::Ident(word) => text.push_str(word),
            Token::Str(part) => text.push_str(&super::python_text::repr_str(part)),
            Token::String(part) => text.push_str(&super::python_text::repr_str(part)),
            Token::Int(number) => text.push_str(&number.to_string()),
            Token::Float(number) => text.push_str(&super::python_text::float(*number)),
            Token::Comma => text.push_str(", "),
            Token::Colon => text.push_str(": "),
            Token::Assign | Token::Dot | Token::Minus => text.push_str(symbol(token)),
            Token::ParenOpen | Token::ParenClose | Token::BracketOpen | Token::BracketClose => text.push_str(symbol(token)),
            Token::BraceOpen | Token::BraceClose => text.push_str(symbol(token)),
            other => {
                text.push(' ');
                text.push_str(symbol(other));
                text.push(' ');
            }
        }
    }
    text
}

fn symbol(token: &Token<'_>) -> &'static str {
    match token {
        Token::Assign => "=",
        Token::Dot => ".",
        Token::Minus => "-",
        Token::Plus => "+",
        Token::Mul => "*",
        Token::Div => "/",
        Token::FloorDiv => "//",
        Token::Pow => "**",
        Token::Mod => "%",
        Token::Tilde => "~",
        Token::Pipe => "|",
        Token::Eq => "==",
        Token::Ne => "!=",
        Token::Gt => ">",
        Token::Gte => ">=",
        Token::Lt => "<",
        Token::Lte => "<=",
        Token::ParenOpen => "(",
        Token::ParenClose => ")",
        Token::BracketOpen => "[",
        Token::BracketClose => "]",
        Token::BraceOpen => "{",
        Token::BraceClose => "}",
        _ => "",
    }
}
