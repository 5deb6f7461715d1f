//! PostgreSQL by logical replication: a slot, a publication, `pgoutput`.
//!
//! A table is copied under the snapshot of a temporary slot, whose starting point is then the table's position: everything
//! committed before it is in the copy, everything after it comes with the stream of the lasting slot, which was made earlier. So
//! a table may join at any time, and a copy that was broken off is begun anew without losing anything.

mod catalog;
mod copy;
mod decode;
mod doctor;
mod message;
mod number;
mod slot;
mod stream;
mod transaction;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;

use self::catalog::{Catalog, Table};
use self::stream::Stream;
use self::transaction::{NEEDS_TEXT, Reader};
use super::{Connection, Connector, Copied, Description, Permissions, Source};
use crate::ingest::IngestError;
use crate::ingest::config::Feed;
use crate::ingest::state::{State, Told};
use crate::ingest::window::Window;
use crate::lake::{Position, reached};
use crate::wire::{Settings, Wire};

/// The one part of a position: the end of the last transaction in the write-ahead log.
const LSN: &str = "lsn";
/// The source is told what it may forget at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A connected database and the tables that come from it.
struct Postgres {
    settings: Settings,
    /// For questions and statements.
    sql: Wire,
    tables: Vec<Table>,
    /// The lake's tables that are followed.
    followed: Vec<String>,
    catalog: Catalog,
    names: Names,
    state: State,
    /// The connection whose temporary slot holds the moment of the copies, and the moment's name.
    moment: Option<(Wire, String)>,
    stream: Option<Stream>,
    reader: Option<Reader>,
    told_at: Option<Instant>,
}

/// What we call our things in the database.
#[derive(Clone)]
struct Names {
    slot: String,
    publication: String,
}

pub(super) const CONNECTOR: Connector = Connector {
    name: "postgres",
    parts: &[LSN],
    shown: |counter| lsn_text(u64::try_from(counter).unwrap_or_default()),
    open: |connection, feeds, state| {
        async move { Ok(Box::new(open(connection, feeds, state).await?) as Box<dyn Source>) }.boxed()
    },
    look: |connection, feeds, state| doctor::look(connection, feeds, state).boxed(),
    examine: |connection, feeds, state| doctor::examine(connection, feeds, state).boxed(),
    release: |connection, feeds, state| doctor::release(connection, feeds, state).boxed(),
};

/// Where to connect by the profile's settings, and how our things are called there.
fn settings(connection: &Connection, warehouse: &str) -> Result<(Settings, Names), IngestError> {
    let text = |key: &str| connection.settings.get(key).and_then(serde_json::Value::as_str).map(str::to_string);
    let database = text("dbname")
        .or_else(|| text("database"))
        .ok_or_else(|| IngestError::new("settings-invalid", format!("the connection `{}` has no `dbname`", connection.name)))?;
    let mut settings = Settings::read(&connection.settings, &database)?;
    settings.application_name = format!("headwater ingest {}", connection.name);
    let default = default_name(&connection.name, warehouse);
    let slot = text("slot").unwrap_or_else(|| default.clone());
    Ok((settings, Names { slot, publication: text("publication").unwrap_or(default) }))
}

async fn connected(settings: &Settings) -> Result<Wire, IngestError> {
    let mut sql = Wire::connect(settings).await?;
    sql.query(SESSION).await?;
    Ok(sql)
}

async fn open(connection: &Connection, feeds: &[Feed], state: State) -> Result<Postgres, IngestError> {
    let (settings, names) = settings(connection, state.warehouse())?;
    let mut sql = connected(&settings).await?;
    let catalog = Catalog::read(&mut sql).await?;
    let mut tables = Vec::with_capacity(feeds.len());
    for feed in feeds {
        tables.push(catalog::table(&mut sql, &catalog, feed).await?);
    }
    let (moment, stream, reader, told_at) = (None, None, None, None);
    let followed = feeds.iter().flat_map(Feed::tables).collect();
    Ok(Postgres { settings, sql, tables, followed, catalog, names, state, moment, stream, reader, told_at })
}

/// Values are written the same way whatever the server's or the role's settings say.
const SESSION: &str = "set timezone = 'UTC'; set intervalstyle = iso_8601; set extra_float_digits = 1; \
                       set bytea_output = hex; set lock_timeout = 0; set statement_timeout = 0; \
                       set idle_in_transaction_session_timeout = 0";

/// A slot's name, of the letters it may have, other in each warehouse.
fn default_name(connection: &str, warehouse: &str) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(warehouse.as_bytes());
    let plain: String =
        connection.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
    format!("headwater_{plain}_{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2])
}

