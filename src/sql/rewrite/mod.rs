//! From the SQL people write to the SQL DataFusion plans, on the syntax tree, before planning.
//!
//! Three walks, in this order:
//! 1. [`unit`]: bare words that are not columns (`dateadd(day, …)`) become literals, so that no later step takes them for names.
//! 2. [`scope`]: what needs to know which columns are in reach: aliases used beside their definition, `*` with options, `pivot`,
//! 3. [`expression`]: functions, casts and operators that another name or form says in DataFusion.

mod build;
mod call;
mod expression;
mod join;
mod pivot;
mod scope;
mod shape;
mod unit;

use sqlparser::ast::Statement;

pub(super) use build::plain_args;

use super::SqlError;

/// What the rewrite asks about tables that exist.
pub trait ColumnLookup {
    /// The columns of a table, in order, or `None` if it is not known. `name` holds the name's parts as the database stores them
    /// (unquoted parts in lower case).
    fn columns(&self, name: &[String]) -> Option<Vec<String>>;
}

/// Rewrites a statement in place.
///
/// # Errors
/// A construct that cannot be said in DataFusion and that would otherwise be misread.
pub fn rewrite(statement: &mut Statement, columns: &dyn ColumnLookup) -> Result<(), SqlError> {
    unit::quote_units(statement);
    scope::resolve(statement, columns)?;
    expression::translate(statement)
}
