//! Where lines go: the console, or the log file of the project. One sink carries every event to both, with the rules for
//! warnings applied on the way.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use headwater::diagnostic::Diagnostic;
use headwater::event::{Event, EventSink};
use headwater::project::MASK;

use crate::cli::settings::LOG_NAME;
use crate::cli::warning::{self, WarningRules};

/// A log file that has grown beyond this many bytes is set aside as `headwater.log.1` before the next run writes.
const LOG_LIMIT_BYTES: u64 = 10 << 20;

/// Where a printer's lines go. Values of secret variables are masked in them, whatever tells them.
pub struct Output {
    place: Place,
    secrets: Arc<[String]>,
}

enum Place {
    Console,
    File(Mutex<File>),
}

impl Output {
    pub fn console(secrets: Arc<[String]>) -> Self {
        Self { place: Place::Console, secrets }
    }

    /// The log file in `folder`, made where there is none. A folder that cannot be written is no reason to stop.
    pub fn log(folder: &Path, secrets: Arc<[String]>) -> Option<Self> {
        let path = folder.join(LOG_NAME);
        std::fs::create_dir_all(folder).ok()?;
        if std::fs::metadata(&path).is_ok_and(|data| data.len() > LOG_LIMIT_BYTES) {
            std::fs::rename(&path, folder.join(format!("{LOG_NAME}.1"))).ok()?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).ok()?;
        Some(Self { place: Place::File(Mutex::new(file)), secrets })
    }

    /// A line as it is. A closed pipe or a full disk ends the output, not the run.
    pub fn line(&self, text: &str) {
        let mut text = format!("{text}\n");
        for secret in self.secrets.iter() {
            if text.contains(secret) {
                text = text.replace(secret, MASK);
            }
        }
        let _ = match &self.place {
            Place::Console => std::io::stdout().lock().write_all(text.as_bytes()),
            Place::File(file) => file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(text.as_bytes()),
        };
    }

    pub fn is_console(&self) -> bool {
        matches!(self.place, Place::Console)
    }
}

/// Every place an invocation tells of itself.
pub struct Outputs {
    sinks: Vec<Box<dyn EventSink>>,
    rules: WarningRules,
    /// Whether `print()` is shown.
    print: bool,
    fatal: AtomicBool,
    /// How often each deprecation was met, by dbt's name.
    deprecations: Mutex<BTreeMap<&'static str, usize>>,
}

impl Outputs {
    pub fn new(sinks: Vec<Box<dyn EventSink>>, rules: WarningRules, print: bool) -> Self {
        Self { sinks, rules, print, fatal: AtomicBool::new(false), deprecations: Mutex::default() }
    }

    /// Counts a deprecation; whether it is to be shown: the first of its kind is, and all where that is asked for.
    fn is_shown(&self, code: &str) -> bool {
        let Some(name) = warning::deprecation(code) else { return true };
        let mut met = self.deprecations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = met.entry(name).or_default();
        *count += 1;
        *count == 1 || self.rules.all_deprecations
    }

    fn pass_on(&self, event: Event) {
        if let Some((last, others)) = self.sinks.split_last() {
            for sink in others {
                sink.emit(event.clone());
            }
            last.emit(event);
        }
    }

    /// Whether an error was told, or a warning that counts as one.
    pub fn is_fatal(&self) -> bool {
        self.fatal.load(Ordering::Relaxed)
    }
}

impl EventSink for Outputs {
    fn emit(&self, event: Event) {
        let event = match event {
            Event::Diagnostic(diagnostic) => {
                let Some(diagnostic) = self.rules.apply(diagnostic) else { return };
                if !diagnostic.is_error() && !self.is_shown(diagnostic.code) {
                    return;
                }
                self.fatal.fetch_or(diagnostic.is_error(), Ordering::Relaxed);
                Event::Diagnostic(diagnostic)
            }
            Event::Print { .. } if !self.print => return,
            other => other,
        };
        self.pass_on(event);
    }
}

/// The last word of an invocation, as in dbt: which deprecations were met, where more than what was shown.
impl Drop for Outputs {
    fn drop(&mut self) {
        let met = std::mem::take(&mut *self.deprecations.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if self.rules.all_deprecations || met.values().all(|count| *count == 1) {
            return;
        }
        let plural = |count: usize| if count == 1 { "occurrence" } else { "occurrences" };
        let summary = met.iter().map(|(name, count)| format!("{name}: {count} {}", plural(*count)));
        let message = format!("what dbt deprecates, in all: {}", summary.collect::<Vec<_>>().join(", "));
        let help = "see every place with `--show-all-deprecations`";
        self.pass_on(Event::Diagnostic(Diagnostic::warning("deprecations", message).help(help)));
    }
}
