//! `version:` — models that are the `latest`, an `old` or a `prerelease` version, or have `none`.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::super::Member;
use super::{Criterion, Matcher, Method, version_text};
use crate::diagnostic::Outcome;
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "version", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let wanted = match criterion.value {
        "latest" => Some(Ordering::Equal),
        "old" => Some(Ordering::Less),
        "prerelease" => Some(Ordering::Greater),
        "none" => None,
        other => {
            let expected = "`latest`, `old`, `prerelease` or `none`";
            return criterion.invalid(expected).suggest(other, ["latest", "old", "prerelease", "none"]).fail();
        }
    };
    Ok(Box::new(move |member| {
        let Member::Node(node) = member else { return false };
        if node.resource_type != ResourceType::Model {
            return false;
        }
        let model = node.model.as_ref();
        let version = model.and_then(|model| model.version.as_ref());
        let latest = model.and_then(|model| model.latest_version.as_ref());
        match (version, latest) {
            (None, _) => wanted.is_none(),
            (Some(version), Some(latest)) => wanted == Some(compare(version, latest)),
            (Some(_), None) => false,
        }
    }))
}

/// As numbers where both are, else as text.
fn compare(version: &Json, latest: &Json) -> Ordering {
    let (version, latest) = (version_text(version), version_text(latest));
    match (version.parse::<f64>(), latest.parse::<f64>()) {
        (Ok(version), Ok(latest)) => version.total_cmp(&latest),
        _ => version.cmp(&latest),
    }
}
