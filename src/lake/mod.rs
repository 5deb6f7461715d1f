//! The lake: one folder or bucket of Delta tables, the catalog of what is not a table (views, external tables, dropped
//! names), and the readers of files that others wrote.
//!
//! [`Lake`] is the only handle; everything it says is read fresh from storage, so that another process's change is seen
//! at the next statement. It knows folders, log entries and Arrow batches, no SQL: queries are the adapter's work. What is
//! kept where, and what is guaranteed, is written in `docs/warehouse.md`.

mod catalog;
mod copy;
mod delimited;
mod error;
mod external;
mod follow;
mod guess;
mod held;
mod seed;
mod storage;
mod sweep;
mod table;
mod travel;
mod types;
mod value;
mod write;

pub use catalog::{Entry, Object, View};
pub use error::{LakeError, LakeResult};
pub use external::{Content, ExternalDefinition, Format, Layout, Location, SourceFile, Staged, partition_scalars, rejects_name};
pub use follow::{Follower, KeyHash, KeyMap, Keys, Place, Position, Step, reached};
pub use seed::{Seed, SeedOptions, SeedText, read_seed, read_seed_text, seed_schema};
pub use storage::{Folder, Storage, TableName};
pub use table::{Change, Lake, Replacement, TableNotes, partition_columns};
pub use types::{cast_batch, storable};
pub use write::{Written, write_streams};
