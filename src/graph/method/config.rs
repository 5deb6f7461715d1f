//! `config.<key>[.<key>…]:` — nodes and sources by a config value: text equal to it, a list that holds it, or a boolean.

use serde_json::Value as Json;

use super::super::Member;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "config", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let Criterion { arguments, value, .. } = criterion;
    if arguments.is_empty() {
        return criterion.invalid("the config's name after a dot: `config.materialized:table`").fail();
    }
    // `severity` is written `warn` or `WARN`; dbt compares this one without regard to case.
    let any_case = arguments == ["severity"];
    Ok(Box::new(move |member| {
        if !matches!(member, Member::Node(_) | Member::Source(_)) {
            return false;
        }
        match lookup(member, arguments) {
            Some(Json::Array(items)) => items.iter().any(|item| is_value(item, value, any_case)),
            Some(found) => is_value(found, value, any_case),
            None => false,
        }
    }))
}

fn lookup<'m>(member: &Member<'m>, keys: &[String]) -> Option<&'m Json> {
    let (first, rest) = keys.split_first()?;
    let config = member.config();
    // Python attributes cannot hold a dash, so dbt's `pre-hook` is `pre_hook` here.
    let found = config.get(first.as_str()).or_else(|| config.get(&first.replace('_', "-")))?;
    rest.iter().try_fold(found, |value, key| value.get(key.as_str()))
}

/// Numbers never match, as in dbt: what the command line gives is text.
fn is_value(found: &Json, wanted: &str, any_case: bool) -> bool {
    match found {
        Json::String(text) if any_case => text.eq_ignore_ascii_case(wanted),
        Json::String(text) => text == wanted,
        Json::Bool(flag) => wanted.eq_ignore_ascii_case(if *flag { "true" } else { "false" }),
        _ => false,
    }
}
