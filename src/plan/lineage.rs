//! Column lineage as a graph: what a column comes from, and what is made of it, as a tree of lines or as edges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{ColumnRef, Manifest, NodeLineage};
use crate::name::UniqueId;

/// How one column depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dependence {
    /// The value unchanged.
    Copied,
    /// The value is made of it.
    Direct,
    /// It picks the value: a condition, a window's partition or order.
    Indirect,
    /// It decides which rows there are, or how they are grouped.
    Rows,
}

/// `to` depends on `from`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ColumnEdge {
    pub from: ColumnRef,
    pub to: ColumnRef,
    pub dependence: Dependence,
}

/// Which way to follow the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Upstream,
    Downstream,
}

/// Every edge between columns, both ways.
pub struct ColumnGraph<'a> {
    manifest: &'a Manifest,
    lineage: &'a IndexMap<UniqueId, Arc<NodeLineage>>,
    up: BTreeMap<ColumnRef, Vec<(ColumnRef, Dependence)>>,
    down: BTreeMap<ColumnRef, Vec<(ColumnRef, Dependence)>>,
}

impl<'a> ColumnGraph<'a> {
    pub fn new(manifest: &'a Manifest, lineage: &'a IndexMap<UniqueId, Arc<NodeLineage>>) -> Self {
        let mut graph = Self { manifest, lineage, up: BTreeMap::new(), down: BTreeMap::new() };
        for (unique_id, node) in lineage {
            for (name, column) in &node.columns {
                let to = ColumnRef { unique_id: unique_id.clone(), column: name.clone() };
                let value = if column.copied { Dependence::Copied } else { Dependence::Direct };
                column.direct.iter().for_each(|from| graph.edge(from, &to, value));
                column.indirect.iter().for_each(|from| graph.edge(from, &to, Dependence::Indirect));
            }
        }
        for exposure in manifest.exposures.values() {
            for id in &exposure.depends_on.nodes {
                let columns = lineage.get(id).into_iter().flat_map(|node| node.columns.keys());
                let to = ColumnRef { unique_id: exposure.unique_id.clone(), column: String::new() };
                for column in columns.cloned().collect::<Vec<_>>() {
                    graph.edge(&ColumnRef { unique_id: id.clone(), column }, &to, Dependence::Direct);
                }
            }
        }
        graph
    }

    fn edge(&mut self, from: &ColumnRef, to: &ColumnRef, dependence: Dependence) {
        self.up.entry(to.clone()).or_default().push((from.clone(), dependence));
        self.down.entry(from.clone()).or_default().push((to.clone(), dependence));
    }

    /// The columns that `text` means: `model.column`, `source.table.column`, or all columns of `model`.
    ///
    /// # Errors
    /// `lineage-unknown`, with the nearest name.
    pub fn find(&self, text: &str) -> Outcome<Vec<ColumnRef>> {
        if let Some(unique_id) = self.resource(text)? {
            return Ok(self
                .columns(&unique_id)
                .into_iter()
                .map(|column| ColumnRef { unique_id: unique_id.clone(), column })
                .collect());
        }
        let Some((owner, column)) = text.rsplit_once('.') else {
            return Diagnostic::error("lineage-unknown", format!("no model or source is called `{text}`"))
                .suggest(text, self.names().iter().map(String::as_str))
                .help("expected `model.column`, or `source.table.column`")
                .fail();
        };
        let Some(unique_id) = self.resource(owner)? else {
            return Diagnostic::error("lineage-unknown", format!("no model or source is called `{owner}`"))
                .suggest(owner, self.names().iter().map(String::as_str))
                .fail();
        };
        let columns = self.columns(&unique_id);
        match columns.iter().find(|known| known.eq_ignore_ascii_case(column)) {
            Some(known) => Ok(vec![ColumnRef { unique_id, column: known.clone() }]),
            None if columns.is_empty() => Diagnostic::error(
                "lineage-unknown",
                format!("the columns of `{owner}` are not known: its SQL could not be planned"),
            )
            .help("`headwater compile` says why; columns of sources are known from `data_type` or the warehouse")
            .fail(),
            None => Diagnostic::error("lineage-unknown", format!("`{owner}` has no column `{column}`"))
                .suggest(column, columns.iter().map(String::as_str))
                .fail(),
        }
    }

