//! The console: events as lines of text with a progress bar on a terminal, in dbt's words.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::args::LogLevel;
use crate::cli::render;
use crate::cli::style::Style;
use headwater::event::{Event, EventSink, NodeInfo, Summary};
use headwater::name::ResourceType;
use headwater::result::{NodeResult, Status};

/// Width to which a node's line is filled with dots, as dbt does.
const LINE_WIDTH: usize = 80;

/// Prints events as text.
pub struct TextPrinter {
    level: LogLevel,
    style: Style,
    root: PathBuf,
    target_name: String,
    /// Nodes are only compiled: dbt then tells of those that fail alone.
    compiles: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    running: BTreeMap<usize, String>,
    /// Files of the nodes seen, for the list of failures at the end.
    nodes: BTreeMap<String, NodeInfo>,
}

impl TextPrinter {
    /// `root` is where the places of diagnostics are read from.
    pub fn new(level: LogLevel, style: Style, root: PathBuf, target_name: String) -> Self {
        Self { level, style, root, target_name, compiles: false, state: Mutex::new(State::default()) }
    }

    /// For commands that only compile nodes: no line for a node that compiles, no summary where all do.
    pub fn compiling(self, compiles: bool) -> Self {
        Self { compiles, ..self }
    }

    fn line(&self, level: LogLevel, text: &str) {
        if level >= self.level {
            let now = chrono::Local::now().format("%H:%M:%S");
            self.print(&format!("{}  {text}", self.style.dim(&now.to_string())));
        }
    }

    /// A line as it is, above the progress bar where there is one.
    fn print(&self, text: &str) {
        let state = self.lock();
        let print = || {
            // A closed pipe ends the output, not the run.
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        };
        match &state.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn started(&self, counts: &[(ResourceType, usize)], threads: usize) {
        self.line(LogLevel::Info, &format!("Found {}", counted(counts)));
        self.line(LogLevel::Info, "");
        self.line(LogLevel::Info, &format!("Concurrency: {threads} threads (target='{}')", self.target_name));
        self.line(LogLevel::Info, "");
    }

    fn node_started(&self, index: usize, total: usize, node: &NodeInfo) {
        let text = format!("{index} of {total} START {}", describe(node));
        self.line(LogLevel::Debug, &format!("{} [RUN]", dotted(&text)));
        let wants_bar = self.level <= LogLevel::Info && std::io::stdout().is_terminal();
        let mut state = self.lock();
        state.nodes.insert(node.unique_id.to_string(), node.clone());
        state.running.insert(index, node.name.clone());
        if wants_bar && state.bar.is_none() {
            state.bar = Some(progress_bar(total as u64));
        }
        show_running(&state);
    }

    fn node_finished(&self, index: usize, total: usize, node: &NodeInfo, result: &NodeResult) {
        {
            let mut state = self.lock();
            state.nodes.insert(node.unique_id.to_string(), node.clone());
            state.running.remove(&index);
            if let Some(bar) = &state.bar {
                bar.inc(1);
            }
            show_running(&state);
        }
        let (level, text, outcome) = outcome(node, result, self.style);
        let level = if self.compiles && !result.is_failure() { LogLevel::Debug } else { level };
        let head = dotted(&format!("{index} of {total} {text}"));
        let time = format!(" in {:.2}s", result.execution_time);
        let time = if result.status == Status::Skipped { "" } else { &time };
        self.line(level, &format!("{head} [{outcome}{time}]"));
    }

    fn finished(&self, elapsed: f64, summary: &Summary, results: &[NodeResult], interrupted: bool) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
        let bad = summary.error > 0 || interrupted;
        if self.compiles && !bad {
            return;
        }
        let level = if bad { LogLevel::Error } else { LogLevel::Info };
        self.line(LogLevel::Info, "");
        self.line(LogLevel::Info, &format!("Finished running {} in {}.", self.kinds(results), duration(elapsed)));
        self.line(LogLevel::Info, "");
        let verdict = if interrupted { self.style.red("Interrupted before all was done") } else { self.verdict(summary) };
        self.line(level, &verdict);
        for result in results.iter().filter(|r| r.is_failure() || r.status == Status::Warn) {
            self.failure(result);
        }
        self.line(LogLevel::Info, "");
        let counts = format!(
            "Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP={} TOTAL={}",
            summary.pass, summary.warn, summary.error, summary.skip, summary.no_op, summary.total
        );
        self.line(LogLevel::Info, &counts);
    }

