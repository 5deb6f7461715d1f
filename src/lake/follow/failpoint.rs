//! Places at which tests end the process as a power cut would. Only debug builds have them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// `HEADWATER_FAILPOINT=before-commit:3` ends the process when it comes there for the third time.
const VARIABLE: &str = "HEADWATER_FAILPOINT";

static WANTED: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();

/// Says that the process is at a place that has a name.
pub fn reached(place: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (place, times) = text.split_once(':')?;
        Some((place.to_string(), AtomicU32::new(times.parse().ok()?)))
    });
    if let Some((named, left)) = wanted
        && named == place
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
