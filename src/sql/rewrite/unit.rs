//! Date parts written as bare words.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Statement, Value, VisitMut, VisitorMut,
};

/// Functions whose first argument is a date part, bare or quoted.
const UNIT_FIRST: &[&str] = &[
    "dateadd",
    "datediff",
    "date_diff",
    "datesub",
    "date_sub",
    "date_add",
    "timestampadd",
    "timestampdiff",
    "timestamp_diff",
    "date_part",
    "datepart",
    "date_trunc",
    "datetrunc",
    "time_slice",
];
/// Functions whose last argument may be one (BigQuery's order, Snowflake's `last_day`).
const UNIT_LAST: &[&str] =
    &["last_day", "date_diff", "datetime_diff", "timestamp_diff", "date_trunc", "timestamp_trunc", "datetime_trunc", "trunc"];

/// Turns bare date parts into string literals.
pub(super) fn quote_units(statement: &mut Statement) {
    let _ = statement.visit(&mut Units);
}

struct Units;

impl VisitorMut for Units {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            let count = arguments(function).map_or(0, |args| args.len());
            if UNIT_FIRST.contains(&name.as_str()) && count > 1 {
                quote(function, 0);
            }
            // Where the first says the part, the last is the value, even of a column called `day`.
            if UNIT_LAST.contains(&name.as_str()) && count > 1 && !is_unit(function, 0) {
                quote(function, count - 1);
            }
        }
        ControlFlow::Continue(())
    }
}

fn arguments(function: &mut Function) -> Option<&mut Vec<FunctionArg>> {
    match &mut function.args {
        FunctionArguments::List(list) => Some(&mut list.args),
        _ => None,
    }
}

fn is_unit(function: &mut Function, at: usize) -> bool {
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) = arguments(function).and_then(|args| args.get(at))
    else {
        return false;
    };
    matches!(&value.value, Value::SingleQuotedString(text) if canonical(text).is_some())
}

fn quote(function: &mut Function, at: usize) {
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))) = arguments(function).and_then(|args| args.get_mut(at)) else {
        return;
    };
    // A quoted name is a column's.
    if let Expr::Identifier(Ident { value, quote_style: None, .. }) = arg
        && canonical(value).is_some()
    {
        *arg = Expr::value(Value::SingleQuotedString(value.to_lowercase()));
    }
}

/// The one spelling we use for a date part, out of those that Redshift, Snowflake, DuckDB and PostgreSQL take.
pub(super) fn canonical(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "century" | "centuries" | "c" | "cent" | "cents" => "century",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "year" | "years" | "y" | "yy" | "yyy" | "yyyy" | "yr" | "yrs" => "year",
        "quarter" | "quarters" | "q" | "qtr" | "qtrs" => "quarter",
        "month" | "months" | "mon" | "mons" | "mm" => "month",
        "week" | "weeks" | "w" | "wk" | "weekofyear" | "woy" | "wy" | "week_iso" | "weekiso" | "isoweek" => "week",
        "day" | "days" | "d" | "dd" | "dayofmonth" => "day",
        "hour" | "hours" | "h" | "hh" | "hr" | "hrs" => "hour",
        "minute" | "minutes" | "m" | "mi" | "min" | "mins" => "minute",
        "second" | "seconds" | "s" | "sec" | "secs" => "second",
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisec" | "millisecs" => {
            "millisecond"
        }
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsec" | "microsecs" => {
            "microsecond"
        }
        "nanosecond" | "nanoseconds" | "ns" => "nanosecond",
        "dow" | "dayofweek" | "dw" | "weekday" => "dow",
        "isodow" | "dayofweekiso" | "dayofweek_iso" | "weekday_iso" => "isodow",
        "doy" | "dayofyear" | "dy" | "yearday" => "doy",
        "epoch" | "epoch_second" | "epoch_seconds" => "epoch",
        "isoyear" | "yearofweek" | "yearofweekiso" => "isoyear",
        "timezone" => "timezone",
        _ => return None,
    })
}
