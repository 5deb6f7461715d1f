//! `tag:` — any resource with a tag that fits the pattern.

use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "tag", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let pattern = Pattern::new(criterion.value);
    Ok(Box::new(move |member| member.tags().iter().any(|tag| pattern.matches(tag))))
}
