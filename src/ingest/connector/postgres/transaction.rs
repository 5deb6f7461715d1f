//! From messages to rows: which transaction they belong to, and what becomes of those that are still open.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::catalog::{Catalog, Table};
use super::copy::cannot_keep;
use super::decode::{Kind, append};
use super::message::{Body, Old, Piece, Relation, Tuple, Value, message, piece};
use super::position;
use crate::ingest::IngestError;
use crate::ingest::piece::Settlement;
use crate::ingest::rows::{Change, Layout, Op, Origin, Rows};
use crate::ingest::window::Window;
use crate::name::quote_identifier;

/// Microseconds between 1970 and 2000, from which the server counts.
const EPOCH_2000_MICROS: i64 = 946_684_800_000_000;

/// The code of the failure that another stream, with values as text, does not have.
pub const NEEDS_TEXT: &str = "ingest-needs-text";

/// A followed table with the columns that its rows have now.
struct Known {
    table: usize,
    layout: Arc<Layout>,
    places: Vec<Option<usize>>,
    kinds: Vec<Kind>,
    /// The columns, as the relation counts them, that tell rows apart.
    key: Vec<usize>,
}

type Relations = HashMap<u32, Option<Arc<Known>>>;

/// A transaction that is sent while it is open: nothing of it counts before its commit.
struct Open {
    rows: Window,
    relations: Relations,
    /// Subtransactions that were rolled back.
    undone: HashSet<u32>,
    ordinal: i64,
}

/// Reads the stream.
pub struct Reader {
    tables: Vec<Arc<Table>>,
    catalog: Catalog,
    /// Whether values come in their binary form.
    is_binary: bool,
    relations: Relations,
    /// The transaction between `Begin` and `Commit`.
    current: Option<Origin>,
    open: BTreeMap<u32, Open>,
    /// The open transaction whose block is being sent.
    streamed: Option<u32>,
}

impl Reader {
    pub fn new(tables: Vec<Table>, catalog: Catalog, is_binary: bool) -> Self {
        let (relations, open) = (Relations::new(), BTreeMap::new());
        let tables = tables.into_iter().map(Arc::new).collect();
        Self { tables, catalog, is_binary, relations, current: None, open, streamed: None }
    }

    /// Whether the window holds whole transactions only.
    pub fn is_whole(&self) -> bool {
        self.current.is_none()
    }

    /// Takes one piece of the stream.
    pub fn take(&mut self, bytes: &[u8], window: &mut Window) -> Result<(), IngestError> {
        match piece(bytes)? {
            // While a transaction is sent, the server may tell a position within it.
            Piece::Keepalive { end_lsn } if self.current.is_none() && self.streamed.is_none() => {
                self.reached(end_lsn, window);
                Ok(())
            }
            Piece::Keepalive { .. } => Ok(()),
            Piece::Data(data) => {
                let (xid, body) = message(data, self.streamed.is_some())?;
                self.message(xid, body, window)
            }
        }
    }

    fn reached(&self, lsn: u64, window: &mut Window) {
        let new = position(lsn);
        if window.position.values().max() < new.values().max() {
            window.position = new;
        }
    }

    fn message(&mut self, xid: Option<u32>, body: Body<'_>, window: &mut Window) -> Result<(), IngestError> {
        match body {
            Body::Begin { committed_at, xid, commit_lsn } => {
                let mark = mark(commit_lsn);
                let committed_at = committed_at.saturating_add(EPOCH_2000_MICROS);
                self.current = Some(Origin { mark, committed_at, ordinal: 0, xid });
                Ok(())
            }
            Body::Commit { end_lsn } => {
                self.current = None;
                self.reached(end_lsn, window);
                Ok(())
            }
            Body::StreamStart { xid } => {
                self.streamed = Some(xid);
                let tables = self.tables.len();
                let fresh =
                    || Open { rows: Window::new(tables), relations: Relations::new(), undone: HashSet::new(), ordinal: 0 };
                self.open.entry(xid).or_insert_with(fresh);
                Ok(())
            }
            Body::StreamStop => {
                self.streamed = None;
                Ok(())
            }
            Body::StreamAbort { xid, subxid } => {
                if xid == subxid {
                    self.open.remove(&xid);
                } else if let Some(open) = self.open.get_mut(&xid) {
                    open.undone.insert(subxid);
                }
                Ok(())
            }
            Body::StreamCommit { xid, commit_lsn, end_lsn, committed_at } => {
                self.commit(xid, (mark(commit_lsn), committed_at.saturating_add(EPOCH_2000_MICROS)), window)?;
                self.reached(end_lsn, window);
                Ok(())
            }
            Body::Relation(relation) => self.relation(&relation),
            Body::Other => Ok(()),
            change => self.change(xid, change, window),
        }
    }

