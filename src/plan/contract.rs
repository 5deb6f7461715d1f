//! Reducing a graph to some of its nodes, so that a way through the others becomes one edge.

use std::rc::Rc;

/// Every position, parents before children; `parents` holds no cycle.
pub(super) fn topological(parents: &[Vec<usize>]) -> Vec<usize> {
    let mut children = vec![Vec::new(); parents.len()];
    for (position, above) in parents.iter().enumerate() {
        for parent in above {
            children[*parent].push(position);
        }
    }
    let mut waits_for: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..parents.len()).filter(|position| waits_for[*position] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        for child in &children[order[at]] {
            waits_for[*child] -= 1;
            if waits_for[*child] == 0 {
                order.push(*child);
            }
        }
        at += 1;
    }
    order
}

/// For each kept position the kept ones it waits for, across any number of others; nothing for the others themselves.
///
/// What stands above a dropped node is gathered once and shared. Where several ways meet in a dropped node, a position is left
/// out if another one there waits for it anyway: a long chain of dropped nodes then carries only its last kept ones.
pub(super) fn contract(parents: &[Vec<usize>], order: &[usize], keep: &[bool]) -> Vec<Vec<usize>> {
    let mut waits_for: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut above: Vec<Rc<[usize]>> = vec![Rc::from([]); parents.len()];
    let mut seen = Stamps::new(parents.len());
    for &position in order {
        if let ([only], false) = (parents[position].as_slice(), keep[position]) {
            above[position] = if keep[*only] { Rc::from([*only]) } else { above[*only].clone() };
            continue;
        }
        seen.clear();
        let mut found = Vec::new();
        for parent in &parents[position] {
            if keep[*parent] {
                found.extend(seen.first_time(*parent).then_some(*parent));
            } else {
                found.extend(above[*parent].iter().copied().filter(|kept| seen.first_time(*kept)));
            }
        }
        if keep[position] {
            waits_for[position] = found;
            continue;
        }
        seen.clear();
        for kept in &found {
            waits_for[*kept].iter().for_each(|implied| _ = seen.first_time(*implied));
        }
        found.retain(|kept| seen.first_time(*kept));
        above[position] = Rc::from(found);
    }
    waits_for
}

/// The longest way from a first node to each position; `waits_for` and `order` are those of one graph, and `length` is what
/// passing a position adds to the way.
pub(super) fn levels(waits_for: &[Vec<usize>], order: &[usize], length: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut levels = vec![0; waits_for.len()];
    for &position in order {
        levels[position] = waits_for[position].iter().map(|parent| levels[*parent] + length(*parent)).max().unwrap_or(0);
    }
    levels
}

/// A set of positions that is emptied in no time.
struct Stamps {
    round: usize,
    stamps: Vec<usize>,
}

impl Stamps {
    fn new(positions: usize) -> Self {
        Self { round: 0, stamps: vec![0; positions] }
    }

    fn clear(&mut self) {
        self.round += 1;
    }

    fn first_time(&mut self, position: usize) -> bool {
        std::mem::replace(&mut self.stamps[position], self.round) != self.round
    }
}