    /// `1 exposure, 4 table models, 56 data tests`, in the order of dbt's own names for them.
    fn kinds(&self, results: &[NodeResult]) -> String {
        let state = self.lock();
        let mut counts: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for node in results.iter().filter_map(|result| state.nodes.get(result.unique_id.as_str())) {
            let (key, word) = match node.resource_type {
                ResourceType::Model => (format!("{} model", node.materialized), format!("{} model", node.materialized)),
                kind => (kind.as_str().to_string(), kind_word(kind)),
            };
            counts.entry(key).or_insert((word, 0)).1 += 1;
        }
        counts.values().map(|(word, count)| plural(*count, word)).collect::<Vec<_>>().join(", ")
    }

    fn verdict(&self, summary: &Summary) -> String {
        if summary.error == 0 && summary.warn == 0 {
            return self.style.green("Completed successfully");
        }
        let text = format!(
            "Completed with {}, 0 partial successes, and {}:",
            plural(summary.error, "error"),
            plural(summary.warn, "warning")
        );
        if summary.error > 0 { self.style.red(&text) } else { self.style.yellow(&text) }
    }

    fn failure(&self, result: &NodeResult) {
        let node = self.lock().nodes.get(result.unique_id.as_str()).cloned();
        let (kind, name, path) = match &node {
            Some(node) => (node.resource_type.as_str(), node.name.as_str(), node.original_file_path.as_str()),
            None => ("node", result.unique_id.as_str(), ""),
        };
        let (word, level) = match result.status {
            Status::Warn => (self.style.yellow("Warning"), LogLevel::Warn),
            Status::Fail => (self.style.red("Failure"), LogLevel::Error),
            _ => (self.style.red("Error"), LogLevel::Error),
        };
        self.line(level, "");
        self.line(level, &format!("{word} in {kind} {name} ({path})"));
        for line in result.message.as_deref().unwrap_or_default().lines() {
            self.line(level, &format!("  {line}"));
        }
    }
}

impl EventSink for TextPrinter {
    fn emit(&self, event: Event) {
        match event {
            Event::Diagnostic(diagnostic) => {
                let level = if diagnostic.is_error() { LogLevel::Error } else { LogLevel::Warn };
                self.line(level, &render::diagnostic(&diagnostic, &self.root, self.style));
            }
            Event::Message { text, info } => {
                self.line(if info { LogLevel::Info } else { LogLevel::Debug }, &text);
            }
            Event::Print { text } => self.print(&text),
            Event::RunStarted { counts, threads } => self.started(&counts, threads),
            Event::NodeStarted { index, total, node } => self.node_started(index, total, &node),
            Event::NodeFinished { index, total, node, result } => self.node_finished(index, total, &node, &result),
            Event::RunFinished { elapsed, summary, results, interrupted } => {
                self.finished(elapsed, &summary, &results, interrupted);
            }
        }
    }
}

fn progress_bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stdout());
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show_running(state: &State) {
    if let Some(bar) = &state.bar {
        bar.set_message(state.running.values().cloned().collect::<Vec<_>>().join(", "));
    }
}

fn dotted(text: &str) -> String {
    let dots = LINE_WIDTH.saturating_sub(text.chars().count() + 1).max(3);
    format!("{text} {}", ".".repeat(dots))
}

