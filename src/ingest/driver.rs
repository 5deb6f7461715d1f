//! The loop of one connection: copy what has no position yet, then follow; windows become commits, commits are acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::config::Feed;
use super::connector::{CONNECTORS, Connection, Copied, Description, Permissions, Source};
use super::piece::Piece;
use super::state::State;
use super::window::Window;
use super::{IngestError, bronze, silver};
use crate::event::{Event, EventSink};
use crate::lake::{Follower, Lake, Position};

/// How long one look for changes takes at most.
const LOOK: Duration = Duration::from_millis(100);
/// Waits between attempts to connect again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the state of every table is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// When an ingest ends by itself.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// When it is stopped.
    None,
    /// When it has all that the sources had as it began.
    CaughtUp,
    For(Duration),
}

/// What to follow, into which lake.
pub struct Request {
    pub feeds: Vec<Feed>,
    /// Those of the project that were not selected.
    pub others: Vec<Feed>,
    pub connections: Vec<Connection>,
    pub lake: Arc<Lake>,
    pub limit: Limit,
    pub accept_gap: bool,
    pub resnapshot: bool,
    pub events: Arc<dyn EventSink>,
    pub cancel: CancellationToken,
}

/// Follows until the limit; every connection by itself. The failures of those that had to stop.
pub async fn run(request: Request) -> Vec<IngestError> {
    let request = Arc::new(request);
    let mut tasks = tokio::task::JoinSet::new();
    for connection in &request.connections {
        let feeds: Vec<Feed> = request.feeds.iter().filter(|feed| feed.spec.connection == connection.name).cloned().collect();
        let line = Line { request: request.clone(), connection: connection.clone(), feeds };
        tasks.spawn(async move { line.run().await });
    }
    let mut failures = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failures.push(error),
            Err(error) => failures.push(IngestError::new("ingest", error.to_string())),
        }
    }
    failures
}

/// One connection and its tables.
struct Line {
    request: Arc<Request>,
    connection: Connection,
    feeds: Vec<Feed>,
}

/// The tables of the lake that one source's table feeds.
struct Target {
    feed: Feed,
    silver: Follower,
    bronze: Option<Follower>,
    told: Told,
}

/// What was said of a table last.
#[derive(Default)]
struct Told {
    changes: u64,
    since: u64,
}

impl Line {
    async fn run(self) -> Result<(), IngestError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut resnapshot = self.request.resnapshot;
        loop {
            let begun = Instant::now();
            let error = match self.attempt(started, &mut resnapshot).await {
                Ok(()) => return Ok(()),
                Err(error) if !error.passing => return Err(error.context(&self.connection.name)),
                Err(error) => error,
            };
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            self.say(format!("{}: {}; connecting again", self.connection.name, error.message));
            tokio::select! {
                () = self.request.cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            if matches!(self.request.limit, Limit::For(limit) if started.elapsed() > limit) {
                return Err(error.context(&self.connection.name));
            }
        }
    }

    fn say(&self, text: String) {
        self.request.events.emit(Event::Message { text, info: true });
    }

    async fn attempt(&self, started: Instant, resnapshot: &mut bool) -> Result<(), IngestError> {
        let mut state = State::open(&self.request.lake, &self.connection.name).await?;
        let others = self.request.others.iter().filter(|feed| feed.spec.connection == self.connection.name);
        state.unselected = others.flat_map(Feed::tables).collect();
        let waiting = Vec::from_iter(state.waiting()).join(", ");
        if !waiting.is_empty() {
            self.say(format!("{}: the source keeps its log for {waiting}, not followed now", self.connection.name));
        }
        let connector = self.feeds.first().and_then(|feed| CONNECTORS.iter().find(|known| known.name == feed.spec.connector));
        let connector = connector.ok_or_else(|| IngestError::new("ingest", "a connection has no connector"))?;
        let mut source = (connector.open)(&self.connection, &self.feeds, state).await?;
        let outcome = self.follow(source.as_mut(), started, resnapshot).await;
        source.close().await;
        outcome
    }

