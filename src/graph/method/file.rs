//! `file:` — resources by the name of the file they are written in, with or without its ending.

use std::path::Path;

use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "file", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let pattern = Pattern::new(criterion.value);
    Ok(Box::new(move |member| {
        let path = Path::new(member.original_file_path());
        let names = [path.file_name(), path.file_stem()];
        names.into_iter().flatten().any(|name| name.to_str().is_some_and(|name| pattern.matches(name)))
    }))
}
