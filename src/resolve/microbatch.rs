//! What a microbatch model has to say of itself before it can run: `event_time`, `begin` and `batch_size`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Timelike};
use serde_json::Value as Json;

use crate::diagnostic::Diagnostic;
use crate::manifest::Node;

use super::Resolver;

const SIZES: [&str; 4] = ["hour", "day", "month", "year"];

impl Resolver<'_> {
    /// Checks the models with the strategy `microbatch`, and writes their `begin` as a time.
    pub(super) fn check_microbatch(&mut self) {
        for node in self.manifest.nodes.values_mut() {
            let strategy = node.config_str("incremental_strategy");
            if node.materialized() != "incremental" || strategy != Some("microbatch") {
                continue;
            }
            match check(node) {
                Ok(begin) => _ = node.config.insert("begin".to_string(), Json::from(begin)),
                Err(reason) => {
                    let message = format!("the microbatch model `{}` {reason}", node.name);
                    let mistake = Diagnostic::error("microbatch-config", message).at(node.location.clone());
                    self.diagnostics.push(mistake.help("it needs `event_time` (a column), `begin` (a date) and `batch_size`"));
                }
            }
        }
    }
}

/// The beginning as dbt keeps it, or what is wrong.
fn check(node: &Node) -> Result<String, String> {
    let given = |key: &str| node.config.get(key).filter(|value| !value.is_null());
    let text = |key: &str| match given(key) {
        None => Err(format!("has no `{key}`")),
        Some(Json::String(text)) => Ok(text.as_str()),
        Some(other) => Err(format!("has `{key}: {other}`, which is no text")),
    };
    text("event_time")?;
    let begin = text("begin")?;
    let begin = iso(begin).ok_or_else(|| format!("has `begin: {begin}`, which is no date or time such as 2024-01-31"))?;
    let size = text("batch_size")?;
    if !SIZES.contains(&size) {
        return Err(format!("has `batch_size: {size}`; expected one of {}", SIZES.join(", ")));
    }
    if let Some(other) = given("lookback").filter(|value| !value.is_i64()) {
        return Err(format!("has `lookback: {other}`, which is no whole number"));
    }
    match given("concurrent_batches").filter(|value| !value.is_boolean()) {
        Some(other) => Err(format!("has `concurrent_batches: {other}`, which is neither true nor false")),
        None => Ok(begin),
    }
}

/// A date or time in ISO form, as Python's `fromisoformat` reads and `isoformat` writes it.
fn iso(text: &str) -> Option<String> {
    let text = text.trim().replacen(' ', "T", 1);
    let digits = |nanoseconds: u32| if nanoseconds == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
        return Some(at.to_rfc3339_opts(digits(at.nanosecond()), false));
    }
    let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    let time =
        || ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"].iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    let at = date.or_else(time)?;
    let form = if at.nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" };
    Some(at.format(form).to_string())
}