    /// An open transaction is committed: what of it was not undone counts now.
    fn commit(&mut self, xid: u32, (mark, committed_at): (i64, i64), window: &mut Window) -> Result<(), IngestError> {
        if let Some(mut open) = self.open.remove(&xid) {
            self.relations.extend(open.relations);
            let settlement = Settlement { mark, committed_at, undone: Arc::new(open.undone) };
            for (table, pieces) in open.rows.take()?.into_iter().enumerate() {
                if !pieces.is_empty() {
                    window.append(table, pieces.into_iter().map(|piece| piece.settled(settlement.clone())).collect())?;
                }
            }
        }
        Ok(())
    }

    /// Other columns from now on; in a transaction that is open, only there until it commits.
    fn relation(&mut self, relation: &Relation) -> Result<(), IngestError> {
        let is_named = |table: &Arc<Table>| table.schema == relation.schema && table.name == relation.name;
        let number = self.tables.iter().position(|table| table.oid == relation.oid);
        let number = number.or_else(|| self.tables.iter().position(is_named));
        let known = match number {
            None => None,
            Some(number) => Some(Arc::new(self.known(number, relation)?)),
        };
        let open = self.streamed.and_then(|xid| self.open.get_mut(&xid));
        let relations = open.map_or(&mut self.relations, |open| &mut open.relations);
        relations.insert(relation.oid, known);
        Ok(())
    }

    fn known(&self, number: usize, relation: &Relation) -> Result<Known, IngestError> {
        let table = &self.tables[number];
        if table.oid != relation.oid {
            let message = format!("{} was dropped and made anew in the source", table.quoted());
            return Err(IngestError::new("ingest-table-replaced", message)
                .help("copy it anew with `headwater ingest --resnapshot --select source:…`"));
        }
        if table.schema != relation.schema || table.name != relation.name {
            let now = format!("{}.{}", quote_identifier(&relation.schema), quote_identifier(&relation.name));
            let message = format!("{} was renamed in the source: it is {now} now", table.quoted());
            return Err(IngestError::new("ingest-table-replaced", message)
                .help("give it its name back; or follow it under the new one, as another source's table, which copies it anew"));
        }
        let (layout, places, kinds) = table.read_plan(&self.catalog, &relation.columns);
        if self.is_binary && !kinds.iter().all(Kind::is_binary) {
            let message = format!("{} has a column now whose values are read as text", table.quoted());
            return Err(IngestError::new(NEEDS_TEXT, message).passing());
        }
        let place = |name: &String| relation.columns.iter().position(|column| column.name == *name);
        let key: Option<Vec<usize>> = table.key.iter().map(place).collect();
        let key = key.ok_or_else(|| {
            let message = format!("{}: the source has dropped or renamed a key column", table.quoted());
            IngestError::new("ingest-key-missing", message).help("copy the table anew with `headwater ingest --resnapshot`")
        })?;
        Ok(Known { table: number, layout, places, kinds, key })
    }

    fn find(&self, oid: u32) -> Result<Option<Arc<Known>>, IngestError> {
        let open = self.streamed.and_then(|xid| self.open.get(&xid));
        let found = open.and_then(|open| open.relations.get(&oid)).or_else(|| self.relations.get(&oid));
        found.cloned().ok_or_else(|| IngestError::new("ingest-protocol", format!("rows of the unknown relation {oid}")))
    }

    fn change(&mut self, xid: Option<u32>, body: Body<'_>, window: &mut Window) -> Result<(), IngestError> {
        let oids = match &body {
            Body::Insert { oid, .. } | Body::Update { oid, .. } | Body::Delete { oid, .. } => vec![*oid],
            Body::Truncate { oids } => oids.clone(),
            _ => Vec::new(),
        };
        for oid in oids {
            let Some(known) = self.find(oid)? else { continue };
            let table = self.tables[known.table].clone();
            let (target, origin) = self.target(xid, window)?;
            let into = Into { table: &table, known: &known };
            into.put(&body, target, origin)?;
        }
        Ok(())
    }

