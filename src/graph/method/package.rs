//! `package:` — everything of a package; `this` is the root project.

use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "package", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let pattern = Pattern::new(match criterion.value {
        "this" => &criterion.manifest.project_name,
        other => other,
    });
    Ok(Box::new(move |member| pattern.matches(member.package_name())))
}
