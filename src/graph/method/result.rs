//! `result:` — what ended so in an earlier run: `error`, `fail`, `skipped`, `success` and the other statuses.

use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "result", prepare };

const STATUSES: [&str; 9] = ["success", "error", "fail", "warn", "skipped", "pass", "no-op", "partial success", "runtime error"];

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let results = criterion.earlier(|state| state.results.as_ref(), "run_results.json")?;
    let value = criterion.value;
    if !STATUSES.contains(&value) {
        let expected = STATUSES.map(|value| format!("`{value}`")).join(", ");
        criterion.warn(criterion.warning(&format!("no result is ever `{value}`"), &expected).suggest(value, STATUSES));
    }
    Ok(Box::new(move |member| results.get(member.unique_id()).is_some_and(|status| status == value)))
}
