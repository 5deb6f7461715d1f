//! SQL as dbt projects for PostgreSQL, Redshift, Snowflake and DuckDB write it, planned on DataFusion with the meaning it has
//! there.
//!
//! ```text
//! text ──parse──▶ Statement ──rewrite──▶ Statement ──plan──▶ LogicalPlan
//! ```
//!
//! Where systems differ PostgreSQL's meaning is taken, then Redshift's. `docs/sql.md` lists what runs and what differs.

mod command;
mod dialect;
mod explain;
mod failed_cast;
mod function;
mod lineage;
mod operator;
mod parse;
mod plan;
mod rewrite;
mod sorted_input;
mod travel;
mod types;
mod user_function;

use std::fmt;

use sqlparser::ast::Statement;

pub use command::{AlterColumn, Column, Command, Drop, DropKind, Merge, command};
pub use failed_cast::failed_cast;
pub use function::{register_functions, spelt};
pub use lineage::{ColumnSources, QueryLineage, TableColumn, lineage};
pub use operator::Dialect;
pub use plan::{Tables, plan, plan_statement, plan_typed};
pub use rewrite::{ColumnLookup, rewrite};
pub use travel::{ALL_TABLES, Pin, pinned};
pub use types::{arrow_type, type_name};
pub use user_function::{FunctionArgument, FunctionSource, Functions, SqlFunction, calls_with_schema, checked_function};

/// A mistake in a statement, with the place where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// Stable kebab-case name: `sql-parse`, `column-not-found`, `type-mismatch` …; `sql-plan` for all that has no name of its
    /// own.
    pub code: &'static str,
    /// What is wrong, one sentence without a final full stop.
    pub message: String,
    /// Line and column in the text given, from 1.
    pub position: Option<(u32, u32)>,
    /// What may help: the nearest name, the expected form.
    pub help: Option<String>,
}

impl SqlError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: "sql-plan", message: message.into(), position: None, help: None }
    }

    pub(crate) fn at(message: impl Into<String>, position: (u32, u32)) -> Self {
        Self { position: Some(position), ..Self::new(message) }
    }

    pub(crate) fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds "did you mean …?" where `wrong` is close to one of `names`.
    pub(crate) fn suggest<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match crate::diagnostic::nearest(wrong, names) {
            Some(name) => self.with_help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

/// Splits at `;` and parses.
///
/// # Errors
/// The first statement that does not parse, with its place.
pub fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    Ok(parse::statements_with_text(sql)?.into_iter().map(|(statement, _)| statement).collect())
}