/// A log position as the server writes it: `16/B374D848`.
fn lsn_text(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

fn lsn_of(text: &str) -> Result<u64, IngestError> {
    let parse = |text: &str| u64::from_str_radix(text, 16).ok();
    let parts = text.split_once('/').and_then(|(high, low)| Some((parse(high)?, parse(low)?)));
    let (high, low) = parts.ok_or_else(|| IngestError::new("ingest", format!("`{text}` is no position in the log")))?;
    Ok((high << 32) | low)
}

fn position(lsn: u64) -> Position {
    Position::from([(LSN.to_string(), i64::try_from(lsn).unwrap_or(i64::MAX))])
}

fn lsn_in(position: &Position) -> u64 {
    position.get(LSN).and_then(|lsn| u64::try_from(*lsn).ok()).unwrap_or_default()
}

#[async_trait]
impl Source for Postgres {
    fn describe(&self, table: usize) -> Description {
        let Table { layout, key, schema, name, .. } = &self.tables[table];
        let system = &self.catalog.system;
        let follows = serde_json::json!({"connector": "postgres", "system": system, "table": format!("{schema}.{name}")});
        Description { layout: layout.clone(), key: key.clone(), follows: follows.to_string() }
    }

    fn parts(&self) -> Vec<String> {
        vec![LSN.to_string()]
    }

    async fn prepare(&mut self, positions: &[Option<Position>], allowed: Permissions) -> Result<(), IngestError> {
        self.lock().await?;
        self.publish(positions, allowed).await?;
        self.secure_slot(positions, allowed).await
    }

    fn check_followed(&self, table: &str, position: &Position) -> Result<(), IngestError> {
        self.check_known(table, lsn_in(position))
    }

    async fn begin_copies(&mut self) -> Result<Position, IngestError> {
        self.begin_moment().await
    }

    async fn copy(&mut self, table: usize) -> Result<Copied, IngestError> {
        let Some((_, moment)) = &self.moment else {
            return Err(IngestError::new("ingest", "a table is copied outside of a moment"));
        };
        copy::rows(&self.settings, moment, &self.tables[table]).await
    }

    async fn end_copies(&mut self) -> Result<(), IngestError> {
        // The temporary slot goes with its connection.
        self.moment = None;
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), IngestError> {
        let mut told = self.state.told.clone().unwrap_or_default();
        let acknowledged = u64::try_from(told.acknowledged).unwrap_or_default();
        let binary = !told.as_text && self.tables.iter().all(|table| table.is_binary);
        // They are all copied and were looked at: none lacks anything up to there.
        told.followed.extend(self.followed.iter().cloned());
        if self.state.told.as_ref() != Some(&told) {
            self.state.tell(told).await?;
        }
        let settings = Settings { replication: true, ..self.settings.clone() };
        self.stream = Some(Stream::begin(&settings, &self.names, binary, acknowledged).await?);
        self.reader = Some(Reader::new(self.tables.clone(), self.catalog.clone(), binary));
        Ok(())
    }

    async fn read(&mut self, window: &mut Window, until: Instant) -> Result<(), IngestError> {
        let (Some(stream), Some(reader)) = (&mut self.stream, &mut self.reader) else {
            return Err(IngestError::new("ingest", "nothing is followed yet"));
        };
        loop {
            let whole = reader.is_whole();
            if whole && (Instant::now() >= until || window.is_due()) {
                return Ok(());
            }
            let pieces: Vec<Bytes> = if whole {
                match tokio::time::timeout_at(until.into(), stream.next()).await {
                    Ok(pieces) => pieces?,
                    Err(_) => return Ok(()),
                }
            } else {
                stream.next().await?
            };
            for piece in pieces {
                if let Err(error) = reader.take(&piece, window) {
                    if error.code == NEEDS_TEXT {
                        let told = self.state.told.clone().unwrap_or_default();
                        self.state.tell(Told { as_text: true, ..told }).await?;
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn acknowledge(&mut self, position: &Position, now: bool) -> Result<(), IngestError> {
        let lsn = lsn_in(position);
        let Some(stream) = &self.stream else { return Ok(()) };
        if !self.state.waiting().is_empty() {
            return Ok(());
        }
        if lsn <= stream.acknowledged() || (!now && self.told_at.is_some_and(|told| told.elapsed() < TELL_EVERY)) {
            return Ok(());
        }
        let mut told = self.state.told.clone().unwrap_or_default();
        told.acknowledged = told.acknowledged.max(i64::try_from(lsn).unwrap_or(i64::MAX));
        told.followed = self.followed.iter().cloned().collect();
        reached("before-told");
        self.state.tell(told).await?;
        reached("told");
        self.told_at = Some(Instant::now());
        stream.acknowledge(lsn);
        Ok(())
    }

    async fn head(&mut self) -> Result<Position, IngestError> {
        let text = catalog::value(&mut self.sql, "select pg_current_wal_flush_lsn()::text").await?;
        Ok(position(lsn_of(&text)?))
    }

    fn nudge(&self) {
        if let Some(stream) = &self.stream {
            stream.nudge();
        }
    }

    async fn close(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.end().await;
        }
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