    /// The one resource of that name; nothing if there is none.
    fn resource(&self, text: &str) -> Outcome<Option<UniqueId>> {
        let nodes = self.manifest.nodes.values().filter(|node| node.resource_type.is_refable());
        let nodes = nodes.filter(|node| node.name == text || node.unique_id.as_str() == text).map(|node| &node.unique_id);
        let sources = self.manifest.sources.values();
        let sources = sources.filter(|source| format!("{}.{}", source.source_name, source.name) == text);
        let found: Vec<&UniqueId> = nodes.chain(sources.map(|source| &source.unique_id)).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            several => {
                let names = several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
                Diagnostic::error("lineage-ambiguous", format!("`{text}` may be {names}")).help("use the whole id").fail()
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let nodes = self.manifest.nodes.values().filter(|node| node.resource_type.is_refable()).map(|node| node.name.clone());
        nodes.chain(self.manifest.sources.values().map(|source| format!("{}.{}", source.source_name, source.name))).collect()
    }

    /// Every known column of a resource: of a seed or source, those that something is made of.
    fn columns(&self, id: &UniqueId) -> Vec<String> {
        match self.lineage.get(id) {
            Some(node) => node.columns.keys().cloned().collect(),
            None => {
                let read = self.down.keys().filter(|column| column.unique_id == *id).map(|column| column.column.clone());
                read.collect::<BTreeSet<String>>().into_iter().collect()
            }
        }
    }

    fn next(&self, column: &ColumnRef, way: Way) -> &[(ColumnRef, Dependence)] {
        let edges = if way == Way::Upstream { &self.up } else { &self.down };
        edges.get(column).map_or(&[], Vec::as_slice)
    }

    /// The edges that lead from or to a column, at any distance; those that decide on rows of a node that is come by as well.
    pub fn edges(&self, start: &ColumnRef, way: Way) -> Vec<ColumnEdge> {
        let mut waiting = vec![start.clone()];
        let mut seen = BTreeSet::from([start.clone()]);
        let mut edges = BTreeSet::new();
        while let Some(column) = waiting.pop() {
            for (other, dependence) in self.next(&column, way) {
                let (from, to) = if way == Way::Upstream { (other, &column) } else { (&column, other) };
                edges.insert(ColumnEdge { from: from.clone(), to: to.clone(), dependence: *dependence });
                if seen.insert(other.clone()) {
                    waiting.push(other.clone());
                }
            }
            if way == Way::Upstream
                && let Some(node) = self.lineage.get(&column.unique_id)
            {
                let rows = node.rows.iter();
                edges.extend(rows.map(|from| ColumnEdge {
                    from: from.clone(),
                    to: column.clone(),
                    dependence: Dependence::Rows,
                }));
            }
        }
        edges.into_iter().collect()
    }

    /// The column and, indented below it, what it comes from or what comes from it. What was shown before is not opened again.
    pub fn tree(&self, start: &ColumnRef, ways: &[Way]) -> Vec<String> {
        let mut lines = vec![self.label(start)];
        for way in ways {
            lines.push(if *way == Way::Upstream { "comes from" } else { "goes into" }.to_string());
            let before = lines.len();
            let mut branch = Branch { graph: self, way: *way, seen: BTreeSet::from([start.clone()]), lines: &mut lines };
            branch.children(start, "");
            if lines.len() == before {
                lines.push("└── nothing".to_string());
            }
            let rows = self.lineage.get(&start.unique_id).filter(|node| *way == Way::Upstream && !node.rows.is_empty());
            if let Some(node) = rows {
                let names = node.rows.iter().map(|column| self.name(column)).collect::<Vec<_>>().join(", ");
                lines.push(format!("rows are decided by {names}"));
            }
        }
        lines
    }

    fn label(&self, column: &ColumnRef) -> String {
        let known = self.lineage.get(&column.unique_id).and_then(|node| node.columns.get(&column.column));
        match known {
            Some(known) => format!("{} ({})", self.name(column), known.data_type),
            None => self.name(column),
        }
    }

    fn name(&self, column: &ColumnRef) -> String {
        let manifest = self.manifest;
        if let Some(node) = manifest.nodes.get(&column.unique_id) {
            return format!("{}.{}", node.name, column.column);
        }
        if let Some(source) = manifest.sources.get(&column.unique_id) {
            return format!("source {}.{}.{}", source.source_name, source.name, column.column);
        }
        match manifest.exposures.get(&column.unique_id) {
            Some(exposure) => format!("exposure {}", exposure.name),
            None => format!("{}.{}", column.unique_id, column.column),
        }
    }
}

/// A tree being drawn.
struct Branch<'g, 'a, 'l> {
    graph: &'g ColumnGraph<'a>,
    way: Way,
    seen: BTreeSet<ColumnRef>,
    lines: &'l mut Vec<String>,
}

impl Branch<'_, '_, '_> {
    fn children(&mut self, column: &ColumnRef, indent: &str) {
        let next = self.graph.next(column, self.way).to_vec();
        for (index, (child, dependence)) in next.iter().enumerate() {
            let last = index + 1 == next.len();
            let how = match dependence {
                Dependence::Copied => "",
                Dependence::Direct if child.column.is_empty() => "",
                Dependence::Direct => " [computed]",
                Dependence::Indirect | Dependence::Rows => " [indirect]",
            };
            let again = !self.seen.insert(child.clone());
            let more = again && !self.graph.next(child, self.way).is_empty();
            let label = self.graph.label(child);
            let branch = if last { "└──" } else { "├──" };
            self.lines.push(format!("{indent}{branch} {label}{how}{}", if more { " …" } else { "" }));
            if !again {
                self.children(child, &format!("{indent}{}", if last { "    " } else { "│   " }));
            }
        }
    }
}
