//! Executing: walks a plan against an adapter and tells how every node ended.
//!
//! A run goes: external tables are staged, schemas are made, `on-run-start`, the nodes in DAG order on `threads` workers,
//! `on-run-end`. A node goes: compile, pre-hooks, materialize, post-hooks. Nothing a node does ends the run: mistakes, the
//! engine's errors and panics become results.

mod audit;
mod clock;
mod clone;
mod contract;
mod defer;
mod external;
mod freshness;
mod hook;
mod input_columns;
mod message;
mod microbatch;
mod node;
mod operation;
mod prepare;
mod query_comment;
mod scheduler;
mod script;
mod session;
mod shared_scan;
mod show;
mod snapshot;
mod strategy;
mod table_diff;
mod target;
mod templated;
mod test_outcome;
mod unit_test;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use crate::adapter::Adapter;
use crate::compile::Window;
use crate::event::{Event, EventSink, Summary};
use crate::jinja::Jinja;
use crate::manifest::{Compiled, JsonMap, Manifest, NodeLineage};
use crate::name::{Relation, UniqueId};
use crate::plan::{Plan, Verb};
use crate::project::Project;
use crate::result::NodeResult;
use crate::world::World;

pub use defer::deferred;
pub use freshness::{FreshnessOutcome, source_freshness};
pub use microbatch::EarlierBatches;
pub use operation::run_operation;
pub use show::{ShowSubject, Shown, compile_text, show};
pub use test_outcome::{Counted, Verdict, judge};

use session::Session;

/// What is done with the types of the SQL before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TypeCheck {
    /// Queries are not planned beforehand.
    #[default]
    Off,
    /// Queries are planned for their lineage; whatever is wrong with them is left for the engine to say.
    Lineage,
    /// A query that cannot be planned is an error of its node.
    Errors,
}

/// The flags of the command line that change a run.
#[derive(Clone, Debug, Default)]
pub struct RunSettings {
    /// The verb as typed: `flags.WHICH`.
    pub which: String,
    pub threads: usize,
    pub full_refresh: bool,
    pub fail_fast: bool,
    /// `--empty`.
    pub empty: bool,
    pub store_failures: bool,
    /// `--warn-error`: a test that would warn fails.
    pub warn_error: bool,
    /// `--no-introspect` switches it off: `compile` then asks the database nothing.
    pub no_introspect: bool,
    /// `show --as-of`: tables are read as they were, at a version or a moment.
    pub as_of: Option<String>,
    /// `build --audit`: a new version is published only when the node's tests have passed.
    pub audit: bool,
    /// `--sample`: refs and sources with an `event_time` read this window only, and microbatch models have its batches.
    pub sample: Option<Window>,
    /// `--event-time-start` and `--event-time-end`: which batches microbatch models have.
    pub event_time_start: Option<DateTime<Utc>>,
    pub event_time_end: Option<DateTime<Utc>>,
    /// When the command began: microbatch models end there. `retry` sets it to the beginning of the run it repeats.
    pub started_at: Option<DateTime<Utc>>,
    /// The batches that `retry` runs of each microbatch model: what `batch_results` of its entry in `run_results.json` holds,
    /// read by [`EarlierBatches::from_json`]. A model that is not in it has the batches of any run.
    pub batches: BTreeMap<UniqueId, EarlierBatches>,
    /// `--defer`: the nodes that are read from another place than their own.
    pub deferred: Arc<HashMap<UniqueId, Relation>>,
    /// `--static-analysis`.
    pub types: TypeCheck,
}

impl RunSettings {
    /// What templates see as `flags`: hand them to the engine's settings, `should_full_refresh()` and its like read them.
    pub fn flags(&self) -> JsonMap {
        let flags = [
            ("FULL_REFRESH", Json::from(self.full_refresh)),
            ("STORE_FAILURES", Json::from(self.store_failures)),
            ("EMPTY", Json::from(self.empty)),
            ("FAIL_FAST", Json::from(self.fail_fast)),
            ("WARN_ERROR", Json::from(self.warn_error)),
            ("INTROSPECT", Json::from(!self.no_introspect)),
            ("WHICH", Json::from(self.which.as_str())),
        ];
        flags.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }
}

/// Everything one run needs. Cloning is cheap but for the plan.
#[derive(Clone)]
pub struct RunRequest {
    pub manifest: Arc<Manifest>,
    pub jinja: Arc<Jinja>,
    pub adapter: Arc<dyn Adapter>,
    pub project: Arc<Project>,
    pub plan: Plan,
    pub settings: RunSettings,
    pub events: Arc<dyn EventSink>,
    /// Cancelled on ctrl-C: running nodes stop, the rest are skipped.
    pub cancel: CancellationToken,
    pub world: Arc<dyn World>,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct RunOutcome {
    /// One a node and hook, in the order they ended; ephemeral models have none.
    pub results: Vec<NodeResult>,
    /// What compiling gave, ephemeral models included, for the manifest artifact.
    pub compiled: IndexMap<UniqueId, Compiled>,
    /// Seconds.
    pub elapsed: f64,
    /// Ended by the user before all was done.
    pub interrupted: bool,
}

/// Runs the plan. Must be called within a Tokio runtime; its blocking threads render the Jinja.
pub async fn run(run: RunRequest) -> RunOutcome {
    if run.plan.verb == Verb::Compile {
        return compile_only(run).await;
    }
    let started = Instant::now();
    let mut session = Session::new(run);
    session.announce();
    prepare::prepare(&mut session).await;
    let session = Arc::new(session);
    let mut results = hook::on_run_start(&session).await;
    let start_failed = results.iter().any(NodeResult::is_failure);
    if start_failed && session.flag("skip_nodes_if_on_run_start_fails") {
        results.extend(scheduler::skip_all(&session));
    } else {
        results.extend(scheduler::walk(&session).await);
    }
    if !session.run.cancel.is_cancelled() {
        let ended = hook::on_run_end(&session, &results).await;
        results.extend(ended);
    }
    finish(&session, results, started)
}

/// The `compile` verb: renders every node of the plan and writes `target/compiled`; builds nothing.
pub async fn compile_only(run: RunRequest) -> RunOutcome {
    let started = Instant::now();
    let session = Session::new(run);
    session.announce();
    let session = Arc::new(session);
    let results = scheduler::walk(&session).await;
    finish(&session, results, started)
}

/// Where the columns of the plan's nodes, and of all above them, come from. Builds nothing, writes nothing; a node whose SQL
/// cannot be planned is left out.
pub async fn column_lineage(run: RunRequest) -> IndexMap<UniqueId, Arc<NodeLineage>> {
    let session = Session::new(run);
    session.lineage().await
}

fn finish(session: &Session, results: Vec<NodeResult>, started: Instant) -> RunOutcome {
    let elapsed = started.elapsed().as_secs_f64();
    let summary = Summary::of(&results);
    let interrupted = session.run.cancel.is_cancelled();
    session.run.events.emit(Event::RunFinished { elapsed, summary, results: results.clone(), interrupted });
    RunOutcome { results, compiled: session.compiled_nodes(), elapsed, interrupted }
}
