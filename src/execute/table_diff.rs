//! How two sets of rows differ, as the table a failed unit test shows: `expected→actual` in changed cells, `+++` before rows
//! that are too many, `---` before those missing, `...` where equal rows or columns are left out.
//!
//! Rows are matched as the coopy highlighter format's reference implementation does: by ever more columns whose values occur
//! once on either side, then along the order of what is matched already.

use std::collections::HashMap;

/// Columns that rows are matched by, at most: the ones with the most distinct values.
const KEY_COLUMNS: usize = 5;

/// A wider table is not padded to columns.
const PADDED_WIDTH: usize = 130;

/// A cell's text; none is null.
pub(super) type Text = Option<String>;

/// The rows of both sides in the order they are shown, equal columns in equal places.
pub(super) struct Tables<'a> {
    pub columns: &'a [String],
    pub expected: &'a [Vec<Text>],
    pub actual: &'a [Vec<Text>],
}

/// The table of differences; none where the rows are equal.
pub(super) fn differences(tables: &Tables<'_>) -> Option<String> {
    let (expected, actual) = (with_header(tables.columns, tables.expected), with_header(tables.columns, tables.actual));
    let mut matching = Matching::new(&expected, &actual);
    matching.run(tables.columns.len());
    let pairs = matching.in_order();
    let mut shown_columns = matching.key_columns;
    let mut active: Vec<u8> = vec![0; pairs.len()];
    for (at, pair) in pairs.iter().enumerate().skip(1) {
        active[at] = u8::from(mark_changes(pair, &expected, &actual, &mut shown_columns));
    }
    if active.iter().all(|state| *state == 0) {
        return None;
    }
    spread(&mut active);
    let mut columns: Vec<u8> = shown_columns.iter().map(|shown| u8::from(*shown)).collect();
    spread(&mut columns);
    let kept: Vec<bool> = columns.iter().map(|state| *state == CHANGED || *state == NEAR).collect();
    let mut rows = vec![line("@@", tables.columns.iter().map(|name| marked(name)), &kept)];
    for (at, pair) in pairs.iter().enumerate().skip(1) {
        match active[at] {
            HIDDEN => {}
            GAP => {
                let gap: Vec<Shown> = vec![plain("..."); rows[0].len()];
                if rows.last() != Some(&gap) {
                    rows.push(gap);
                }
            }
            _ => rows.push(pair_line(pair, (&expected, &actual), &kept)),
        }
    }
    Some(padded(&rows))
}

/// A row of one side and its match on the other; row 0 is the header.
type Pair = (Option<usize>, Option<usize>);

const HIDDEN: u8 = 0;
const CHANGED: u8 = 1;
/// Equal, but next to a change.
const NEAR: u8 = 2;
/// Equal, one further away: stands for all that is left out there.
const GAP: u8 = 3;

fn with_header(columns: &[String], rows: &[Vec<Text>]) -> Vec<Vec<Text>> {
    std::iter::once(columns.iter().cloned().map(Some).collect()).chain(rows.iter().cloned()).collect()
}

/// Whether the pair differs; its changed columns are noted, and all columns where a row is too many.
fn mark_changes(pair: &Pair, expected: &[Vec<Text>], actual: &[Vec<Text>], columns: &mut [bool]) -> bool {
    match *pair {
        (Some(left), Some(right)) => {
            let mut changed = false;
            for (at, column) in columns.iter_mut().enumerate() {
                let differs = expected[left][at] != actual[right][at];
                *column |= differs;
                changed |= differs;
            }
            changed
        }
        (None, _) => {
            columns.fill(true);
            true
        }
        (Some(_), None) => true,
    }
}

/// Marks the neighbours of what changed.
fn spread(states: &mut [u8]) {
    let changed: Vec<usize> = (0..states.len()).filter(|at| states[*at] == CHANGED).collect();
    for at in changed {
        for (distance, state) in [(1, NEAR), (2, GAP)] {
            for place in [at.checked_sub(distance), Some(at + distance)].into_iter().flatten() {
                if let Some(known) = states.get_mut(place).filter(|known| **known == HIDDEN || **known == GAP) {
                    *known = state;
                }
            }
        }
    }
}

/// A cell's text and the width it counts for: that of the quoted form, which marked cells are measured by but not shown in.
#[derive(Clone, PartialEq)]
struct Shown {
    text: String,
    width: usize,
}

fn plain(text: &str) -> Shown {
    let text = quoted(text, true);
    Shown { width: text.chars().count(), text }
}

/// A cell that is coloured elsewhere: blanks at its ends need no quotes.
fn marked(text: &str) -> Shown {
    Shown { text: quoted(text, false), width: plain(text).width }
}

