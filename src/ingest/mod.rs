//! Tables that follow a source: what a database commits becomes rows of Delta tables, each exactly once.
//!
//! ```text
//! connector ──▶ Window (whole transactions, Arrow) ──▶ silver: current rows     ──▶ one Delta commit {rows, position}
//!     ▲                                            └─▶ bronze: the log of changes ─▶ one Delta commit {rows, position}
//!     └───────────────────── acknowledged up to here ◀──────────────── durable ◀──────────────┘
//! ```
//!
//! The position of a table is in the Delta commit that holds its rows (a `txn` action), nowhere else. A commit that happened is
//! never repeated, because what comes again at or below the table's position is dropped; one that did not happen comes again,
//! because the source is told only of positions that are on disk in every table. `docs/ingest.md` is the user's page.

mod bronze;
mod config;
mod connector;
mod driver;
mod error;
mod look;
mod piece;
mod rows;
mod schema;
mod silver;
mod state;
mod window;

pub use config::{Deletes, Feed, Spec, feed};
pub use connector::Connection;
pub use driver::{Limit, Request, run};
pub use error::IngestError;
pub use look::{Findings, doctor, reset, status};
