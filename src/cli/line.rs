//! The words of a run's lines, in dbt's form: what text output, JSON logs and the log file say alike.

use headwater::event::{BatchInfo, NodeInfo, Summary};
use headwater::name::ResourceType;
use headwater::result::{NodeResult, Status};

use crate::cli::args::LogLevel;
use crate::cli::style::Style;

/// How a printer writes: colours, the width a line is filled to, and whether nodes are only compiled.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub style: Style,
    pub width: usize,
    pub compiling: bool,
}

/// A statement that goes to the database.
pub fn statement(connection: &str, sql: &str) -> String {
    format!("On {connection}: {sql}")
}

/// `2 of 7 START sql view model main.stg_orders ........ [RUN]`.
pub fn started(index: usize, total: usize, node: &NodeInfo, manner: Manner) -> String {
    format!("{} [RUN]", dotted(&format!("{index} of {total} START {}", describe(node)), manner.width))
}

/// The level and the text of a finished node's line.
pub fn finished(index: usize, total: usize, node: &NodeInfo, result: &NodeResult, manner: Manner) -> (LogLevel, String) {
    let (level, text, outcome) = outcome(node, result, manner);
    let head = dotted(&format!("{index} of {total} {text}"), manner.width);
    let time = format!(" in {:.2}s", result.execution_time);
    let time = if result.status == Status::Skipped { "" } else { &time };
    (level, format!("{head} [{outcome}{time}]"))
}

/// `Batch 1 of 4 START batch 2024-09-17 of main.events ........ [RUN]`.
pub fn batch_started(batch: &BatchInfo, manner: Manner) -> String {
    let text = format!("{} of {} START batch {} of {}", batch.index, batch.total, batch.label, batch.node.display_name);
    format!("Batch {} [RUN]", dotted(&text, manner.width))
}

/// The level and the text of a finished batch's line.
pub fn batch_finished(batch: &BatchInfo, result: &NodeResult, manner: Manner) -> (LogLevel, String) {
    let style = manner.style;
    let message = result.message.as_deref().unwrap_or_default();
    let (level, words, outcome) = match result.status {
        Status::Success => (LogLevel::Info, "OK created", style.green(message)),
        Status::Skipped => (LogLevel::Info, "SKIP", style.yellow("SKIPPED")),
        _ => (LogLevel::Error, "ERROR creating", style.red("ERROR")),
    };
    let text = format!("{} of {} {words} batch {} of {}", batch.index, batch.total, batch.label, batch.node.display_name);
    (level, format!("Batch {} [{outcome} in {:.2}s]", dotted(&text, manner.width), result.execution_time))
}

/// dbt's last line.
pub fn done(summary: &Summary) -> String {
    format!(
        "Done. PASS={} WARN={} ERROR={} SKIP={} NO-OP={} TOTAL={}",
        summary.pass, summary.warn, summary.error, summary.skip, summary.no_op, summary.total
    )
}

/// `Finished running 1 seed, 2 view models, 4 data tests in 0 hours 0 minutes and 0.55 seconds (0.55s).`
pub fn elapsed<'a>(nodes: impl Iterator<Item = &'a NodeInfo>, elapsed: f64) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for node in nodes {
        let kind = kind(node);
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    // dbt's order is that of its own names for the kinds, in which a data test is a `test`.
    counts.sort_by(|a, b| a.0.trim_start_matches("data ").cmp(b.0.trim_start_matches("data ")));
    let what: Vec<String> = counts.iter().map(|(kind, count)| plural(*count, kind)).collect();
    let what = if what.is_empty() { String::new() } else { format!(" {}", what.join(", ")) };
    let whole = elapsed as u64;
    let (hours, minutes) = (whole / 3600, whole % 3600 / 60);
    let seconds = elapsed - (hours * 3600 + minutes * 60) as f64;
    format!("Finished running{what} in {hours} hours {minutes} minutes and {seconds:.2} seconds ({elapsed:.2}s).")
}

/// How the run as a whole ended.
pub fn verdict(summary: &Summary, interrupted: bool, style: Style) -> String {
    if interrupted {
        return style.red("Interrupted before all was done");
    }
    if summary.error == 0 && summary.warn == 0 {
        return style.green("Completed successfully");
    }
    let partial = if summary.partial == 1 { "1 partial success" } else { &format!("{} partial successes", summary.partial) };
    let (errors, warnings) = (summary.error - summary.partial, plural(summary.warn, "warning"));
    if errors == 0 && summary.partial > 0 {
        return style.yellow(&format!("Completed with {partial} and {warnings}"));
    }
    let text = format!("Completed with {}, {partial}, and {warnings}:", plural(errors, "error"));
    if summary.error > 0 { style.red(&text) } else { style.yellow(&text) }
}

