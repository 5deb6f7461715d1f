//! `selector:` — what a selection of `selectors.yml` selects.

use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "selector", prepare };

/// Selecting follows the name itself: a selection is no property of one resource.
fn prepare(_: Criterion<'_>) -> Outcome<Matcher<'_>> {
    Ok(Box::new(|_| false))
}
