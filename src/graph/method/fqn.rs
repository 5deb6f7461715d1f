//! `fqn:` — the default method: a resource's name, or the way to it by package and folders, with patterns.

use super::super::Member;
use super::super::pattern::{Pattern, has_wildcard};
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "fqn", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let wanted = Wanted::new(criterion.value);
    Ok(Box::new(move |member| {
        if matches!(member, Member::Source(_)) {
            return false;
        }
        let (fqn, is_versioned) = (member.fqn(), member.is_versioned());
        // A way may leave out the package.
        wanted.matches(fqn, is_versioned) || wanted.matches(fqn.get(1..).unwrap_or_default(), is_versioned)
    }))
}

struct Wanted<'a> {
    value: &'a str,
    parts: Vec<&'a str>,
    /// The last two parts joined by `_`: how `orders.v2` and `orders_v2` are the same.
    last_two: String,
    /// The place of the first part with a wildcard, and the pattern from there on.
    wild: Option<(usize, Pattern)>,
}

impl<'a> Wanted<'a> {
    fn new(value: &'a str) -> Self {
        let parts: Vec<&str> = value.split('.').collect();
        let wild = parts.iter().position(|part| has_wildcard(part));
        let wild = wild.map(|from| (from, Pattern::new(&parts[from..].join("."))));
        let last_two = parts[parts.len().saturating_sub(2)..].join("_");
        Self { value, parts, last_two, wild }
    }

    fn matches(&self, fqn: &[String], is_versioned: bool) -> bool {
        let from_end = |count: usize| fqn.len().checked_sub(count).map(|place| fqn[place].as_str());
        let name = from_end(if is_versioned { 2 } else { 1 });
        if name == Some(self.value) || (is_versioned && self.is_version(from_end(2), from_end(1))) {
            return true;
        }
        // Dots in a model's name part namespaces like folders do.
        let flat: Vec<&str> = fqn.iter().flat_map(|segment| segment.split('.')).collect();
        if flat.len() < self.parts.len() {
            return false;
        }
        let Some((from, pattern)) = &self.wild else {
            return flat.starts_with(&self.parts);
        };
        if flat[..*from] != self.parts[..*from] {
            return false;
        }
        let bare = self.parts.len() == 1;
        pattern.matches(&flat[*from..].join(".")) || (bare && name.is_some_and(|name| pattern.matches(name)))
    }

    fn is_version(&self, name: Option<&str>, version: Option<&str>) -> bool {
        let (Some(name), Some(version)) = (name, version) else { return false };
        let rest = self.last_two.strip_prefix(name).and_then(|rest| rest.strip_prefix('_'));
        rest == Some(version)
    }
}