    async fn follow(&self, source: &mut dyn Source, started: Instant, resnapshot: &mut bool) -> Result<(), IngestError> {
        let mut targets = self.open_targets(source).await?;
        let positions: Vec<Option<Position>> =
            targets.iter().map(|target| if *resnapshot { None } else { target.position() }).collect();
        let allowed = Permissions { accept_gap: self.request.accept_gap, resnapshot: *resnapshot };
        source.prepare(&positions, allowed).await?;
        if !allowed.accept_gap && !allowed.resnapshot {
            for table in targets.iter().flat_map(Target::tables).filter(|table| !table.position().is_empty()) {
                source.check_followed(&table.name().to_string(), table.position())?;
            }
        }
        if *resnapshot || !targets.iter().all(Target::is_complete) {
            self.copy(source, &mut targets, *resnapshot).await?;
        }
        *resnapshot = false;
        for target in &mut targets {
            target.silver.index().await?;
        }
        let end = source.head().await?;
        source.follow().await?;
        self.pump(source, &mut targets, (started, end)).await
    }

    async fn open_targets(&self, source: &dyn Source) -> Result<Vec<Target>, IngestError> {
        let parts = source.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut targets = Vec::with_capacity(self.feeds.len());
        for (number, feed) in self.feeds.iter().enumerate() {
            let description = source.describe(number);
            let lake = &self.request.lake;
            let silver = Follower::open(lake, &feed.table, description.key.clone(), &parts).await?;
            let bronze = match feed.spec.history {
                true => Some(Follower::open(lake, &feed.history(), Vec::new(), &parts).await?),
                false => None,
            };
            for table in std::iter::once(&silver).chain(&bronze) {
                owned(table, &description)?;
            }
            targets.push(Target { feed: feed.clone(), silver, bronze, told: Told::default() });
        }
        Ok(targets)
    }

    /// Copies the tables that have no position yet, all as of the same moment.
    async fn copy(&self, source: &mut dyn Source, targets: &mut [Target], anew: bool) -> Result<(), IngestError> {
        let position = source.begin_copies().await?;
        for (number, target) in targets.iter_mut().enumerate() {
            let description = source.describe(number);
            if anew || !target.silver.exists() || target.silver.position().is_empty() {
                let begun = Instant::now();
                let schema = silver::schema_for(&description.layout.schema, &target.feed.spec)?;
                let rows = source.copy(number).await?;
                let added = target.silver.write(&schema, as_silver(rows, schema.clone())).await?;
                target.silver.begin(&schema, added, &description.follows, position.clone()).await?;
                let (rows, seconds) = (target.silver.rows(), begun.elapsed().as_secs_f64());
                self.say(format!("{}: copied {rows} rows in {seconds:.1}s", target.feed.source));
            }
            if let Some(bronze) = target.bronze.as_mut().filter(|bronze| anew || bronze.position().is_empty()) {
                let schema = bronze::schema_for(&description.layout.schema)?;
                let rows = source.copy(number).await?;
                let mark = position.values().copied().max().unwrap_or_default();
                let added = bronze.write(&schema, as_bronze(rows, schema.clone(), mark)).await?;
                bronze.begin(&schema, added, &description.follows, position.clone()).await?;
            }
        }
        source.end_copies().await
    }

    /// Reads, commits, acknowledges, until it is stopped or the limit is reached.
    async fn pump(
        &self,
        source: &mut dyn Source,
        targets: &mut [Target],
        (started, end): (Instant, Position),
    ) -> Result<(), IngestError> {
        let mut window = Window::new(targets.len());
        let mut told = Instant::now();
        loop {
            let until = window.due_at().unwrap_or_else(|| Instant::now() + LOOK);
            let stopped = tokio::select! {
                biased;
                () = self.request.cancel.cancelled() => true,
                read = source.read(&mut window, until) => { read?; false }
            };
            if stopped {
                break;
            }
            if window.is_due() || (self.is_over(started, &end, &window) && !window.is_empty()) {
                commit(targets, &mut window).await?;
            }
            if window.is_empty() && !window.position.is_empty() {
                source.acknowledge(&window.position, false).await?;
            }
            if window.is_empty() && self.is_over(started, &end, &window) {
                break;
            }
            if matches!(self.request.limit, Limit::CaughtUp) && window.is_empty() {
                source.nudge();
            }
            if told.elapsed() >= TELL_EVERY {
                self.tell(targets, &window);
                told = Instant::now();
            }
        }
        self.tell(targets, &window);
        if window.is_empty() && !window.position.is_empty() {
            source.acknowledge(&window.position, true).await?;
        }
        Ok(())
    }

