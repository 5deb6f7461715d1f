//! The publication and the slot: made for the user, and looked at closely before they are trusted.

use std::collections::BTreeSet;

use super::catalog::{maybe, value};
use super::{Postgres, literal, lsn_in, lsn_of, lsn_text, position, quoted};
use crate::ingest::IngestError;
use crate::ingest::connector::Permissions;
use crate::ingest::state::Told;
use crate::lake::{Position, reached};
use crate::wire::{Settings, Wire};

/// A slot as the server lists it.
struct Slot {
    plugin: String,
    database: String,
    is_active: bool,
    confirmed: u64,
    wal_status: String,
}

/// What to do about changes that are lost.
const WAYS_ON: &str = "`headwater ingest --resnapshot` copies the tables anew, which loses nothing of their rows; `--accept-gap` goes on \
                       without the lost changes";

impl Postgres {
    /// Sees that no other process follows with this slot. The lock goes with the connection.
    pub(super) async fn lock(&mut self) -> Result<(), IngestError> {
        let query = format!("select pg_try_advisory_lock(hashtext('headwater ingest'), hashtext({}))", literal(&self.names.slot));
        if value(&mut self.sql, &query).await? == "t" {
            // Whoever had it may have gone on since this was read.
            return Ok(self.state.reread().await?);
        }
        let message = format!("another process follows with the slot {} (or has just ended)", quoted(&self.names.slot));
        Err(IngestError::new("ingest-busy", message).passing())
    }

