//! How a plan is made of the graph.

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
    let is_step: Vec<bool> =
        members.iter().zip(&chosen).map(|(member, chosen)| *chosen && (verb.visits_ephemeral() || !is_ephemeral(member))).collect();
    let parents = match verb {
        Verb::Build => build_parents(manifest, dag, &members, &chosen),
        _ => plain_parents(dag),
    };
    let order = topological(&parents);
    // dbt counts selected ephemeral models when it ranks nodes, so they stay until the ranks are known. Unit tests do not
    // count: they run right before their model.
    let ranked = contract(&parents, &order, &chosen);
    let is_unit_test = |position: usize| members[position].resource_type() == ResourceType::UnitTest;
    let rank = levels(&ranked, &order, |position| usize::from(!is_unit_test(position)));
    let before = |position: usize| match members[position].parents().first() {
        Some(model) if is_unit_test(position) => (rank[position], model, false, members[position].unique_id()),
        _ => (rank[position], members[position].unique_id(), true, members[position].unique_id()),
    };
    let waits_for = contract(&ranked, &order, &is_step);
    let mut places: Vec<usize> = (0..members.len()).filter(|position| is_step[*position]).collect();
    places.sort_by_key(|position| before(*position));
    let step = |position: usize| Step {
        unique_id: members[position].unique_id().clone(),
        resource_type: members[position].resource_type(),
        depends_on: waits_for[position].iter().map(|parent| members[*parent].unique_id().clone()).collect(),
    };
    let hooks = |tag: &str| match verb.runs_hooks() && chosen.contains(&true) {
        true => hooks(manifest, tag),
        false => Vec::new(),
    };
    Plan {
        verb,
        steps: places.into_iter().map(step).collect(),
        on_run_start: hooks("on-run-start"),
        on_run_end: hooks("on-run-end"),
    }
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

/// Parents in `build`: nodes wait for the tests above them, and a model for its unit tests, which need what the model needs.
fn build_parents(manifest: &Manifest, dag: &Dag, members: &[Member<'_>], chosen: &[bool]) -> Vec<Vec<usize>> {
    let mut parents = plain_parents(dag);
    for (test, waiting) in dag.test_edges(manifest) {
        parents[waiting].push(test);
    }
    for (position, member) in members.iter().enumerate() {
        let is_unit_test = chosen[position] && member.resource_type() == ResourceType::UnitTest;
        let Some(&model) = parents[position].first().filter(|model| is_unit_test && chosen[**model]) else { continue };
        let is_own = |parent: &usize| members[*parent].resource_type() == ResourceType::UnitTest;
        parents[position] = parents[model].iter().copied().filter(|parent| !is_own(parent)).collect();
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