/// `view model main.stg_orders`, `test not_null_x`, `seed file main.raw`.
fn describe(node: &NodeInfo) -> String {
    match node.resource_type {
        ResourceType::Model => format!("sql {} model {}", node.materialized, node.display_name),
        ResourceType::Seed => format!("seed file {}", node.display_name),
        ResourceType::Operation => format!("hook: {}", node.display_name),
        kind => format!("{kind} {}", node.display_name),
    }
}

/// The level, the words before the dots and the words in brackets of a finished node's line.
fn outcome(node: &NodeInfo, result: &NodeResult, style: Style) -> (LogLevel, String, String) {
    if node.resource_type == ResourceType::Source {
        return freshness(node, result, style);
    }
    let what = describe(node);
    let message = result.message.clone().unwrap_or_default();
    let failures = result.failures.unwrap_or_default();
    match result.status {
        Status::Success => {
            let verb = match node.resource_type {
                ResourceType::Seed => "OK loaded",
                ResourceType::Snapshot => "OK snapshotted",
                ResourceType::Operation => "OK",
                _ => "OK created",
            };
            let message = if message.is_empty() { "OK".to_string() } else { message };
            (LogLevel::Info, format!("{verb} {what}"), style.green(&message))
        }
        Status::Pass => (LogLevel::Info, format!("PASS {}", node.display_name), style.green("PASS")),
        Status::NoOp => (LogLevel::Info, format!("NO-OP {what}"), "NO-OP".to_string()),
        Status::Warn => {
            (LogLevel::Warn, format!("WARN {failures} {}", node.display_name), style.yellow(&format!("WARN {failures}")))
        }
        Status::Fail => {
            (LogLevel::Error, format!("FAIL {failures} {}", node.display_name), style.red(&format!("FAIL {failures}")))
        }
        Status::Skipped => {
            let kind = if node.resource_type == ResourceType::Test { "test" } else { "relation" };
            (LogLevel::Info, format!("SKIP {kind} {}", node.display_name), style.yellow("SKIP"))
        }
        Status::Error | Status::RuntimeError | Status::PartialSuccess => {
            let verb = if node.resource_type == ResourceType::Test { "ERROR" } else { "ERROR creating" };
            (LogLevel::Error, format!("{verb} {what}"), style.red("ERROR"))
        }
    }
}

/// The same for a source whose freshness was checked.
fn freshness(node: &NodeInfo, result: &NodeResult, style: Style) -> (LogLevel, String, String) {
    let (level, word, outcome) = match result.status {
        Status::Pass => (LogLevel::Info, "PASS", style.green("PASS")),
        Status::Warn => (LogLevel::Warn, "WARN", style.yellow("WARN")),
        Status::Error => (LogLevel::Error, "ERROR STALE", style.red("ERROR STALE")),
        _ => (LogLevel::Error, "ERROR", style.red("ERROR")),
    };
    (level, format!("{word} freshness of {}", node.display_name), outcome)
}

/// `9 models, 1 seed, 57 data tests`.
pub fn counted(counts: &[(ResourceType, usize)]) -> String {
    counts.iter().map(|(kind, count)| plural(*count, &kind_word(*kind))).collect::<Vec<_>>().join(", ")
}

fn kind_word(kind: ResourceType) -> String {
    match kind {
        ResourceType::Test => "data test".to_string(),
        ResourceType::Operation => "project hook".to_string(),
        other => other.as_str().replace('_', " "),
    }
}

fn plural(count: usize, word: &str) -> String {
    match (count, word.strip_suffix("query"), word.strip_suffix("analysis")) {
        (1, _, _) => format!("1 {word}"),
        (_, Some(stem), _) => format!("{count} {stem}queries"),
        (_, _, Some(stem)) => format!("{count} {stem}analyses"),
        _ => format!("{count} {word}s"),
    }
}

/// `0 hours 1 minutes and 5.25 seconds (65.25s)`.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).floor();
    let (hours, rest) = ((minutes / 60.0).floor(), seconds - minutes * 60.0);
    format!("{hours} hours {} minutes and {rest:.2} seconds ({seconds:.2}s)", minutes - hours * 60.0)
}