    /// Makes the publication and adds the tables that it lacks. A table that is followed already must not have lacked: what was
    /// changed meanwhile is in no stream.
    pub(super) async fn publish(&mut self, positions: &[Option<Position>], allowed: Permissions) -> Result<(), IngestError> {
        let name = self.names.publication.clone();
        let query = format!("select puballtables from pg_publication where pubname = {}", literal(&name));
        let found = maybe(&mut self.sql, &query).await?;
        if found.as_deref() == Some("t") {
            return Ok(());
        }
        let listed = format!("select schemaname, tablename from pg_publication_tables where pubname = {}", literal(&name));
        let listed = self.sql.query(&listed).await?.rows;
        let is_listed = |table: &super::Table| {
            listed.iter().any(|row| row[0].as_deref() == Some(&table.schema) && row[1].as_deref() == Some(&table.name))
        };
        let missing: Vec<usize> = (0..self.tables.len()).filter(|&number| !is_listed(&self.tables[number])).collect();
        if let Some(&number) = missing.iter().find(|&&number| positions[number].is_some())
            && !allowed.accept_gap
        {
            let table = self.tables[number].quoted();
            let message =
                format!("{table} was taken out of the publication {} (or made anew): its changes since are lost", quoted(&name));
            return Err(IngestError::new("ingest-gap", message).help(WAYS_ON));
        }
        let names: Vec<String> = missing.iter().map(|&number| self.tables[number].quoted()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let root = if self.catalog.version >= 130_000 { " with (publish_via_partition_root = true)" } else { "" };
        let sql = match found {
            None => format!("create publication {} for table {}{root}", quoted(&name), names.join(", ")),
            Some(_) => format!("alter publication {} add table {}", quoted(&name), names.join(", ")),
        };
        self.sql.query(&sql).await.map_err(|error| refused(error.into(), &sql))?;
        Ok(())
    }

    async fn slot(&mut self) -> Result<Option<Slot>, IngestError> {
        let wal_status = if self.catalog.version >= 130_000 { "wal_status" } else { "null" };
        let query = format!(
            "select plugin, database, active, confirmed_flush_lsn::text, {wal_status} from pg_replication_slots where slot_name = {}",
            literal(&self.names.slot)
        );
        let Some(row) = self.sql.query(&query).await?.rows.into_iter().next() else { return Ok(None) };
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let confirmed = if text(3).is_empty() { 0 } else { lsn_of(&text(3))? };
        Ok(Some(Slot { plugin: text(0), database: text(1), is_active: text(2) == "t", confirmed, wal_status: text(4) }))
    }

    /// Sees that the slot goes on where the tables are, or makes it where there is none to go on from.
    pub(super) async fn secure_slot(&mut self, positions: &[Option<Position>], allowed: Permissions) -> Result<(), IngestError> {
        let head = lsn_of(&value(&mut self.sql, "select pg_current_wal_flush_lsn()::text").await?)?;
        let known: Vec<u64> = positions.iter().flatten().map(lsn_in).collect();
        let least = known.iter().copied().min();
        let told = self.state.told.clone();
        if let Some(told) = &told
            && told.system != self.catalog.system
            && least.is_some()
        {
            let message = format!("the database is another one than before: {} and not {}", self.catalog.system, told.system);
            return Err(
                IngestError::new("ingest-system", message).help("a restored or replaced server: copy anew with `--resnapshot`")
            );
        }
        if let Some(ahead) = known.iter().copied().filter(|known| *known > head).max() {
            let message = format!(
                "the tables are ahead of the server by {} bytes: they have {}, its log ends at {}",
                ahead - head,
                lsn_text(ahead),
                lsn_text(head)
            );
            return Err(IngestError::new("ingest-ahead", message).help(
                "the server was set back (a restored backup, a standby that lost the end): copy anew with `--resnapshot`",
            ));
        }
        // What is known of a slot of another name, or in another system, says nothing about this one.
        let told = told.filter(|told| told.system == self.catalog.system && told.place == self.names.slot);
        match (self.slot().await?, told, least) {
            (None, _, None) => self.make_slot(allowed).await,
            (None, told, Some(least)) => {
                let from = told.map_or(least, |told| u64::try_from(told.acknowledged).unwrap_or_default().max(least));
                self.gap(&format!("the replication slot {} is gone", quoted(&self.names.slot)), from, head, allowed)?;
                self.make_slot(allowed).await
            }
            (Some(slot), told, least) => self.check_slot(&slot, told, least, allowed).await,
        }
    }

    async fn check_slot(
        &mut self,
        slot: &Slot,
        told: Option<Told>,
        least: Option<u64>,
        allowed: Permissions,
    ) -> Result<(), IngestError> {
        let name = quoted(&self.names.slot);
        let own = value(&mut self.sql, "select current_database()").await?;
        if slot.plugin != "pgoutput" || slot.database != own {
            let message = format!("the slot {name} is one of {} in the database {}: it is not ours", slot.plugin, slot.database);
            return Err(
                IngestError::new("ingest-slot-foreign", message).help("give the connection another `slot:` in profiles.yml")
            );
        }
        if slot.wal_status == "lost" {
            let from = told.as_ref().map_or(slot.confirmed, |told| u64::try_from(told.acknowledged).unwrap_or_default());
            let head = lsn_of(&value(&mut self.sql, "select pg_current_wal_flush_lsn()::text").await?)?;
            self.gap(&format!("the server has removed the log that the slot {name} needs"), from, head, allowed)?;
            self.drop_slot().await?;
            return self.make_slot(allowed).await;
        }
        let Some(told) = told else {
            let message = format!("the slot {name} is there, and nothing here knows of it");
            return Err(IngestError::new("ingest-slot-foreign", message).help(format!(
                "if no other warehouse reads it, run in the database: select pg_drop_replication_slot({})",
                literal(&self.names.slot)
            )));
        };
        let is_needed = least.is_some() || slot.is_active || !self.state.waiting().is_empty();
        if told.making || !is_needed {
            self.drop_slot().await?;
            return self.make_slot(allowed).await;
        }
        let acknowledged = u64::try_from(told.acknowledged).unwrap_or_default();
        if slot.confirmed > acknowledged {
            let what = format!("the slot {name} was moved on or made anew by somebody else");
            self.gap(&what, acknowledged, slot.confirmed, allowed)?;
            let confirmed = i64::try_from(slot.confirmed).unwrap_or(i64::MAX);
            let followed = self.accepted(allowed);
            self.state.tell(Told { acknowledged: confirmed, followed, ..told }).await?;
        }
        Ok(())
    }

    fn gap(&self, what: &str, from: u64, to: u64, allowed: Permissions) -> Result<(), IngestError> {
        if allowed.accept_gap || allowed.resnapshot {
            return Ok(());
        }
        let message = format!(
            "{what}: the changes between {} and {} are lost, {} bytes of the log",
            lsn_text(from),
            lsn_text(to),
            to.saturating_sub(from)
        );
        Err(IngestError::new("ingest-gap", message).help(WAYS_ON))
    }

    async fn drop_slot(&mut self) -> Result<(), IngestError> {
        self.sql.query(&format!("select pg_drop_replication_slot({})", literal(&self.names.slot))).await?;
        Ok(())
    }

    /// Makes the lasting slot. That it is being made is on disk first: a slot found later is then known to be ours.
    async fn make_slot(&mut self, allowed: Permissions) -> Result<(), IngestError> {
        let (place, system, followed) = (self.names.slot.clone(), self.catalog.system.clone(), self.accepted(allowed));
        let told = Told { system, place: place.clone(), making: true, followed, ..Told::default() };
        self.state.tell(told.clone()).await?;
        let sql = format!("select lsn::text from pg_create_logical_replication_slot({}, 'pgoutput')", literal(&place));
        let start = value(&mut self.sql, &sql).await.map_err(|error| refused(error, &sql))?;
        reached("slot-made");
        let acknowledged = i64::try_from(lsn_of(&start)?).unwrap_or(i64::MAX);
        self.state.tell(Told { making: false, acknowledged, ..told }).await
    }

    /// The tables that go on behind lost changes, because the user says so; all others have to be looked at.
    fn accepted(&self, allowed: Permissions) -> BTreeSet<String> {
        if allowed.accept_gap { self.followed.iter().cloned().collect() } else { BTreeSet::new() }
    }

    /// A table that was left out while the slot moved on lacks what was passed meanwhile.
    pub(super) fn check_known(&self, table: &str, at: u64) -> Result<(), IngestError> {
        let Some(told) = &self.state.told else { return Ok(()) };
        let acknowledged = u64::try_from(told.acknowledged).unwrap_or_default();
        if told.followed.contains(table) || at >= acknowledged {
            return Ok(());
        }
        let what = format!("{table} was not followed while the slot {} moved on", quoted(&self.names.slot));
        self.gap(&what, at, acknowledged, Permissions::default())
    }

    /// A temporary slot whose exported snapshot is the moment of the copies.
    pub(super) async fn begin_moment(&mut self) -> Result<Position, IngestError> {
        let mut wire = Wire::connect(&Settings { replication: true, ..self.settings.clone() }).await?;
        let random = uuid::Uuid::new_v4().simple().to_string();
        let sql =
            format!("CREATE_REPLICATION_SLOT \"headwater_copy_{}\" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT", &random[..12]);
        let reply = wire.query(&sql).await.map_err(|error| refused(error.into(), &sql))?;
        let row = reply.rows.into_iter().next().unwrap_or_default();
        let (Some(Some(start)), Some(Some(snapshot))) = (row.get(1), row.get(2)) else {
            return Err(IngestError::new("ingest", "the server exported no snapshot"));
        };
        let start = lsn_of(start)?;
        self.moment = Some((wire, snapshot.clone()));
        Ok(position(start))
    }
}

/// A statement that the server refuses, with what the user may have to do about it.
fn refused(error: IngestError, sql: &str) -> IngestError {
    let help = if error.message.contains("wal_level") {
        "in postgresql.conf: wal_level = logical, then restart the server (or: alter system set wal_level = 'logical')"
            .to_string()
    } else if error.message.contains("all replication slots are in use") {
        "in postgresql.conf: max_replication_slots and max_wal_senders greater by 2, then restart the server".to_string()
    } else if error.message.contains("permission denied") || error.message.contains("must be") {
        "the user needs the attribute replication (alter user … replication), and for publications create on the database and to own \
         the tables; `headwater ingest doctor` tells the exact statements"
            .to_string()
    } else {
        format!("the statement was: {sql}")
    };
    IngestError { help: error.help.clone().or(Some(help)), ..error }
}
