//! `access:` — models that are `private`, `protected` or `public`.

use super::super::Member;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "access", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let value = criterion.value;
    Ok(Box::new(move |member| match member {
        Member::Node(node) => node.model.as_ref().is_some_and(|model| model.access == value),
        _ => false,
    }))
}
