//! `ephemeral`: nothing is built; those who read it carry it as a CTE.

use super::{Input, Work};
use crate::diagnostic::Outcome;

pub(super) fn plan(_input: &Input<'_>) -> Outcome<Work> {
    Ok(Work::default())
}
