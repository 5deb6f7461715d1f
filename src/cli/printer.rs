//! Events as lines of text in dbt's words: on the console, with a progress bar where it is a terminal, or in the log file.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::args::LogLevel;
use crate::cli::line::{self, Manner};
use crate::cli::output::Output;
use crate::cli::render;
use headwater::event::{BatchInfo, Event, EventSink, NodeInfo, Summary};
use headwater::name::ResourceType;
use headwater::result::{NodeResult, Status};

/// Prints events as text.
pub struct TextPrinter {
    pub level: LogLevel,
    pub manner: Manner,
    /// Where the places of diagnostics are read from.
    pub root: PathBuf,
    pub target_name: String,
    pub output: Output,
    pub state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    bar: Option<ProgressBar>,
    running: BTreeMap<usize, String>,
    /// The nodes seen, for the list of failures at the end.
    nodes: BTreeMap<String, NodeInfo>,
}

impl TextPrinter {
    fn line(&self, level: LogLevel, text: &str) {
        if level < self.level {
            return;
        }
        let now = chrono::Local::now();
        if self.output.is_console() {
            self.print(&format!("{}  {text}", self.manner.style.dim(&now.format("%H:%M:%S").to_string())));
        } else {
            self.print(&format!("{} [{}] {text}", now.format("%H:%M:%S%.6f"), level.word()));
        }
    }

    /// A line as it is, above the progress bar where there is one.
    fn print(&self, text: &str) {
        let state = self.lock();
        match &state.bar {
            Some(bar) => bar.suspend(|| self.output.line(text)),
            None => self.output.line(text),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn run_started(&self, counts: &[(ResourceType, usize)], threads: usize) {
        self.line(LogLevel::Info, &format!("Found {}", line::counted(counts)));
        self.line(LogLevel::Info, "");
        self.line(LogLevel::Info, &format!("Concurrency: {threads} threads (target='{}')", self.target_name));
        self.line(LogLevel::Info, "");
    }

    fn node_started(&self, index: usize, total: usize, node: &NodeInfo) {
        self.line(LogLevel::Debug, &line::started(index, total, node, self.manner));
        let wants_bar = self.output.is_console() && self.level <= LogLevel::Info && std::io::stdout().is_terminal();
        let mut state = self.lock();
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
        let (level, text) = line::finished(index, total, node, result, self.manner);
        self.line(level, &text);
    }

    /// A batch's line; the reason of a failure stands below it, since the model's own result only counts the batches.
    fn batch_finished(&self, batch: &BatchInfo, result: &NodeResult) {
        let (level, text) = line::batch_finished(batch, result, self.manner);
        self.line(level, &text);
        if result.status == Status::Error {
            for line in result.message.as_deref().unwrap_or_default().lines() {
                self.line(level, &format!("  {line}"));
            }
        }
    }

    fn run_finished(&self, elapsed: f64, summary: &Summary, results: &[NodeResult], interrupted: bool) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
        let seen = |result: &NodeResult| self.lock().nodes.get(result.unique_id.as_str()).cloned();
        let nodes: Vec<NodeInfo> = results.iter().filter_map(seen).collect();
        let bad = summary.error > 0 || interrupted;
        // Compiling ends without a word where all is well.
        let level = if self.manner.compiling { LogLevel::Debug } else { LogLevel::Info };
        let blank = if bad { LogLevel::Info } else { level };
        self.line(level, "");
        self.line(level, &line::elapsed(nodes.iter(), elapsed));
        self.line(blank, "");
        self.line(if bad { LogLevel::Error } else { level }, &line::verdict(summary, interrupted, self.manner.style));
        for result in results.iter().filter(|r| r.is_failure() || r.status == Status::Warn) {
            self.failure(result);
        }
        self.line(blank, "");
        self.line(blank, &line::done(summary));
    }

    fn failure(&self, result: &NodeResult) {
        let node = self.lock().nodes.get(result.unique_id.as_str()).cloned();
        let (kind, name, path) = match &node {
            Some(node) => (node.resource_type.as_str(), node.name.as_str(), node.original_file_path.as_str()),
            None => ("node", result.unique_id.as_str(), ""),
        };
        let style = self.manner.style;
        let (word, level) = match result.status {
            Status::Warn => (style.yellow("Warning"), LogLevel::Warn),
            Status::Fail => (style.red("Failure"), LogLevel::Error),
            _ => (style.red("Error"), LogLevel::Error),
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
                self.line(level, &render::diagnostic(&diagnostic, &self.root, self.manner.style));
            }
            Event::Message { text, info } => {
                self.line(if info { LogLevel::Info } else { LogLevel::Debug }, &text);
            }
            Event::Statement { connection, sql } => self.line(LogLevel::Debug, &line::statement(&connection, &sql)),
            Event::Print { text } if self.output.is_console() => self.print(&text),
            Event::Print { text } => self.line(LogLevel::Info, &text),
            Event::RunStarted { counts, threads } => self.run_started(&counts, threads),
            Event::NodeStarted { index, total, node } => self.node_started(index, total, &node),
            Event::NodeFinished { index, total, node, result } => self.node_finished(index, total, &node, &result),
            Event::BatchStarted(batch) => self.line(LogLevel::Debug, &line::batch_started(&batch, self.manner)),
            Event::BatchFinished { batch, result } => self.batch_finished(&batch, &result),
            Event::RunFinished { elapsed, summary, results, interrupted } => {
                self.run_finished(elapsed, &summary, &results, interrupted);
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
