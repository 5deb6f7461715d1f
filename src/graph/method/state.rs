//! `state:` — what is `new`, `old`, `modified` or `unmodified` against an earlier manifest, and in which respect.

use std::collections::{HashMap, HashSet};

use super::super::Member;
use super::super::change::{Pair, broken_contract};
use super::super::state::StateManifest;
use super::{Criterion, Matcher, Method};
use crate::diagnostic::Outcome;
use crate::manifest::Manifest;
use crate::name::{ResourceType, UniqueId};

pub(super) const METHOD: Method = Method { name: "state", prepare };

const VALUES: [&str; 10] = [
    "new",
    "old",
    "modified",
    "unmodified",
    "modified.body",
    "modified.configs",
    "modified.persisted_descriptions",
    "modified.relation",
    "modified.macros",
    "modified.contract",
];

fn prepare(criterion: Criterion<'_>) -> Outcome<Matcher<'_>> {
    let earlier = criterion.earlier(|state| state.manifest.as_ref(), "manifest.json")?;
    let value = criterion.value;
    if !VALUES.contains(&value) {
        let expected = VALUES.map(|value| format!("`{value}`")).join(", ");
        return criterion.invalid(&expected).suggest(value, VALUES).fail();
    }
    let compares_contracts = matches!(value, "modified" | "unmodified" | "modified.contract");
    let contracts = if compares_contracts { changed_contracts(&criterion, earlier)? } else { HashSet::new() };
    let macros = match value {
        "modified" | "unmodified" | "modified.macros" => changed_macros(criterion.manifest, earlier),
        _ => HashSet::new(),
    };
    Ok(Box::new(move |member| {
        let id = member.unique_id();
        let then = earlier.entries.get(id);
        let pair = then.map(|then| Pair { now: member, then });
        let calls_changed = || macros_of(member).iter().any(|called| macros.contains(called));
        match value {
            "new" => then.is_none(),
            "old" => then.is_some(),
            "modified.macros" => calls_changed(),
            "modified.contract" => contracts.contains(id) || (pair.is_none() && matches!(member, Member::Node(_))),
            "modified" => is_modified(member, pair) || calls_changed() || contracts.contains(id),
            "unmodified" => !(is_modified(member, pair) || calls_changed() || contracts.contains(id)),
            part => part_modified(part, member, pair),
        }
    }))
}

/// Of what is new, dbt calls nodes modified, and nothing else.
fn is_modified(member: &Member<'_>, pair: Option<Pair<'_>>) -> bool {
    match pair {
        Some(pair) => !pair.same_contents(),
        None => {
            matches!(member, Member::Node(_)) || matches!(member.resource_type(), ResourceType::UnitTest | ResourceType::Function)
        }
    }
}

fn part_modified(part: &str, member: &Member<'_>, pair: Option<Pair<'_>>) -> bool {
    let node = match member {
        Member::Node(node) => Some(*node),
        _ => None,
    };
    let has_part = match part {
        "modified.configs" => member.resource_type() != ResourceType::UnitTest,
        "modified.relation" => node.is_some() || matches!(member, Member::Source(_)),
        _ => node.is_some(),
    };
    let Some(pair) = pair else { return has_part };
    let is_same = match (part, node) {
        ("modified.body", _) => pair.same_body(),
        ("modified.configs", _) => pair.same_config(),
        ("modified.relation", _) => pair.same_relation(),
        ("modified.persisted_descriptions", Some(node)) => pair.same_descriptions(node),
        _ => true,
    };
    has_part && !is_same
}

/// Models whose contract changed. A change that breaks readers is told.
fn changed_contracts(criterion: &Criterion<'_>, earlier: &StateManifest) -> Outcome<HashSet<UniqueId>> {
    let mut changed = HashSet::new();
    for member in criterion.members {
        let (Member::Node(node), Some(then)) = (member, earlier.entries.get(member.unique_id())) else { continue };
        if node.resource_type != ResourceType::Model {
            continue;
        }
        let mut breaking = Vec::new();
        if !(Pair { now: member, then }).same_contract(&mut breaking) {
            changed.insert(node.unique_id.clone());
        }
        if !breaking.is_empty() {
            let diagnostic = broken_contract(node, &breaking);
            if diagnostic.is_error() {
                return diagnostic.fail();
            }
            criterion.warn(diagnostic);
        }
    }
    Ok(changed)
}

/// Macros that are new or differ, and those that call one of these. The built-in ones are not the project's: another version
/// of the program, or dbt's own set, is no change.
fn changed_macros(manifest: &Manifest, earlier: &StateManifest) -> HashSet<UniqueId> {
    let is_own = |package: &str| package != "dbt" && package != "headwater" && !package.starts_with("dbt_adapter");
    let differs = |(id, macro_): &(&UniqueId, &crate::manifest::Macro)| {
        let then = earlier.macros.get(*id).map(|text| text.trim());
        is_own(&macro_.package_name) && then != Some(macro_.macro_sql.trim())
    };
    let mut changed: HashSet<UniqueId> = manifest.macros.iter().filter(differs).map(|(id, _)| id.clone()).collect();
    let mut callers: HashMap<&UniqueId, Vec<&UniqueId>> = HashMap::new();
    for (id, macro_) in &manifest.macros {
        for called in &macro_.depends_on.macros {
            callers.entry(called).or_default().push(id);
        }
    }
    let mut following: Vec<UniqueId> = changed.iter().cloned().collect();
    while let Some(called) = following.pop() {
        for caller in callers.get(&called).into_iter().flatten() {
            if changed.insert((*caller).clone()) {
                following.push((*caller).clone());
            }
        }
    }
    changed
}

fn macros_of<'m>(member: &Member<'m>) -> &'m [UniqueId] {
    match member {
        Member::Node(node) => &node.depends_on.macros,
        Member::Exposure(exposure) => &exposure.depends_on.macros,
        Member::Other(other) => &other.depends_on.macros,
        Member::Source(_) => &[],
    }
}
