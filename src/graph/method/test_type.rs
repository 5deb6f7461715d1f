//! `test_type:` — `generic` (or `schema`), `singular`, `data` (both of these), `unit`.

use super::super::Member;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "test_type", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let (generic, singular, unit) = match criterion.value {
        "generic" | "schema" => (true, false, false),
        "singular" => (false, true, false),
        "data" => (true, true, false),
        "unit" => (false, false, true),
        other => {
            let expected = "`generic`, `singular`, `data` or `unit`";
            return criterion.invalid(expected).suggest(other, ["generic", "singular", "data", "unit"]).fail();
        }
    };
    Ok(Box::new(move |member| match member {
        Member::Node(node) if node.resource_type == ResourceType::Test => {
            let is_generic = node.test.as_ref().is_some_and(|test| !test.name.is_empty());
            if is_generic { generic } else { singular }
        }
        Member::Other(other) => unit && other.resource_type == ResourceType::UnitTest,
        _ => false,
    }))
}
