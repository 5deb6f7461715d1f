//! dbt's test edges: in `build`, what is below a tested node waits for the node's tests.
//!
//! The rule is that of dbt-core's `Linker.add_test_edges`: a model, seed, snapshot, analysis or operation waits for a test
//! if it stands below every node that the test reads. Of these edges only the uppermost are made, as the others follow from
//! them. A test of one node gates the node's children. For tests of several nodes, 64 different sets of nodes at a time walk
//! down the graph as bits, so that the cost is edges × sets / 64 and memory stays linear.

use std::collections::BTreeMap;

use super::node_set::Bits;
use super::{Dag, Direction, Member};
use crate::manifest::Manifest;
use crate::name::ResourceType;

/// A set of tested nodes and the tests that read exactly these.
type Tested = (Vec<usize>, Vec<usize>);

impl Dag {
    /// Pairs of a test and a node that waits for it, as positions.
    pub(crate) fn test_edges(&self, manifest: &Manifest) -> Vec<(usize, usize)> {
        let can_wait: Vec<bool> = Member::all(manifest).map(|member| waits_for_tests(&member)).collect();
        let (single, several) = self.tested(manifest);
        let mut edges = Vec::new();
        for (parents, tests) in &single {
            for child in self.next(parents[0], Direction::Children).filter(|child| can_wait[*child]) {
                edges.extend(tests.iter().map(|test| (*test, child)));
            }
        }
        for block in several.chunks(64) {
            self.gate_block(block, &can_wait, &mut edges);
        }
        edges
    }

    /// The data tests by what they read: those of one node, and the others from the smallest set to the largest.
    fn tested(&self, manifest: &Manifest) -> (Vec<Tested>, Vec<Tested>) {
        let mut by_parents: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (position, member) in Member::all(manifest).enumerate() {
            if member.resource_type() == ResourceType::Test {
                let mut parents: Vec<usize> = self.next(position, Direction::Parents).collect();
                parents.sort_unstable();
                by_parents.entry(parents).or_default().push(position);
            }
        }
        let tested = by_parents.into_iter().filter(|(parents, _)| !parents.is_empty());
        let (single, mut several): (Vec<_>, Vec<_>) = tested.partition(|(parents, _)| parents.len() == 1);
        several.sort_by_key(|(parents, _)| parents.len());
        (single, several)
    }

    /// Finds the uppermost nodes below all nodes of each set. Bit `s` of `above[node][i]` says that the set's `i`-th node is
    /// an ancestor of `node`; shorter sets repeat their last node.
    fn gate_block(&self, block: &[Tested], can_wait: &[bool], edges: &mut Vec<(usize, usize)>) {
        let planes = block.iter().map(|(parents, _)| parents.len()).max().unwrap_or_default();
        let mut is_tested = vec![0_u64; self.len() * planes];
        for (bit, (parents, _)) in block.iter().enumerate() {
            for plane in 0..planes {
                is_tested[parents[plane.min(parents.len() - 1)] * planes + plane] |= 1 << bit;
            }
        }
        let mut above = vec![0_u64; self.len() * planes];
        let mut complete = vec![0_u64; self.len()];
        for position in self.order() {
            let mut already_waiting = 0;
            for parent in self.next(position, Direction::Parents) {
                for plane in 0..planes {
                    let from = parent * planes + plane;
                    above[position * planes + plane] |= above[from] | is_tested[from];
                }
                already_waiting |= complete[parent];
            }
            let own = &above[position * planes..(position + 1) * planes];
            complete[position] = own.iter().fold(u64::MAX, |all, plane| all & plane);
            if can_wait[position] {
                for set in Bits(complete[position] & !already_waiting) {
                    edges.extend(block[set].1.iter().map(|test| (*test, position)));
                }
            }
        }
    }
}

/// What dbt calls executable: everything in the manifest's `nodes` but tests.
fn waits_for_tests(member: &Member<'_>) -> bool {
    matches!(member, Member::Node(node) if node.resource_type != ResourceType::Test)
}
