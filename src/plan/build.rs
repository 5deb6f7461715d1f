//! How a plan is made of the graph.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::contract::{contract, levels, topological};
use super::{Plan, Step, Verb};
use crate::graph::{Dag, Direction, Member};
use crate::manifest::{Manifest, Node};
use crate::name::{ResourceType, UniqueId};

pub(super) fn plan(manifest: &Manifest, dag: &Dag, verb: Verb, selected: &IndexSet<UniqueId>) -> Plan {
    let members: Vec<Member<'_>> = Member::all(manifest).collect();
    let is_chosen = |member: &Member<'_>| {
        selected.contains(member.unique_id()) && verb.resource_types().contains(&member.resource_type()) && has_work(member)
    };
    let chosen: Vec<bool> = members.iter().map(is_chosen).collect();
    let parents = match verb {
        Verb::Build => build_parents(manifest, dag, &members, &chosen),
        // Each is taken over by itself.
        Verb::Clone => vec![Vec::new(); dag.len()],
        _ => plain_parents(dag),
    };
    let hooks = |tag: &str| match verb.runs_hooks() && chosen.contains(&true) {
        true => hooks(manifest, tag),
        false => Vec::new(),
    };
    let (on_run_start, on_run_end) = (hooks("on-run-start"), hooks("on-run-end"));
    Plan { verb, steps: steps(verb, &members, &chosen, &parents), on_run_start, on_run_end }
}

fn steps(verb: Verb, members: &[Member<'_>], chosen: &[bool], parents: &[Vec<usize>]) -> Vec<Step> {
    let order = topological(parents);
    // dbt counts selected ephemeral models when it ranks nodes, so they stay until the ranks are known. Unit tests do not
    // count: they run right before their model.
    let ranked = contract(parents, &order, chosen);
    let is_unit_test = |position: usize| members[position].resource_type() == ResourceType::UnitTest;
    let rank = levels(&ranked, &order, |position| usize::from(!is_unit_test(position)));
    let turn = |position: &usize| {
        let id = members[*position].unique_id();
        match members[*position].parents().first() {
            Some(model) if is_unit_test(*position) => (rank[*position], model, false, *position, id),
            _ => (rank[*position], id, true, 0, id),
        }
    };
    let visits = |position: usize| chosen[position] && (verb.visits_ephemeral() || !is_ephemeral(&members[position]));
    let is_step: Vec<bool> = (0..members.len()).map(visits).collect();
    let waits_for = contract(&ranked, &order, &is_step);
    let mut places: Vec<usize> = (0..members.len()).filter(|position| is_step[*position]).collect();
    places.sort_by_key(turn);
    let step = |position: usize| Step {
        unique_id: members[position].unique_id().clone(),
        resource_type: members[position].resource_type(),
        depends_on: waits_for[position].iter().map(|parent| members[*parent].unique_id().clone()).collect(),
    };
    places.into_iter().map(step).collect()
}

/// A file without code is no work; a seed's code is its rows.
fn has_work(member: &Member<'_>) -> bool {
    match member {
        Member::Node(node) => node.resource_type == ResourceType::Seed || !node.raw_code.trim().is_empty(),
        _ => true,
    }
}

fn is_ephemeral(member: &Member<'_>) -> bool {
    matches!(member, Member::Node(node) if node.is_ephemeral())
}

fn plain_parents(dag: &Dag) -> Vec<Vec<usize>> {
    let parents = |position| {
        let mut parents: Vec<usize> = dag.next(position, Direction::Parents).collect();
        parents.reverse();
        parents
    };
    (0..dag.len()).map(parents).collect()
}

/// Parents in `build`: nodes wait for the tests above them, and a model for its unit tests, which need what the model needs and
/// run one after the other: after one that fails, the rest are skipped.
fn build_parents(manifest: &Manifest, dag: &Dag, members: &[Member<'_>], chosen: &[bool]) -> Vec<Vec<usize>> {
    let mut parents = plain_parents(dag);
    for (test, waiting) in dag.test_edges(manifest) {
        parents[waiting].push(test);
    }
    let mut last: HashMap<usize, usize> = HashMap::new();
    for (position, member) in members.iter().enumerate() {
        let is_unit_test = chosen[position] && member.resource_type() == ResourceType::UnitTest;
        let Some(&model) = parents[position].first().filter(|model| is_unit_test && chosen[**model]) else { continue };
        let is_own = |parent: &usize| members[*parent].resource_type() == ResourceType::UnitTest;
        parents[position] = parents[model].iter().copied().filter(|parent| !is_own(parent)).collect();
        parents[position].extend(last.insert(model, position));
        parents[model].push(position);
    }
    parents
}

/// The operations with that tag: the root project's before those of installed packages by name, each in the order of its list.
fn hooks(manifest: &Manifest, tag: &str) -> Vec<UniqueId> {
    let is_hook = |node: &&Node| node.resource_type == ResourceType::Operation && node.tags.iter().any(|own| own == tag);
    let mut hooks: Vec<&Node> = manifest.nodes.values().filter(is_hook).collect();
    hooks.sort_by_key(|node| {
        let is_installed = node.package_name != manifest.project_name;
        (is_installed, node.package_name.as_str(), node.hook.as_ref().map(|hook| hook.index))
    });
    hooks.into_iter().map(|node| node.unique_id.clone()).collect()
}
