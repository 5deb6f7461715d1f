//! `source:` — source tables as `source`, `source.table` or `package.source.table`, each part a pattern.

use super::super::Member;
use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "source", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let (package, source, table) = match *criterion.value.split('.').collect::<Vec<_>>() {
        [source] => ("*", source, "*"),
        [source, table] => ("*", source, table),
        [package, source, table] => (package, source, table),
        _ => return criterion.invalid("`source`, `source.table` or `package.source.table`").fail(),
    };
    let (package, name, table) = (Pattern::new(package), Pattern::new(source), Pattern::new(table));
    Ok(Box::new(move |member| match member {
        Member::Source(source) => {
            package.matches(&source.package_name) && name.matches(&source.source_name) && table.matches(&source.name)
        }
        _ => false,
    }))
}
