//! `path:` — resources by the file or folder they stand in, as a glob below the project root.
//!
//! dbt lets Python's `Path.glob` search the disk and then looks which resources lie in what was found. All that can be found
//! this way and matters are the files of the root project's resources and the folders above them, so no disk is needed here.

use std::collections::{HashMap, HashSet};

use super::super::Member;
use super::super::pattern::Pattern;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;

pub(super) const METHOD: Method = Method { name: "path", prepare };

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    if criterion.value.is_empty() || criterion.value.starts_with('/') {
        return criterion.invalid("a path below the project root, such as `models/staging` or `models/**/stg_*.sql`").fail();
    }
    let glob: Vec<Part> = components(criterion.value).map(Part::new).collect();
    let places = places(&criterion);
    let found: HashSet<&str> = places
        .into_iter()
        .filter(|(place, is_folder)| part_match(&glob, &components(place).collect::<Vec<_>>(), *is_folder))
        .map(|(place, _)| place)
        .collect();
    Ok(Box::new(move |member| {
        let file = normal(member.original_file_path());
        found.contains(file) || member.patch_file().is_some_and(|patch| found.contains(patch)) || {
            folders(file).any(|folder| found.contains(folder))
        }
    }))
}

/// A component of the glob.
enum Part {
    /// `**`: any number of folders.
    Folders,
    One(Pattern),
}

impl Part {
    fn new(text: &str) -> Self {
        if text == "**" { Self::Folders } else { Self::One(Pattern::new(text)) }
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// The path without a leading `./`.
fn normal(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

/// The folders above a file, the innermost first, the project root (an empty path) last.
fn folders(file: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(file.rsplit_once('/').map(|(folder, _)| folder), |folder| {
        folder.rsplit_once('/').map(|(outer, _)| outer)
    })
    .chain(std::iter::once(""))
}

/// The files that the root project's resources are written in and the folders above them; whether each is a folder.
fn places<'a>(criterion: &Criterion<'a>) -> HashMap<&'a str, bool> {
    let own = criterion.members.iter().filter(|member| member.package_name() == criterion.manifest.project_name);
    let mut places = HashMap::new();
    for member in own {
        let member: &Member<'a> = member;
        for file in [Some(normal(member.original_file_path())), member.patch_file()].into_iter().flatten() {
            if places.insert(file, false).is_none() {
                places.extend(folders(file).map(|folder| (folder, true)));
            }
        }
    }
    places
}

/// Whether the glob finds this path. A `**` at the end finds folders only.
fn part_match(glob: &[Part], path: &[&str], is_folder: bool) -> bool {
    match glob.split_first() {
        None => path.is_empty(),
        Some((Part::Folders, [])) => is_folder,
        Some((Part::Folders, rest)) => (0..=path.len()).any(|skipped| part_match(rest, &path[skipped..], is_folder)),
        Some((Part::One(pattern), rest)) => {
            path.split_first().is_some_and(|(first, inner)| pattern.matches(first) && part_match(rest, inner, is_folder))
        }
    }
}
