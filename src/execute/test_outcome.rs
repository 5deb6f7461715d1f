//! How a data test ended, from its counted row.

use crate::manifest::Node;
use crate::result::Status;
use crate::rows::{Cell, Rows};

/// A test's status, its message, and how many rows failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub status: Status,
    pub message: Option<String>,
    pub failures: i64,
}

/// Decides as dbt does: `error_if` under severity error, else `warn_if`; `warn_error` makes a warning fail.
pub fn judge(node: &Node, counted: &Counted, warn_error: bool) -> Verdict {
    let threshold = |key| node.config_str(key).unwrap_or("!= 0");
    let is_error = node.config_str("severity").unwrap_or("error").eq_ignore_ascii_case("error");
    let noun = if counted.failures == 1 { "result" } else { "results" };
    let got = |verb: &str, key| Some(format!("Got {} {noun}, configured to {verb} if {}", counted.failures, threshold(key)));
    let failures = counted.failures;
    if is_error && counted.should_error {
        Verdict { status: Status::Fail, message: got("fail", "error_if"), failures }
    } else if counted.should_warn && warn_error {
        Verdict { status: Status::Fail, message: got("fail", "warn_if"), failures }
    } else if counted.should_warn {
        Verdict { status: Status::Warn, message: got("warn", "warn_if"), failures }
    } else {
        Verdict { status: Status::Pass, message: None, failures: 0 }
    }
}

/// The one row a test's counting query gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub failures: i64,
    pub should_warn: bool,
    pub should_error: bool,
}

impl Counted {
    /// Reads the row; the error says in words what was not as expected.
    pub(super) fn read(node: &Node, rows: &Rows) -> Result<Self, String> {
        let [row] = rows.rows.as_slice() else {
            return Err(format!("the test's counting query gave {} rows instead of 1", rows.rows.len()));
        };
        Self::read_row(node, row)
    }

    /// Reads failures, should_warn and should_error.
    pub(super) fn read_row(node: &Node, row: &[Cell]) -> Result<Self, String> {
        let [failures, should_warn, should_error] = row else {
            return Err(format!("the test's counting query gave {} columns instead of 3", row.len()));
        };
        let failures = integer(failures).ok_or_else(|| {
            let calc = node.config_str("fail_calc").unwrap_or("count(*)");
            let shown = if *failures == Cell::Null { "null".to_string() } else { format!("`{}`", failures.display()) };
            format!(
                "the test's `fail_calc` `{calc}` gave {shown}, not a whole number\nhelp: an aggregate over no rows is null; write \
                 coalesce({calc}, 0)"
            )
        })?;
        Ok(Self { failures, should_warn: truth(should_warn), should_error: truth(should_error) })
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(value) => Some(*value),
        Cell::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
        Cell::Decimal(text) | Cell::Text(text) => {
            let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
            whole.parse().ok().filter(|_| fraction.chars().all(|digit| digit == '0'))
        }
        _ => None,
    }
}

fn truth(cell: &Cell) -> bool {
    match cell {
        Cell::Boolean(value) => *value,
        Cell::Integer(value) => *value != 0,
        Cell::Text(text) => matches!(text.to_lowercase().as_str(), "true" | "t" | "yes" | "y" | "on" | "1"),
        _ => false,
    }
}
