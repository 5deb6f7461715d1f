//! `group:` — nodes and metrics whose config puts them in a group that fits the pattern.

use serde_json::Value as Json;

use super::super::Member;
use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "group", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let pattern = Pattern::new(criterion.value);
    Ok(Box::new(move |member| {
        let groupable = matches!(member, Member::Node(_)) || member.resource_type() == ResourceType::Metric;
        let group = member.config().get("group").and_then(Json::as_str);
        groupable && group.is_some_and(|group| !group.is_empty() && pattern.matches(group))
    }))
}