fn pair_line(pair: &Pair, (expected, actual): (&[Vec<Text>], &[Vec<Text>]), kept: &[bool]) -> Vec<Shown> {
    let alone = |marker: &str, row: &[Text]| line(marker, row.iter().map(|cell| marked(cell.as_deref().unwrap_or("NULL"))), kept);
    match *pair {
        (Some(left), Some(right)) => {
            let cell = |(left, right): (&Text, &Text)| match left == right {
                true => plain(left.as_deref().unwrap_or("NULL")),
                false => marked(&format!("{}→{}", told(left), told(right))),
            };
            let marker = if expected[left] == actual[right] { "" } else { "→" };
            line(marker, expected[left].iter().zip(&actual[right]).map(cell), kept)
        }
        (Some(left), None) => alone("---", &expected[left]),
        (None, Some(right)) => alone("+++", &actual[right]),
        (None, None) => Vec::new(),
    }
}

/// A cell beside another: null is `NULL`, and a text that reads so gets a `_` in front.
fn told(cell: &Text) -> String {
    match cell {
        None => "NULL".to_string(),
        Some(text) if text.trim_start_matches('_') == "NULL" => format!("_{text}"),
        Some(text) => text.clone(),
    }
}

/// As a field of delimited text.
fn quoted(text: &str, keep_edges: bool) -> String {
    let special = |c: char| matches!(c, '"' | '\r' | '\n' | '\t' | ',');
    let has_edge = text.starts_with(' ') || text.ends_with(' ');
    match (keep_edges && has_edge) || text.contains(special) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

/// The marker and the cells of the columns kept; neighbours left out are one `...`.
fn line(marker: &str, cells: impl Iterator<Item = Shown>, kept: &[bool]) -> Vec<Shown> {
    let mut line = vec![plain(marker)];
    let mut in_gap = false;
    for (cell, kept) in cells.zip(kept) {
        match (kept, in_gap) {
            (true, _) => line.push(cell),
            (false, false) => line.push(plain("...")),
            (false, true) => {}
        }
        in_gap = !kept;
    }
    line
}

/// The rows with their cells under one another.
fn padded(rows: &[Vec<Shown>]) -> String {
    let width = rows.first().map_or(0, Vec::len);
    let sizes: Vec<usize> = (0..width).map(|column| size(rows, column)).collect();
    let aligned = sizes.iter().sum::<usize>() + width.saturating_sub(1) <= PADDED_WIDTH;
    let mut text = String::new();
    for row in rows {
        let (mut target, mut at) = (0, 0);
        for (column, cell) in row.iter().enumerate() {
            if aligned && target > at {
                text.push_str(&" ".repeat(target - at));
                at = target;
            }
            if column > 0 {
                text.push(',');
            }
            text.push_str(&cell.text);
            at += cell.width;
            target += sizes.get(column).copied().unwrap_or(0);
        }
        text.push('\n');
    }
    text
}

/// A column's width: that of its longest cell but for outliers, and never less than its name.
fn size(rows: &[Vec<Shown>], column: usize) -> usize {
    let lengths: Vec<usize> = rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.width)).collect();
    let count = lengths.len() as f64;
    let mean = lengths.iter().sum::<usize>() as f64 / count;
    let square = lengths.iter().map(|length| length * length).sum::<usize>() as f64 / count;
    let most = (mean + 2.0 * (square - mean * mean).max(0.0).sqrt() + 0.5).floor();
    let usual = lengths.iter().copied().filter(|length| *length as f64 <= most).max().unwrap_or(0);
    usual.max(lengths.first().copied().unwrap_or(0))
}

/// Which row of one side is which of the other.
struct Matching<'a> {
    expected: &'a [Vec<Text>],
    actual: &'a [Vec<Text>],
    to_actual: Vec<Option<usize>>,
    to_expected: Vec<Option<usize>>,
    /// Columns that rows were matched by.
    key_columns: Vec<bool>,
}

impl<'a> Matching<'a> {
    fn new(expected: &'a [Vec<Text>], actual: &'a [Vec<Text>]) -> Self {
        Self {
            expected,
            actual,
            to_actual: vec![None; expected.len()],
            to_expected: vec![None; actual.len()],
            key_columns: vec![false; expected.first().map_or(0, Vec::len)],
        }
    }

    fn link(&mut self, left: usize, right: usize) {
        self.to_actual[left] = Some(right);
        self.to_expected[right] = Some(left);
    }

