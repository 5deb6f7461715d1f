//! Plain tests of one relation in one query: what would read the relation once a test reads it once for all of them.
//!
//! Only tests whose count is known from their name and arguments take part (see [`counts`]), where the project has not
//! replaced their macros. The answers are those of the tests' own queries; where the shared one fails, or cannot tell a test's
//! number, the test's own runs as if nothing had been shared.

use std::collections::HashMap;

use indexmap::IndexMap;
use tokio::sync::OnceCell;

use super::RunRequest;
use super::test_outcome::Counted;
use crate::jinja::Jinja;
use crate::manifest::{Manifest, Node};
use crate::materialization::{Counts, counts, judged};
use crate::name::{ResourceType, UniqueId};
use crate::plan::Verb;
use crate::rows::Rows;

/// The groups of a run.
pub(super) struct SharedScans {
    groups: Vec<Group>,
    group_of: HashMap<UniqueId, usize>,
}

struct Group {
    sql: String,
    /// The tests in the order of their columns in the query's row, three each.
    members: Vec<Member>,
    /// What the first member to run found out; none where the query failed.
    found: OnceCell<Option<HashMap<UniqueId, Counted>>>,
}

#[derive(Clone)]
struct Member {
    node: Node,
    counts: Counts,
}

impl SharedScans {
    pub fn of(run: &RunRequest) -> Self {
        let mut scans = Self { groups: Vec::new(), group_of: HashMap::new() };
        if !matches!(run.plan.verb, Verb::Test | Verb::Build) || run.settings.empty {
            return scans;
        }
        for (relation, members) in members_by_relation(run) {
            for members in groups(&run.manifest, &relation, members) {
                let at = scans.groups.len();
                scans.group_of.extend(members.iter().map(|member| (member.node.unique_id.clone(), at)));
                let sql = shared_query(&run.manifest, &relation, &members);
                scans.groups.push(Group { sql, members, found: OnceCell::new() });
            }
        }
        scans
    }

    /// The test's count, if it is counted with others; runs their query if this is the first of them.
    pub async fn counted(&self, run: &RunRequest, node: &Node) -> Option<Counted> {
        let group = &self.groups[*self.group_of.get(&node.unique_id)?];
        let found = group.found.get_or_init(|| async {
            let rows = run.adapter.query(&group.sql, None).await.ok()?;
            Some(read(group, &rows))
        });
        found.await.as_ref()?.get(&node.unique_id).copied()
    }
}

/// The plan's tests that can share, by what they read, in the plan's order.
fn members_by_relation(run: &RunRequest) -> IndexMap<UniqueId, Vec<Member>> {
    let mut by_relation: IndexMap<UniqueId, Vec<Member>> = IndexMap::new();
    let mut built_in: HashMap<(String, String), bool> = HashMap::new();
    for step in run.plan.steps.iter().filter(|step| step.resource_type == ResourceType::Test) {
        let Some(node) = run.manifest.nodes.get(&step.unique_id) else { continue };
        let (Some(counts), [parent]) = (counts(node, run.settings.store_failures), node.depends_on.nodes.as_slice()) else {
            continue;
        };
        let name = node.test.as_ref().map(|test| test.name.clone()).unwrap_or_default();
        let key = (name, node.package_name.clone());
        let is_ours = *built_in.entry(key).or_insert_with_key(|(name, package)| is_built_in(&run.jinja, name, package));
        let is_ephemeral = run.manifest.nodes.get(parent).is_some_and(Node::is_ephemeral);
        if is_ours && !is_ephemeral {
            by_relation.entry(parent.clone()).or_default().push(Member { node: node.clone(), counts });
        }
    }
    by_relation
}