    /// Where the rows of the running transaction go, and their origin.
    fn target<'a>(&'a mut self, xid: Option<u32>, window: &'a mut Window) -> Result<(&'a mut Window, Origin), IngestError> {
        let lost = || IngestError::new("ingest-protocol", "a change outside of any transaction");
        if let Some(streamed) = self.streamed {
            let open = self.open.get_mut(&streamed).ok_or_else(lost)?;
            open.ordinal += 2;
            let origin = Origin { mark: 0, committed_at: 0, ordinal: open.ordinal, xid: xid.unwrap_or(streamed) };
            return Ok((&mut open.rows, origin));
        }
        let current = self.current.as_mut().ok_or_else(lost)?;
        current.ordinal += 2;
        Ok((window, *current))
    }
}

/// A transaction's place in the order of commits. The record of its commit begins at `commit_lsn`, which may be just where a
/// position lies that is complete without it, and ends beyond: one more than its begin is always on the right side.
fn mark(commit_lsn: u64) -> i64 {
    i64::try_from(commit_lsn).map_or(i64::MAX, |lsn| lsn.saturating_add(1))
}

/// Puts changes of one table into its rows.
struct Into<'a> {
    table: &'a Table,
    known: &'a Known,
}

impl Into<'_> {
    fn put(&self, body: &Body<'_>, target: &mut Window, origin: Origin) -> Result<(), IngestError> {
        if matches!(body, Body::Truncate { .. }) {
            return target.truncate(self.known.table, &self.known.layout, origin);
        }
        let rows = target.rows(self.known.table, &self.known.layout)?;
        match body {
            Body::Insert { new, .. } => self.row(rows, new, None, (Op::Create, origin, false)),
            Body::Delete { old: Old::Key(old) | Old::Whole(old), .. } => self.row(rows, old, None, (Op::Delete, origin, false)),
            Body::Update { old: None, new, .. } => self.row(rows, new, None, (Op::Update, origin, false)),
            Body::Update { old: Some(old), new, .. } => {
                let (Old::Key(before) | Old::Whole(before)) = old;
                let whole = matches!(old, Old::Whole(_)).then_some(before);
                let is_moved = self
                    .known
                    .key
                    .iter()
                    .any(|&column| new.get(column) != before.get(column) && new.get(column) != Some(&Value::Unchanged));
                if !is_moved {
                    return self.row(rows, new, whole, (Op::Update, origin, false));
                }
                // Two changes of one transaction: the row leaves its old key and comes under the new one.
                self.row(rows, before, None, (Op::Delete, Origin { ordinal: origin.ordinal - 1, ..origin }, false))?;
                self.row(rows, new, whole, (Op::Create, origin, true))
            }
            _ => Ok(()),
        }
    }

    /// One row; a value that was not sent is that of `before`, where the whole row before is known.
    fn row(
        &self,
        rows: &mut Rows,
        values: &Tuple<'_>,
        before: Option<&Tuple<'_>>,
        (op, origin, moved): (Op, Origin, bool),
    ) -> Result<(), IngestError> {
        if values.len() != self.known.places.len() {
            let message =
                format!("{}: a row has {} values for {} columns", self.table.quoted(), values.len(), self.known.places.len());
            return Err(IngestError::new("ingest-protocol", message));
        }
        let mut unset = Vec::new();
        for (number, value) in values.iter().enumerate() {
            let Some(place) = self.known.places[number] else { continue };
            let value = match (value, before) {
                (Value::Unchanged, Some(before)) => before.get(number).copied().unwrap_or(Value::Unchanged),
                (value, _) => *value,
            };
            if value == Value::Unchanged {
                unset.push(u16::try_from(place).unwrap_or(u16::MAX));
            }
            let size = append(&mut rows.columns[place], &self.known.kinds[place], value);
            rows.bytes += size.ok_or_else(|| cannot_keep(self.table, &self.known.layout, place))?;
        }
        rows.bytes += size_of::<Change>();
        rows.changes.push(Change { op, origin, unset: unset.into_boxed_slice(), moved });
        Ok(())
    }
}
