//! `materialized_view`: the query's rows as they were at the last run. The embedded engine keeps them in a table, which each run
//! refreshes as a whole, so that a changed query or config is simply applied.

use super::{Input, Work};
use crate::diagnostic::{Diagnostic, Outcome};

const CHANGES: [&str; 3] = ["apply", "continue", "fail"];

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    let change = input.node.config_str("on_configuration_change").unwrap_or("apply");
    if !CHANGES.contains(&change) {
        return Diagnostic::error("on-configuration-change", format!("Invalid value for on_configuration_change: `{change}`"))
            .at(input.node.location.clone())
            .suggest(change, CHANGES)
            .help(format!("expected one of {}", CHANGES.join(", ")))
            .fail();
    }
    Ok(Work::of(input.table_as()))
}