/// Whether the test's macro and what it calls are headwater's own.
fn is_built_in(jinja: &Jinja, test: &str, package: &str) -> bool {
    let is_ours = |name: &str| {
        let called = [Some(package), None].into_iter().find_map(|package| jinja.find_macro(name, package));
        let dispatched = jinja.find_dispatched(name, Some("dbt"), package);
        called.is_some_and(|id| id.as_str() == format!("macro.dbt.{name}"))
            && dispatched.is_some_and(|id| id.as_str() == format!("macro.dbt.default__{name}"))
    };
    is_ours(&format!("test_{test}")) && is_ours("get_where_subquery")
}

/// The tests of one relation that go into one query each. Values are told apart by one column in a query at most. A stored table
/// is cheap to read again by single columns, so there only what needs no such column is counted together.
fn groups(manifest: &Manifest, relation: &UniqueId, members: Vec<Member>) -> Vec<Vec<Member>> {
    let is_stored = manifest.nodes.get(relation).is_some_and(|node| match node.resource_type {
        ResourceType::Model => matches!(node.materialized(), "table" | "incremental"),
        _ => true,
    });
    let (mut repeated, mut group): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|member| matches!(member.counts, Counts::Repeated { .. }));
    if !is_stored && !repeated.is_empty() {
        group.insert(0, repeated.remove(0));
    }
    if group.len() > 1 { vec![group] } else { Vec::new() }
}

/// One row: failures, should_warn and should_error of each member.
fn shared_query(manifest: &Manifest, relation: &UniqueId, members: &[Member]) -> String {
    let node = manifest.nodes.get(relation).map(Node::relation);
    let relation = node.or_else(|| manifest.sources.get(relation).map(crate::manifest::Source::relation));
    let from = relation.map(|relation| relation.render()).unwrap_or_default();
    let key = members.iter().find_map(|member| match &member.counts {
        Counts::Repeated { column } => Some(column),
        _ => None,
    });
    let flag = |condition: &str| format!("sum(case when {condition} then 1 else 0 end)");
    let inner = members.iter().enumerate().filter_map(|(at, member)| match &member.counts {
        Counts::Nulls { column } => Some(format!("{} as n{at}", flag(&format!("{column} is null")))),
        Counts::Others { column, list } => Some(format!("{} as n{at}", flag(&format!("{column} not in ({list})")))),
        Counts::Repeated { .. } => None,
    });
    let mut inner: Vec<String> = inner.collect();
    let grouped = key.map(|column| {
        inner.extend([format!("{column} as test_key"), "count(*) as test_rows".to_string()]);
        format!("\n  group by {column}")
    });
    let outer = members.iter().enumerate().map(|(at, member)| match &member.counts {
        Counts::Repeated { .. } => {
            format!("coalesce({}, 0) as f{at}", flag("test_key is not null and test_rows > 1"))
        }
        _ => format!("coalesce(sum(n{at}), 0) as f{at}"),
    });
    let judged = members.iter().enumerate().map(|(at, member)| {
        let three = judged(&member.node, &format!("f{at}"));
        three.into_iter().zip(["failures", "warns", "fails"]).map(|(part, name)| format!("{part} as {name}{at}")).collect()
    });
    let judged: Vec<Vec<String>> = judged.collect();
    format!(
        "select {}\nfrom (select {}\nfrom (select {}\n  from {from}{}\n) counted_rows\n) counted_tests",
        judged.concat().join(", "),
        outer.collect::<Vec<_>>().join(", "),
        inner.join(", "),
        grouped.unwrap_or_default()
    )
}

/// The members' counts. One of values that are not in a list is known only where there are none.
fn read(group: &Group, rows: &Rows) -> HashMap<UniqueId, Counted> {
    let [row] = rows.rows.as_slice() else { return HashMap::new() };
    let counted = group.members.iter().zip(row.chunks(3)).filter_map(|(member, cells)| {
        let counted = Counted::read_row(&member.node, cells).ok()?;
        let is_known = counted.failures == 0 || !matches!(member.counts, Counts::Others { .. });
        is_known.then(|| (member.node.unique_id.clone(), counted))
    });
    counted.collect()
}
