//! Drawing a lineage graph: nodes in columns by their distance from the sources, edges as curves.
//!
//! The layered layout follows Sugiyama, Tagawa and Toda (1981): layers by longest path, then sweeps that put each node near
//! the mean place of its neighbours (the barycentre rule) to cut down crossings.

use std::collections::HashMap;

use serde::Serialize;

/// Sizes in pixels.
const BOX_HEIGHT: usize = 28;
const ROW_GAP: usize = 14;
const COLUMN_GAP: usize = 64;
const MARGIN: usize = 16;
/// Width of a letter, near enough for a 13 px system font.
const LETTER: f64 = 7.2;
const SWEEPS: usize = 6;

/// A node to draw.
#[derive(Clone, Debug)]
pub struct Vertex {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub href: String,
    pub focus: bool,
}

/// A finished drawing.
#[derive(Debug, Default, Serialize)]
pub struct Lineage {
    pub width: usize,
    pub height: usize,
    pub boxes: Vec<Box>,
    pub edges: Vec<Edge>,
}

#[derive(Debug, Serialize)]
pub struct Box {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub href: String,
    pub focus: bool,
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

#[derive(Debug, Serialize)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// An SVG path.
    pub path: String,
}

/// Lays out a directed acyclic graph; `edges` are index pairs parent → child.
pub fn draw(vertices: Vec<Vertex>, edges: &[(usize, usize)]) -> Lineage {
    let layers = order(layers(vertices.len(), edges), edges);
    let widths: Vec<usize> = layers.iter().map(|layer| layer_width(layer, &vertices)).collect();
    let mut places = vec![(0, 0, 0); vertices.len()];
    let tallest = layers.iter().map(Vec::len).max().unwrap_or(0);
    let mut x = MARGIN;
    for (layer, width) in layers.iter().zip(&widths) {
        let free = (tallest - layer.len()) * (BOX_HEIGHT + ROW_GAP) / 2;
        for (row, vertex) in layer.iter().enumerate() {
            places[*vertex] = (x, MARGIN + free + row * (BOX_HEIGHT + ROW_GAP), *width);
        }
        x += width + COLUMN_GAP;
    }
    Lineage {
        width: x.saturating_sub(COLUMN_GAP) + MARGIN,
        height: 2 * MARGIN + tallest * (BOX_HEIGHT + ROW_GAP),
        edges: edges.iter().map(|(from, to)| edge(&vertices, &places, *from, *to)).collect(),
        boxes: vertices.into_iter().zip(places).map(|(vertex, (x, y, width))| boxed(vertex, x, y, width)).collect(),
    }
}

fn boxed(vertex: Vertex, x: usize, y: usize, width: usize) -> Box {
    let Vertex { id, name, kind, href, focus } = vertex;
    Box { id, name, kind, href, focus, x, y, width, height: BOX_HEIGHT }
}

fn edge(vertices: &[Vertex], places: &[(usize, usize, usize)], from: usize, to: usize) -> Edge {
    let (x, y, width) = places[from];
    let (start, start_y) = (x + width, y + BOX_HEIGHT / 2);
    let (end, end_y) = (places[to].0, places[to].1 + BOX_HEIGHT / 2);
    let bend = (end.saturating_sub(start) / 2).max(20);
    let path = format!("M{start} {start_y}C{} {start_y} {} {end_y} {end} {end_y}", start + bend, end.saturating_sub(bend));
    Edge { from: vertices[from].id.clone(), to: vertices[to].id.clone(), path }
}

fn layer_width(layer: &[usize], vertices: &[Vertex]) -> usize {
    let longest = layer.iter().map(|v| vertices[*v].name.chars().count()).max().unwrap_or(0);
    (longest as f64 * LETTER) as usize + 20
}

/// Each node's layer is its longest way from a node without parents (Kahn's order, one pass over the edges).
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); count];
    let mut waiting = vec![0; count];
    for (from, to) in edges {
        children[*from].push(*to);
        waiting[*to] += 1;
    }
    let mut depth = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|v| waiting[*v] == 0).collect();
    while let Some(vertex) = ready.pop() {
        for child in &children[vertex] {
            depth[*child] = depth[*child].max(depth[vertex] + 1);
            waiting[*child] -= 1;
            if waiting[*child] == 0 {
                ready.push(*child);
            }
        }
    }
    let mut layers = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
    for (vertex, layer) in depth.into_iter().enumerate() {
        layers[layer].push(vertex);
    }
    layers
}

fn order(mut layers: Vec<Vec<usize>>, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut parents: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, to) in edges {
        parents.entry(*to).or_default().push(*from);
        children.entry(*from).or_default().push(*to);
    }
    let mut rank: HashMap<usize, f64> = HashMap::new();
    for layer in &layers {
        note_ranks(layer, &mut rank);
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let neighbours = if down { &parents } else { &children };
        let last = layers.len();
        for step in 0..last {
            let layer = &mut layers[if down { step } else { last - 1 - step }];
            let mut keyed: Vec<(f64, usize)> = layer.iter().map(|v| (barycentre(*v, neighbours, &rank), *v)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = keyed.into_iter().map(|(_, vertex)| vertex).collect();
            note_ranks(layer, &mut rank);
        }
    }
    layers
}

/// Ranks are fractions of the layer's height, so that layers of different sizes compare.
fn note_ranks(layer: &[usize], rank: &mut HashMap<usize, f64>) {
    for (row, vertex) in layer.iter().enumerate() {
        rank.insert(*vertex, (row as f64 + 0.5) / layer.len() as f64);
    }
}

fn barycentre(vertex: usize, neighbours: &HashMap<usize, Vec<usize>>, rank: &HashMap<usize, f64>) -> f64 {
    match neighbours.get(&vertex) {
        Some(list) if !list.is_empty() => list.iter().map(|n| rank[n]).sum::<f64>() / list.len() as f64,
        _ => rank[&vertex],
    }
}
