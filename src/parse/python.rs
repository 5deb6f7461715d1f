//! Python models: their `dbt.ref`, `dbt.source` and `dbt.config` calls, read without running Python. Only literal arguments
//! count, which is what dbt itself demands of them.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use serde_json::Value as Json;

use crate::manifest::JsonMap;

use super::Capture;
use super::literal::{self, LiteralArguments};

/// The calls of a Python model.
pub(super) fn capture(source: &str) -> Capture {
    let mut capture = Capture { is_static: true, ..Capture::default() };
    let mut used = KeysUsed::default();
    for (at, _) in source.match_indices("dbt.") {
        let standalone = !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        let line_start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let in_comment = source[line_start..at].contains('#');
        if standalone && !in_comment {
            take_call(&source[at + 4..], &mut capture, &mut used);
        }
    }
    used.write_into(&mut capture.config);
    capture
}

fn take_call(text: &str, capture: &mut Capture, used: &mut KeysUsed) {
    let Some((function, rest)) = text.split_once('(') else { return };
    let function = function.trim();
    if !matches!(function, "ref" | "source" | "config" | "config.get" | "config.meta_get") {
        return;
    }
    let tokens: Vec<Token<'_>> =
        tokenize(rest, true, SyntaxConfig::default()).map_while(Result::ok).map(|(token, _)| token).collect();
    let Some(arguments) = literal::arguments(&tokens) else { return };
    match function {
        "ref" => capture.refs.extend(literal::ref_args(arguments)),
        "source" => capture.sources.extend(literal::source_args(arguments)),
        "config" => super::config_calls::merge_calls(&mut capture.config, arguments.named),
        "config.get" => KeysUsed::add(&mut used.config, arguments),
        _ => KeysUsed::add(&mut used.meta, arguments),
    }
}

/// Keys a model asks of its config while it runs, with their defaults; dbt hands them to the generated code.
#[derive(Default)]
struct KeysUsed {
    config: (Vec<Json>, Vec<Json>),
    meta: (Vec<Json>, Vec<Json>),
}

impl KeysUsed {
    fn add((keys, defaults): &mut (Vec<Json>, Vec<Json>), arguments: LiteralArguments) {
        let mut positional = arguments.positional.into_iter();
        if let Some(key) = positional.next() {
            keys.push(key);
            defaults.push(positional.next().unwrap_or(Json::Null));
        }
    }

    fn write_into(self, config: &mut JsonMap) {
        if self.config.0.is_empty() && self.meta.0.is_empty() {
            return;
        }
        config.insert("config_keys_used".to_string(), Json::Array(self.config.0));
        config.insert("config_keys_defaults".to_string(), Json::Array(self.config.1));
        config.insert("meta_keys_used".to_string(), Json::Array(self.meta.0));
        config.insert("meta_keys_defaults".to_string(), Json::Array(self.meta.1));
    }
}
