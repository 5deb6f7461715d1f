//! Times of one node's work, as `run_results.json` wants them.

use std::future::Future;
use std::time::Instant;

use chrono::SecondsFormat;

use crate::result::Timing;
use crate::world::World;

/// A stopwatch that notes stretches of work.
pub(super) struct Clock {
    started: Instant,
    pub timing: Vec<Timing>,
}

impl Clock {
    pub fn start() -> Self {
        Self { started: Instant::now(), timing: Vec::new() }
    }

    /// Seconds since the start.
    pub fn elapsed(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Runs `work` and notes when it began and ended under `name`, also when it fails.
    pub async fn time<T>(&mut self, name: &str, world: &dyn World, work: impl Future<Output = T>) -> T {
        let started_at = Some(now(world));
        let value = work.await;
        self.timing.push(Timing { name: name.to_string(), started_at, completed_at: Some(now(world)) });
        value
    }
}

/// RFC 3339, UTC, microseconds.
pub(super) fn now(world: &dyn World) -> String {
    world.now().to_rfc3339_opts(SecondsFormat::Micros, true)
}
