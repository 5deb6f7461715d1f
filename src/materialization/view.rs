//! `view`: the query under a name. Replaces whatever had the name.

use super::{Input, Work, description};
use crate::adapter::Operation;
use crate::diagnostic::Outcome;

pub(super) fn plan(input: &Input<'_>) -> Outcome<Work> {
    Ok(Work::of(Operation::CreateView {
        relation: input.compiled.relation.clone(),
        sql: input.compiled.sql.clone(),
        description: description(input.node),
    }))
}
