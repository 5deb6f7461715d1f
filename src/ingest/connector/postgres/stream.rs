//! The running stream: a task of its own reads what the server sends and answers it in time, whatever the lake is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Names, SESSION, literal, quoted};
use crate::ingest::IngestError;
use crate::wire::{Settings, Wire, WireError};

/// So many reads of the socket wait for the lake; the server waits where they are full.
const MOST_WAITING: usize = 64;
/// How often the server hears from us (its `wal_sender_timeout` is a minute by default).
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// Microseconds between 1970 and 2000, from which the server counts.
const EPOCH_2000_MICROS: i64 = 946_684_800_000_000;
/// A message of the server that asks for an answer, and where it says so.
const KEEPALIVE: u8 = b'k';
const ASKS_AT: usize = 17;

pub struct Stream {
    received: mpsc::Receiver<Result<Vec<Bytes>, WireError>>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the reading task and its owner tell each other.
struct Shared {
    acknowledged: AtomicU64,
    /// Something to send: a greater position, or a question.
    wake: Notify,
    asks: std::sync::atomic::AtomicBool,
    stop: CancellationToken,
}

impl Stream {
    /// Begins where the slot stands.
    pub async fn begin(settings: &Settings, names: &Names, binary: bool, acknowledged: u64) -> Result<Self, IngestError> {
        let mut wire = Wire::connect(settings).await?;
        wire.query(SESSION).await?;
        let publication = literal(&quoted(&names.publication));
        let options = |version: &str, streaming: &str, binary: &str| {
            format!(
                "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '{version}', publication_names {publication}{streaming}{binary})",
                quoted(&names.slot)
            )
        };
        let binary = if binary { ", binary 'true'" } else { "" };
        begin(&mut wire, &[options("2", ", streaming 'on'", binary), options("1", "", binary), options("1", "", "")]).await?;
        let (sender, received) = mpsc::channel(MOST_WAITING);
        let shared = Arc::new(Shared {
            acknowledged: AtomicU64::new(acknowledged),
            wake: Notify::new(),
            asks: false.into(),
            stop: CancellationToken::new(),
        });
        let task = tokio::spawn(run(wire, sender, shared.clone()));
        Ok(Self { received, shared, task })
    }

    /// What the server sent next.
    pub async fn next(&mut self) -> Result<Vec<Bytes>, IngestError> {
        match self.received.recv().await {
            Some(received) => received.map_err(lost),
            None => Err(IngestError::new("connection", "the stream of changes ended").passing()),
        }
    }

    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Acquire)
    }

    pub fn acknowledge(&self, lsn: u64) {
        self.shared.acknowledged.store(lsn, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Asks the server how far it is.
    pub fn nudge(&self) {
        self.shared.asks.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Tells what was acknowledged last and ends.
    pub async fn end(self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        self.shared.stop.cancel();
        // Not to be told is no loss: the server sends again what it was not told of.
        let _ = tokio::time::timeout(PATIENCE, self.task).await;
    }
}

/// Older servers know less: what they refuse is asked for more plainly.
async fn begin(wire: &mut Wire, attempts: &[String]) -> Result<(), IngestError> {
    let (last, first) = attempts.split_last().ok_or_else(|| IngestError::new("ingest", "nothing to ask for"))?;
    for attempt in first {
        match wire.begin_copy(attempt).await {
            Ok(()) => return Ok(()),
            Err(error) if error.code == "sql-run" && is_unknown_option(&error.message) => {}
            Err(error) => return Err(lost(error)),
        }
    }
    wire.begin_copy(last).await.map_err(lost)
}

fn is_unknown_option(message: &str) -> bool {
    ["proto_version", "streaming", "binary", "unrecognized pgoutput option"].iter().any(|word| message.contains(word))
}

/// A slot that another process reads is free when that process is gone; a server that goes away comes back.
fn lost(error: WireError) -> IngestError {
    let passing = error.code == "connection"
        || error.message.contains("is active for PID")
        || error.message.contains("terminating connection")
        || error.message.contains("the database system is")
        || error.message.contains("terminating walsender");
    let error = IngestError::from(error);
    if passing { error.passing() } else { error }
}

async fn run(mut wire: Wire, sender: mpsc::Sender<Result<Vec<Bytes>, WireError>>, shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(STATUS_EVERY);
    let mut waiting: Option<Vec<Bytes>> = None;
    loop {
        let told = tokio::select! {
            () = shared.stop.cancelled() => {
                let _ = tell(&mut wire, &shared).await;
                return;
            }
            permit = sender.reserve(), if waiting.is_some() => {
                let Ok(permit) = permit else { return };
                permit.send(Ok(waiting.take().unwrap_or_default()));
                Ok(())
            }
            pieces = wire.chunks(), if waiting.is_none() => match pieces {
                Ok(pieces) => {
                    let asked = pieces.iter().any(|piece| piece.first() == Some(&KEEPALIVE) && piece.get(ASKS_AT) == Some(&1));
                    waiting = Some(pieces);
                    if asked { tell(&mut wire, &shared).await } else { Ok(()) }
                }
                Err(error) => Err(error),
            },
            _ = tick.tick() => tell(&mut wire, &shared).await,
            () = shared.wake.notified() => tell(&mut wire, &shared).await,
        };
        if let Err(error) = told {
            let _ = sender.send(Err(error)).await;
            return;
        }
    }
}

/// A standby status update: written, flushed and applied up to what is acknowledged.
async fn tell(wire: &mut Wire, shared: &Shared) -> Result<(), WireError> {
    let lsn = shared.acknowledged.load(Ordering::Acquire).to_be_bytes();
    let mut status = vec![b'r'];
    for _ in 0..3 {
        status.extend(lsn);
    }
    status.extend((chrono::Utc::now().timestamp_micros() - EPOCH_2000_MICROS).to_be_bytes());
    status.push(u8::from(shared.asks.swap(false, Ordering::AcqRel)));
    wire.send_piece(&status).await
}
