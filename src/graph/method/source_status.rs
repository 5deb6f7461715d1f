//! `source_status:fresher` — sources that have newer rows than an earlier `source freshness` saw.

use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "source_status", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let then = criterion.earlier(|state| state.sources.as_ref(), "sources.json")?;
    let now = criterion.earlier(|state| state.sources_now.as_ref(), "sources.json (of the target folder)")?;
    if criterion.value != "fresher" {
        return criterion.invalid("`fresher`").suggest(criterion.value, ["fresher"]).fail();
    }
    Ok(Box::new(move |member| {
        let id = member.unique_id();
        match (now.get(id), then.get(id)) {
            // Asking failed then or now: nobody knows.
            (Some(None) | None, _) | (_, Some(None)) => false,
            (Some(Some(_)), None) => true,
            (Some(Some(now)), Some(Some(then))) => now > then,
        }
    }))
}
