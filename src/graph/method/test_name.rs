//! `test_name:` — generic tests by the name of their definition (`unique`), unit tests by their own.

use super::super::Member;
use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "test_name", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let pattern = Pattern::new(criterion.value);
    Ok(Box::new(move |member| match member {
        Member::Node(node) => node.test.as_ref().is_some_and(|test| !test.name.is_empty() && pattern.matches(&test.name)),
        Member::Other(other) => other.resource_type == ResourceType::UnitTest && pattern.matches(&other.name),
        _ => false,
    }))
}
