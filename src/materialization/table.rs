//! `table`: the query's rows, written anew each time in one commit.

use super::{Input, Work};
use crate::diagnostic::Outcome;

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    Ok(Work::of(input.table_as()))
}