/// `9 models, 1 seed, 57 data tests`.
pub fn counted(counts: &[(ResourceType, usize)]) -> String {
    let words = counts.iter().map(|(kind, count)| {
        let name = match kind {
            ResourceType::Test => "data test".to_string(),
            ResourceType::UnitTest => "unit test".to_string(),
            ResourceType::Operation => "project hook".to_string(),
            ResourceType::SemanticModel => "semantic model".to_string(),
            ResourceType::SavedQuery if *count > 1 => return format!("{count} saved queries"),
            ResourceType::SavedQuery => "saved query".to_string(),
            ResourceType::Analysis if *count > 1 => return format!("{count} analyses"),
            other => other.as_str().to_string(),
        };
        plural(*count, &name)
    });
    words.collect::<Vec<_>>().join(", ")
}

/// `sql view model main.stg_orders`, `test not_null_x`, `seed file main.raw`.
pub fn describe(node: &NodeInfo) -> String {
    match node.resource_type {
        ResourceType::Model if node.is_microbatch => format!("sql microbatch model {}", node.display_name),
        ResourceType::Model => format!("sql {} model {}", node.materialized, node.display_name),
        ResourceType::Seed => format!("seed file {}", node.display_name),
        ResourceType::Operation => format!("hook: {}", node.display_name),
        kind => format!("{kind} {}", node.display_name),
    }
}

/// What a node is counted as when the run has ended.
fn kind(node: &NodeInfo) -> String {
    match node.resource_type {
        ResourceType::Model => format!("{} model", node.materialized),
        ResourceType::Test => "data test".to_string(),
        ResourceType::UnitTest => "unit test".to_string(),
        ResourceType::Operation => "project hook".to_string(),
        other => other.as_str().replace('_', " "),
    }
}

/// What an ended node is called after its verb; that says already that it is a snapshot.
fn subject(node: &NodeInfo) -> String {
    match node.resource_type {
        ResourceType::Snapshot => node.display_name.clone(),
        _ => describe(node),
    }
}

fn dotted(text: &str, width: usize) -> String {
    let dots = width.saturating_sub(text.chars().count() + 1).max(3);
    format!("{text} {}", ".".repeat(dots))
}

/// The level, the words before the dots and the words in brackets of a finished node's line.
fn outcome(node: &NodeInfo, result: &NodeResult, manner: Manner) -> (LogLevel, String, String) {
    if node.resource_type == ResourceType::Source {
        return freshness(node, result, manner.style);
    }
    let (what, style) = (subject(node), manner.style);
    let failures = result.failures.unwrap_or_default();
    match result.status {
        Status::Success if manner.compiling => (LogLevel::Debug, format!("OK compiled {what}"), style.green("OK")),
        Status::Success => {
            let verb = match node.resource_type {
                ResourceType::Seed => "OK loaded",
                ResourceType::Snapshot => "OK snapshotted",
                ResourceType::Operation => "OK",
                _ => "OK created",
            };
            let message = result.message.clone().filter(|message| !message.is_empty()).unwrap_or_else(|| "OK".to_string());
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
            let kind = match node.resource_type {
                ResourceType::Test => "test",
                ResourceType::UnitTest => "unit_test",
                _ => "relation",
            };
            let name = if kind == "unit_test" { &node.name } else { &node.display_name };
            (LogLevel::Info, format!("SKIP {kind} {name}"), style.yellow("SKIP"))
        }
        Status::PartialSuccess => {
            let message = result.message.clone().unwrap_or_default();
            (LogLevel::Info, format!("PARTIALLY created {what}"), style.yellow(&message))
        }
        Status::Error | Status::RuntimeError => {
            let verb = match node.resource_type {
                _ if manner.compiling => "ERROR compiling",
                ResourceType::Test => "ERROR",
                ResourceType::Seed => "ERROR loading",
                ResourceType::Snapshot => "ERROR snapshotting",
                ResourceType::UnitTest => {
                    return (LogLevel::Error, format!("ERROR {}", node.display_name), style.red("ERROR"));
                }
                _ => "ERROR creating",
            };
            (LogLevel::Error, format!("{verb} {what}"), style.red("ERROR"))
        }
    }
}

fn plural(count: usize, word: &str) -> String {
    match word.strip_suffix('y') {
        _ if count == 1 => format!("1 {word}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {word}s"),
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