    fn is_over(&self, started: Instant, end: &Position, window: &Window) -> bool {
        match self.request.limit {
            Limit::None => false,
            Limit::For(limit) => started.elapsed() >= limit,
            Limit::CaughtUp => end.iter().all(|(part, end)| window.position.get(part).is_some_and(|found| found >= end)),
        }
    }

    fn tell(&self, targets: &mut [Target], window: &Window) {
        for target in targets {
            let Told { changes, since } = target.told;
            target.told.since = changes;
            let position = window.position.values().map(|value| format!("{value:X}")).collect::<Vec<_>>().join(",");
            self.say(format!(
                "{}: {} rows, {changes} changes (+{}), position {position}",
                target.feed.source,
                target.silver.rows(),
                changes - since
            ));
        }
    }
}

/// Brings a window into every table it touches; each table's rows and position are one commit.
async fn commit(targets: &mut [Target], window: &mut Window) -> Result<(), IngestError> {
    let position = window.position.clone();
    let shares = window.take()?;
    for (target, pieces) in targets.iter_mut().zip(shares) {
        if pieces.is_empty() {
            continue;
        }
        target.told.changes += pieces.iter().map(|piece| piece.rows() as u64).sum::<u64>();
        let fresh = beyond(&pieces, target.silver.position());
        if !fresh.is_empty() {
            silver::apply(&mut target.silver, &target.feed.spec, fresh, position.clone()).await?;
            target.silver.compact().await?;
        }
        if let Some(bronze) = &mut target.bronze {
            let fresh = beyond(&pieces, bronze.position());
            if !fresh.is_empty() {
                bronze::apply(bronze, fresh, position.clone()).await?;
                bronze.compact().await?;
            }
        }
    }
    Ok(())
}

/// What a table does not have yet of a window: a source sends again what was not acknowledged.
fn beyond(pieces: &[Piece], position: &Position) -> Vec<Piece> {
    let mark = position.values().copied().max().unwrap_or(i64::MIN);
    pieces.iter().filter_map(|piece| piece.beyond(mark)).collect()
}

/// A table that follows something else, or nothing, is not written to.
fn owned(table: &Follower, description: &Description) -> Result<(), IngestError> {
    if !table.exists() || table.follows() == Some(&description.follows) {
        return Ok(());
    }
    let what = match table.follows() {
        Some(other) => format!("follows {other} and not {}", description.follows),
        None => "was not made by `headwater ingest`".to_string(),
    };
    Err(IngestError::new("ingest-table-taken", format!("the table {} {what}", table.name()))
        .help("give the source another `identifier`, or drop the table"))
}

impl Target {
    /// How far the tables of this source have come at least, of those that have come anywhere: from there on the source must tell
    /// its changes, also while another table has yet to be copied.
    fn position(&self) -> Option<Position> {
        let mut least: Position = BTreeMap::new();
        for (part, counter) in self.tables().flat_map(Follower::position) {
            least.entry(part.clone()).and_modify(|known| *known = (*known).min(*counter)).or_insert(*counter);
        }
        (!least.is_empty()).then_some(least)
    }

    /// Whether no table has to be copied first.
    fn is_complete(&self) -> bool {
        self.tables().all(|table| !table.position().is_empty())
    }

    fn tables(&self) -> impl Iterator<Item = &Follower> {
        std::iter::once(&self.silver).chain(&self.bronze)
    }
}

fn as_silver(
    rows: Copied,
    schema: arrow::datatypes::SchemaRef,
) -> impl futures::Stream<Item = datafusion::error::Result<arrow::array::RecordBatch>> + Send + 'static {
    rows.map(move |batch| batch.and_then(|batch| silver::copied(&batch, &schema)).map_err(IngestError::within))
}

fn as_bronze(
    rows: Copied,
    schema: arrow::datatypes::SchemaRef,
    mark: i64,
) -> impl futures::Stream<Item = datafusion::error::Result<arrow::array::RecordBatch>> + Send + 'static {
    let now = chrono::Utc::now().timestamp_micros();
    let mut first = 0;
    rows.map(move |batch| {
        let batch = batch.and_then(|batch| bronze::copied(&batch, &schema, first, mark, now)).map_err(IngestError::within)?;
        first += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        Ok(batch)
    })
}
