//! A cast that failed while a statement ran: said in SQL's words, with the place of the cast where there is only one it can be.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use arrow::datatypes::DataType;
use regex::Regex;
use sqlparser::ast::{Expr, Spanned, Visit, Visitor};

use super::{SqlError, parse, types};

/// Arrow's words for a value that does not fit a type.
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)Cannot cast (?:string|value) '(.*)' to value of (.+) type").expect("the pattern is a valid regex")
});

/// The failure told of by `message` of the engine, if it is one of a cast in `sql`.
pub fn failed_cast(message: &str, sql: &str) -> Option<SqlError> {
    let found = FAILED.captures(message)?;
    let data_type: DataType = found[2].trim().parse().ok()?;
    let message = format!("the text '{}' cannot be read as {}", &found[1], types::type_name(&data_type));
    let error = SqlError { position: only_cast(sql, &data_type), ..SqlError::new(message) };
    Some(error.with_help("correct the data, or use `try_cast`, which gives null where a value does not fit"))
}

/// Where the statement's only cast to the type begins.
fn only_cast(sql: &str, data_type: &DataType) -> Option<(u32, u32)> {
    struct Casts<'a>(&'a DataType, Vec<(u32, u32)>);
    impl Visitor for Casts<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr: value, data_type, .. } = expr
                && types::arrow_of(data_type).as_ref() == Some(self.0)
            {
                let start = value.span().start;
                self.1.push((start.line as u32, start.column as u32));
            }
            ControlFlow::Continue(())
        }
    }
    let mut casts = Casts(data_type, Vec::new());
    for (statement, _) in parse::statements_with_text(sql).ok()? {
        let _ = statement.visit(&mut casts);
    }
    match casts.1.as_slice() {
        [(line, column)] if *line > 0 => Some((*line, *column)),
        _ => None,
    }
}
