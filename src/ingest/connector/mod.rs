//! The systems that rows come from: one file each, one row each in [`CONNECTORS`].

mod postgres;

use std::time::Instant;

use arrow::array::RecordBatch;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::{Map, Value as Json};

use super::config::Feed;
use super::look::Findings;
use super::state::State;
use super::window::Window;
use super::{IngestError, rows::Layout};
use crate::lake::Position;
use std::sync::Arc;

/// Where to connect: a name of the profile's `connections`. No `Debug`: it may hold passwords.
#[derive(Clone)]
pub struct Connection {
    pub name: String,
    pub settings: Map<String, Json>,
}

/// What the user allowed a start to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permissions {
    /// Go on behind changes that are lost.
    pub accept_gap: bool,
    /// Copy the tables anew.
    pub resnapshot: bool,
}

/// Rows of a table as they were at one moment, in the layout's columns.
pub type Copied = BoxStream<'static, Result<RecordBatch, IngestError>>;

/// A table as the source describes it.
#[derive(Clone)]
pub struct Description {
    pub layout: Arc<Layout>,
    /// Columns that tell rows apart; none for a table whose rows are only ever added.
    pub key: Vec<String>,
    /// What the lake's table says it follows: nobody else may write to it.
    pub follows: String,
}

/// One connection to a source and the tables that come over it. Tables are named by their number among the feeds.
#[async_trait]
pub trait Source: Send + Sync {
    fn describe(&self, table: usize) -> Description;

    /// The parts that a position of this source has.
    fn parts(&self) -> Vec<String>;

    /// Checks that the source can go on from the tables' positions, and sets up what it needs; none for a table that has none.
    async fn prepare(&mut self, positions: &[Option<Position>], allowed: Permissions) -> Result<(), IngestError>;

    /// Checks that a table lacks nothing which the source has been told it may forget; asked of each table after `prepare`.
    fn check_followed(&self, _table: &str, _position: &Position) -> Result<(), IngestError> {
        Ok(())
    }

    /// Begins a moment at which tables are copied: all changes up to its position are in the copies, none after it.
    async fn begin_copies(&mut self) -> Result<Position, IngestError>;

    /// A table at that moment.
    async fn copy(&mut self, table: usize) -> Result<Copied, IngestError>;

    async fn end_copies(&mut self) -> Result<(), IngestError>;

    /// Begins to follow the changes.
    async fn follow(&mut self) -> Result<(), IngestError>;

    /// Takes what arrives into the window until `until` or until the window is due; ends between two transactions.
    async fn read(&mut self, window: &mut Window, until: Instant) -> Result<(), IngestError>;

    /// All changes up to the position are in the lake, on disk: the source may forget them.
    async fn acknowledge(&mut self, position: &Position, now: bool) -> Result<(), IngestError>;

    /// How far the source is by itself.
    async fn head(&mut self) -> Result<Position, IngestError>;

    /// Asks the source to tell soon how far it has come.
    fn nudge(&self);

    /// Ends the connection.
    async fn close(&mut self);
}

/// What comes of a call to a source that may take its time.
type Answer<'a, T> = futures::future::BoxFuture<'a, T>;
/// A call with a connection, its tables and its state.
type Call<T> = for<'a> fn(&'a Connection, &'a [Feed], State) -> Answer<'a, T>;

/// A system that rows can come from.
pub struct Connector {
    pub name: &'static str,
    /// The parts of a position that are known before the source is asked.
    pub parts: &'static [&'static str],
    /// A counter of a position as the source's own tools write it.
    pub shown: fn(i64) -> String,
    /// Connects for following.
    pub open: Call<Result<Box<dyn Source>, IngestError>>,
    /// How far the source is and what it holds back for us, in lines.
    pub look: Call<Result<Vec<String>, IngestError>>,
    /// What keeps it from being followed.
    pub examine: Call<Findings>,
    /// Removes what was made in the source for us.
    pub release: Call<Result<Vec<String>, IngestError>>,
}

/// Every connector.
pub const CONNECTORS: &[Connector] = &[postgres::CONNECTOR];

pub fn names() -> Vec<&'static str> {
    CONNECTORS.iter().map(|connector| connector.name).collect()
}
