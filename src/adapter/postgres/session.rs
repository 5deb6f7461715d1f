//! One node's connection, with transactions as dbt has them on psycopg2.
//!
//! psycopg2 begins a transaction before the first statement of a connection, whoever sends it, and never again: after a `commit`
//! sent as a statement, what follows commits itself. dbt keeps a flag of its own beside that, which is set by statements that ask
//! for a transaction and cleared by `adapter.commit()`. Projects rely on both, so both are kept.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;

use super::value;
use crate::adapter::AdapterError;
use crate::name::Relation;
use crate::rows::Answer;
use crate::wire::{CancelKey, Reply, Settings, Wire, WireError};

/// Connections that nobody uses, ready for the next node.
pub struct Pool {
    pub settings: Settings,
    idle: Mutex<Vec<Wire>>,
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
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, idle: Mutex::default() })
    }

    pub async fn take(&self) -> Result<Wire, WireError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(wire) => Ok(wire),
            None => Wire::connect(&self.settings).await,
        }
    }

    /// Takes a connection back: what was not committed is undone, temporary tables and settings go.
    pub async fn put_back(&self, mut wire: Wire) {
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
    }

    /// Statements on a connection of their own, each committed as it ends.
    pub async fn run(&self, sql: &str) -> Result<Answer, AdapterError> {
        let mut wire = self.take().await?;
        let mut guard = InFlight(Some(wire.cancel_key(&self.settings)));
        let outcome = wire.query(sql).await;
        guard.0 = None;
        if outcome.as_ref().is_ok() || outcome.as_ref().is_err_and(|error| error.code == "sql-run") {
            self.put_back(wire).await;
        }
        Ok(value::answer(outcome?))
    }
}

#[derive(Default)]
struct State {
    wire: Option<Wire>,
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
        let mut wire = match state.wire.take() {
            Some(wire) => wire,
            None => self.pool.take().await?,
        };
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
            state.wire = Some(wire);
        }
        outcome
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
        let (Some(wire), Ok(runtime)) = (self.state.get_mut().wire.take(), tokio::runtime::Handle::try_current()) else { return };
        let pool = self.pool.clone();
        runtime.spawn(async move { pool.put_back(wire).await });
    }
}
