//! `resource_type:` — everything of one type.

use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;
use crate::name::ResourceType;

pub(super) const METHOD: Method = Method { name: "resource_type", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let Some(wanted) = ResourceType::parse(criterion.value) else {
        let names = ResourceType::ALL.map(ResourceType::as_str);
        return criterion
            .invalid("a resource type such as `model`, `test`, `seed`, `source`")
            .suggest(criterion.value, names)
            .fail();
    };
    Ok(Box::new(move |member| member.resource_type() == wanted))
}
