//! What has arrived since the last commit: whole transactions of the source, by table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::IngestError;
use super::piece::Piece;
use super::rows::{Change, Layout, Op, Origin, Rows};
use crate::lake::Position;

/// A window is closed when its first change has waited so long …
const LONGEST_WAIT: Duration = Duration::from_millis(150);
/// … or when it holds so much.
const MOST_BYTES: usize = 32 << 20;
/// Rows of one layout are closed into a piece at this size. Debug builds have small bounds, so that tests pass them.
const PIECE_BYTES: usize = if cfg!(debug_assertions) { 512 << 10 } else { 4 << 20 };
/// Pieces beyond this wait on disk: a transaction may be of any size.
const MOST_HELD_BYTES: usize = if cfg!(debug_assertions) { 2 << 20 } else { 48 << 20 };

/// One table's share.
#[derive(Default)]
struct Share {
    open: Option<Rows>,
    pieces: Vec<Piece>,
}

impl Share {
    fn close(&mut self) -> Result<(), IngestError> {
        if let Some(rows) = self.open.as_mut().filter(|rows| !rows.changes.is_empty()) {
            self.pieces.push(Piece::new(rows.take()?));
        }
        Ok(())
    }
}

/// Changes on their way to the lake.
pub struct Window {
    shares: Vec<Share>,
    /// How far the source has come with what was read: all up to here is in the window or was before.
    pub position: Position,
    opened: Option<Instant>,
    closed_bytes: usize,
}

impl Window {
    /// For so many tables.
    pub fn new(tables: usize) -> Self {
        let shares = (0..tables).map(|_| Share::default()).collect();
        Self { shares, position: Position::new(), opened: None, closed_bytes: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.opened.is_none()
    }

    /// Whether it should be committed at the next end of a transaction.
    pub fn is_due(&self) -> bool {
        self.opened.is_some_and(|opened| opened.elapsed() >= LONGEST_WAIT) || self.bytes() >= MOST_BYTES
    }

    /// When it will be.
    pub fn due_at(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + LONGEST_WAIT)
    }

    fn bytes(&self) -> usize {
        self.closed_bytes + self.shares.iter().filter_map(|share| share.open.as_ref()).map(|rows| rows.bytes).sum::<usize>()
    }

    /// Where the next row of a table goes.
    pub fn rows(&mut self, table: usize, layout: &Arc<Layout>) -> Result<&mut Rows, IngestError> {
        self.opened.get_or_insert_with(Instant::now);
        let share = &mut self.shares[table];
        let fits = share.open.as_ref().is_some_and(|rows| Arc::ptr_eq(&rows.layout, layout) && rows.bytes < PIECE_BYTES);
        if !fits {
            self.closed_bytes += share.open.as_ref().map_or(0, |rows| rows.bytes);
            share.close()?;
            if self.closed_bytes > MOST_HELD_BYTES {
                for piece in &mut share.pieces {
                    piece.spill()?;
                }
            }
            if !share.open.as_ref().is_some_and(|rows| Arc::ptr_eq(&rows.layout, layout)) {
                share.open = Some(Rows::new(layout.clone())?);
            }
        }
        share.open.as_mut().ok_or_else(|| IngestError::new("ingest", "a window has no rows"))
    }

    /// All rows of a table went.
    pub fn truncate(&mut self, table: usize, layout: &Arc<Layout>, origin: Origin) -> Result<(), IngestError> {
        let rows = self.rows(table, layout)?;
        for column in &mut rows.columns {
            column.append_null();
        }
        rows.changes.push(Change { op: Op::Truncate, origin, unset: Box::default(), moved: false });
        Ok(())
    }

    /// Rows that were collected elsewhere, while their transaction was open.
    pub fn append(&mut self, table: usize, pieces: Vec<Piece>) -> Result<(), IngestError> {
        self.opened.get_or_insert_with(Instant::now);
        let share = &mut self.shares[table];
        self.closed_bytes += share.open.as_ref().map_or(0, |rows| rows.bytes);
        share.close()?;
        self.closed_bytes += pieces.iter().map(Piece::held_bytes).sum::<usize>();
        share.pieces.extend(pieces);
        Ok(())
    }

    /// Empties the window: the changes by table.
    pub fn take(&mut self) -> Result<Vec<Vec<Piece>>, IngestError> {
        self.opened = None;
        self.closed_bytes = 0;
        let taken = self.shares.iter_mut().map(|share| {
            share.close()?;
            Ok(std::mem::take(&mut share.pieces))
        });
        taken.collect()
    }
}
