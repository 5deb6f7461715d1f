//! One node's connection, with transactions as dbt has them on psycopg2.
//!
//! psycopg2 begins a transaction before the first statement of a connection, whoever sends it, and never again: after a `commit`
//! sent as a statement, what follows commits itself. dbt keeps a flag of its own beside that, which is set by statements that ask
//! for a transaction and cleared by `adapter.commit()`. Projects rely on both, so both are kept.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::value;
use crate::adapter::AdapterError;
use crate::name::Relation;
use crate::rows::Answer;
use crate::wire::{CancelKey, Reply, Settings, Wire, WireError};

/// The connections of a run, no more than it has threads and one for what is asked besides.
pub struct Pool {
    pub settings: Settings,
    /// Connections that nobody uses, ready for the next node.
    idle: Mutex<Vec<Wire>>,
    places: Arc<Semaphore>,
}

/// A connection, and its place among those that may be open.
pub struct Lease {
    wire: Wire,
    _place: OwnedSemaphorePermit,
}

/// Cancels what runs on a connection if the wait for it is given up.
struct InFlight(Option<CancelKey>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(key) = self.0.take() {
            key.cancel();
        }
    }
}

impl Pool {
    /// `threads`: how many nodes may hold a connection at once.
    pub fn new(settings: Settings, threads: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(threads.max(1) + 1));
        Arc::new(Self { settings, idle: Mutex::default(), places })
    }

    /// A connection that is free, or a new one; waits while as many as may be are in use.
    async fn take(&self) -> Result<Lease, WireError> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let wire = match idle {
            Some(wire) => wire,
            None => Wire::connect(&self.settings).await?,
        };
        Ok(Lease { wire, _place: place })
    }

    /// Takes a connection back: what was not committed is undone, temporary tables and settings go.
    async fn put_back(&self, lease: Lease) {
        let Lease { mut wire, _place: place } = lease;
        if wire.in_transaction() && wire.query("rollback").await.is_err() {
            return;
        }
        if wire.query("discard all").await.is_err() {
            return;
        }
        if let Some(role) = &self.settings.role
            && wire.query(&format!("set role {role}")).await.is_err()
        {
            return;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
        drop(place);
    }

    /// Statements on a connection of their own, each committed as it ends.
    pub async fn run(&self, sql: &str) -> Result<Answer, AdapterError> {
        let mut lease = self.take().await?;
        let mut guard = InFlight(Some(lease.wire.cancel_key(&self.settings)));
        let outcome = lease.wire.query(sql).await;
        guard.0 = None;
        if outcome.as_ref().is_ok() || outcome.as_ref().is_err_and(|error| error.code == "sql-run") {
            self.put_back(lease).await;
        }
        Ok(value::answer(outcome?))
    }
}

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    /// psycopg2's: a transaction was begun on this connection.
    begun: bool,
    /// dbt's: a statement asked for a transaction that is not committed yet.
    open: bool,
}

pub struct Session {
    pool: Arc<Pool>,
    state: AsyncMutex<State>,
}

impl Session {
    pub fn new(pool: Arc<Pool>) -> Self {
        Self { pool, state: AsyncMutex::default() }
    }

    pub async fn answer(&self, sql: &str, begin: bool) -> Result<Answer, AdapterError> {
        Ok(value::answer(self.run(sql, begin, None).await?))
    }

    /// Appends rows with `copy`.
    pub async fn load_rows(
        &self,
        relation: &Relation,
        columns: &[String],
        rows: &[Vec<Option<String>>],
    ) -> Result<Answer, AdapterError> {
        let sql = format!("copy {relation} ({}) from stdin", columns.join(", "));
        let mut answer = self.run(&sql, true, Some(rows)).await.map(value::answer)?;
        answer.message = answer.message.replacen("COPY", "INSERT 0", 1);
        Ok(answer)
    }

    async fn run(&self, sql: &str, begin: bool, rows: Option<&[Vec<Option<String>>]>) -> Result<Reply, WireError> {
        let mut state = self.state.lock().await;
        state.open |= begin;
        // Out of the state while it works: whoever gives the wait up drops it with the statement half done.
        let mut lease = match state.lease.take() {
            Some(lease) => lease,
            None => self.pool.take().await?,
        };
        let wire = &mut lease.wire;
        let mut guard = InFlight(Some(wire.cancel_key(&self.pool.settings)));
        let first = !std::mem::replace(&mut state.begun, true);
        let outcome = match (rows, first) {
            (None, true) => wire.begin_and_query(sql).await,
            (None, false) => wire.query(sql).await,
            (Some(rows), first) => {
                if first {
                    wire.query("begin").await?;
                }
                wire.copy_in(sql, rows).await
            }
        };
        let outcome = match outcome {
            Err(error) if error.code == "sql-run" && std::mem::take(&mut state.open) => {
                state.begun = false;
                wire.query("rollback").await.and(Err(error))
            }
            outcome => outcome,
        };
        guard.0 = None;
        if outcome.as_ref().is_ok() || outcome.as_ref().is_err_and(|error| error.code == "sql-run") {
            state.lease = Some(lease);
        }
        outcome
    }

    /// From now on each statement commits itself: dbt begins and commits once, and psycopg2 does not begin again.
    pub async fn clear_transaction(&self) {
        self.end().await;
        self.state.lock().await.begun = true;
    }

    /// Gives the connection back; what was not committed is undone.
    pub async fn end(&self) {
        let mut state = self.state.lock().await;
        if let Some(lease) = state.lease.take() {
            self.pool.put_back(lease).await;
        }
        *state = State::default();
    }

    /// dbt's `adapter.commit()`.
    pub async fn commit(&self) -> Result<(), AdapterError> {
        if !std::mem::take(&mut self.state.lock().await.open) {
            let message = "Tried to commit transaction on connection, but it does not have one open!";
            return Err(AdapterError { code: "transaction", message: message.to_string(), position: None, help: None });
        }
        self.run("commit", false, None).await?;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Some(lease), Ok(runtime)) = (self.state.get_mut().lease.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let pool = self.pool.clone();
        runtime.spawn(async move { pool.put_back(lease).await });
    }
}

fn closed() -> WireError {
    WireError { code: "connection", message: "the run is over".to_string(), position: None, help: None }
}