    /// Matches by every set of the key columns, small sets first, then along the order by all of them.
    fn run(&mut self, width: usize) {
        let columns = self.most_distinct(width);
        let sets: usize = 1 << columns.len();
        let tallest = self.expected.len().max(self.actual.len());
        let mut tried_any = false;
        for set in 1..sets {
            if self.to_actual.iter().all(Option::is_some) {
                break;
            }
            let chosen: Vec<usize> =
                columns.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, column)| *column).collect();
            chosen.iter().for_each(|column| self.key_columns[*column] = true);
            let keys = Keys::new(self.expected, self.actual, &chosen);
            let is_last = set == sets - 1;
            // Values that repeat too often tell nothing, unless they are all there is.
            let repeats = keys.top_count as f64 / (tallest + 20) as f64 >= 0.1;
            if !repeats || (is_last && !tried_any) {
                tried_any = true;
                self.match_unique(&keys);
            }
            if is_last {
                self.follow(&keys);
            }
        }
        self.link(0, 0);
    }

    fn most_distinct(&self, width: usize) -> Vec<usize> {
        let mut columns: Vec<usize> = (0..width).collect();
        if width > KEY_COLUMNS {
            let distinct = |rows: &[Vec<Text>], column: usize| {
                rows.iter().map(|row| row[column].as_deref().unwrap_or_default()).collect::<std::collections::HashSet<_>>().len()
            };
            let counts: Vec<usize> =
                columns.iter().map(|column| distinct(self.expected, *column) + distinct(self.actual, *column)).collect();
            columns.sort_by_key(|column| (std::cmp::Reverse(counts[*column]), *column));
            columns.truncate(KEY_COLUMNS);
        }
        columns
    }

    fn match_unique(&mut self, keys: &Keys) {
        for left in 0..self.expected.len() {
            if self.to_actual[left].is_some() {
                continue;
            }
            let key = &keys.expected[left];
            if key.is_empty() {
                continue;
            }
            if let (Some((1, _)), Some((1, right))) = (keys.in_expected.get(key), keys.in_actual.get(key))
                && self.to_expected[*right].is_none()
            {
                self.link(left, *right);
            }
        }
    }

    /// Rows with equal keys next to matched ones are matches too: downwards and upwards, from either side.
    fn follow(&mut self, keys: &Keys) {
        for from_actual in [false, true] {
            for upwards in [false, true] {
                self.follow_once(keys, from_actual, upwards);
            }
        }
    }

    fn follow_once(&mut self, keys: &Keys, from_actual: bool, upwards: bool) {
        let (here, there) = match from_actual {
            false => (self.expected.len(), self.actual.len()),
            true => (self.actual.len(), self.expected.len()),
        };
        let next = |row: usize| if upwards { row.checked_sub(1) } else { Some(row + 1).filter(|row| *row < there) };
        let mut candidate = upwards.then(|| there.checked_sub(1)).flatten();
        for step in 0..here {
            let row = if upwards { here - 1 - step } else { step };
            let matched = if from_actual { self.to_expected[row] } else { self.to_actual[row] };
            if let Some(other) = matched {
                candidate = next(other);
                if candidate.is_none() {
                    break;
                }
                continue;
            }
            let Some(other) = candidate else { continue };
            let (left, right) = if from_actual { (other, row) } else { (row, other) };
            let is_taken = if from_actual { self.to_actual[left].is_some() } else { self.to_expected[right].is_some() };
            if is_taken || keys.expected[left] != keys.actual[right] {
                continue;
            }
            self.link(left, right);
            candidate = next(other);
            if candidate.is_none() {
                break;
            }
        }
    }

    /// Matches in the order of the actual rows; a missing row goes before the first match below it.
    fn in_order(&self) -> Vec<Pair> {
        let mut missing = (0..self.expected.len()).filter(|left| self.to_actual[*left].is_none()).peekable();
        let mut pairs = Vec::new();
        for (right, left) in self.to_expected.iter().enumerate() {
            while let Some(lost) = missing.next_if(|lost| left.is_some_and(|left| left > *lost)) {
                pairs.push((Some(lost), None));
            }
            pairs.push((*left, Some(right)));
        }
        pairs.extend(missing.map(|lost| (Some(lost), None)));
        pairs
    }
}

/// The rows of both sides by some columns.
struct Keys {
    expected: Vec<String>,
    actual: Vec<String>,
    /// How often a key occurs, and where last.
    in_expected: HashMap<String, (usize, usize)>,
    in_actual: HashMap<String, (usize, usize)>,
    top_count: usize,
}

impl Keys {
    fn new(expected: &[Vec<Text>], actual: &[Vec<Text>], columns: &[usize]) -> Self {
        let (expected, actual) = (keys(expected, columns), keys(actual, columns));
        let (in_expected, in_actual) = (counted(&expected), counted(&actual));
        let top_count = in_expected.values().chain(in_actual.values()).map(|(count, _)| *count).max().unwrap_or(0);
        Self { expected, actual, in_expected, in_actual, top_count }
    }
}

fn keys(rows: &[Vec<Text>], columns: &[usize]) -> Vec<String> {
    let key = |(at, row): (usize, &Vec<Text>)| {
        let parts: Vec<&str> = columns.iter().map(|column| row[*column].as_deref().unwrap_or_default()).collect();
        format!("{}{}", if at == 0 { "_" } else { "" }, parts.join(" // "))
    };
    rows.iter().enumerate().map(key).collect()
}

fn counted(keys: &[String]) -> HashMap<String, (usize, usize)> {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    for (at, key) in keys.iter().enumerate() {
        let entry = counts.entry(key.clone()).or_default();
        *entry = (entry.0 + 1, at);
    }
    counts
}
