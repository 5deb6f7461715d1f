//! Operators whose meaning hangs on the types of their sides: date arithmetic, division, `||`, JSON arrows.
//!
//! DataFusion asks here before it plans an operator itself; the rules are PostgreSQL's.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};
use sqlparser::ast::BinaryOperator as Op;

use super::function::{self, number};
use super::types;

/// Where the system that a query was written for differs from PostgreSQL; an extension of the session's configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialect {
    /// `3 / 2` of integers is 1.5, a double, and not 1.
    pub real_division: bool,
}

impl Dialect {
    /// Of a system by its name in profiles. PostgreSQL's is taken for all that are not known to differ.
    pub fn of(adapter_type: &str) -> Self {
        Self { real_division: matches!(adapter_type, "bigquery" | "clickhouse" | "databricks" | "duckdb" | "spark") }
    }
}

#[derive(Debug)]
struct Operators(Dialect);

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let planned = match &expr.op {
            Op::Divide if self.0.real_division && are_integers(&expr, schema) => {
                let [left, right] = [&expr.left, &expr.right].map(|side| cast(side.clone(), DataType::Float64));
                Some(binary(left, Operator::Divide, right))
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide => arithmetic(&expr, schema),
            Op::StringConcat => concatenation(&expr, schema),
            Op::Arrow => Some(call("json_get", vec![expr.left.clone(), expr.right.clone()])),
            Op::LongArrow => Some(call("json_get_text", vec![expr.left.clone(), expr.right.clone()])),
            Op::HashArrow => Some(call("json_path", vec![expr.left.clone(), expr.right.clone()])),
            Op::HashLongArrow => Some(call("json_path_text", vec![expr.left.clone(), expr.right.clone()])),
            Op::AtArrow if is_text(&expr.left, schema) => {
                Some(call("json_contains", vec![expr.left.clone(), expr.right.clone()]))
            }
            Op::PGBitwiseXor | Op::BitwiseXor => None,
            _ => None,
        };
        Ok(match planned {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }
}

fn are_integers(expr: &RawBinaryExpr, schema: &DFSchema) -> bool {
    [&expr.left, &expr.right].iter().all(|side| type_of(side, schema).is_some_and(|data_type| data_type.is_integer()))
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    match function::named(name) {
        Some(function) => function.call(args),
        // The names are ours; one that is missing is found by the first test that plans it.
        None => unreachable!("the function {name} is registered"),
    }
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok()
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    type_of(expr, schema).is_some_and(|data_type| data_type.is_string())
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Date64)
}

fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn arithmetic(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let (left, right) = (type_of(&expr.left, schema)?, type_of(&expr.right, schema)?);
    let (l, r) = (expr.left.clone(), expr.right.clone());
    match &expr.op {
        Op::Minus => minus(l, r, &left, &right),
        Op::Plus => match (&left, &right) {
            (DataType::Date32, n) if n.is_integer() => Some(shift(l, Operator::Plus, r)),
            (n, DataType::Date32) if n.is_integer() => Some(shift(r, Operator::Plus, l)),
            (DataType::Date32, span) if is_span(span) => Some(binary(cast(l, types::TIMESTAMP), Operator::Plus, r)),
            (span, DataType::Date32) if is_span(span) => Some(binary(cast(r, types::TIMESTAMP), Operator::Plus, l)),
            (span, moment) if is_span(span) && is_moment(moment) => Some(binary(r, Operator::Plus, l)),
            _ => None,
        },
        Op::Multiply => match (&left, &right) {
            (span, factor) if is_span(span) && factor.is_numeric() => Some(call("interval_multiply", vec![l, r])),
            (factor, span) if is_span(span) && factor.is_numeric() => Some(call("interval_multiply", vec![r, l])),
            _ => {
                is_decimal_pair(&left, &right)?;
                number::narrowed_product(number::exact(&left)?, number::exact(&right)?)?;
                Some(call("numeric_multiply", vec![l, r]))
            }
        },
        Op::Divide => match (&left, &right) {
            (span, factor) if is_span(span) && factor.is_numeric() => {
                let one = binary(lit(1.0_f64), Operator::Divide, cast(r, DataType::Float64));
                Some(call("interval_multiply", vec![l, one]))
            }
            _ => is_decimal_pair(&left, &right).map(|()| call("numeric_divide", vec![l, r])),
        },
        _ => None,
    }
}

/// One side a decimal and the other a decimal or an integer, both within 38 digits.
fn is_decimal_pair(left: &DataType, right: &DataType) -> Option<()> {
    let decimal = |t: &DataType| matches!(t, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..));
    let (p, q) = (number::exact(left)?.0, number::exact(right)?.0);
    ((decimal(left) || decimal(right)) && p.max(q) <= DECIMAL128_MAX_PRECISION).then_some(())
}

/// `date - date` is days, `timestamp - timestamp` is an interval of days and time, `date - n` is a date.
fn minus(l: Expr, r: Expr, left: &DataType, right: &DataType) -> Option<Expr> {
    match (left, right) {
        (DataType::Date32, DataType::Date32) => Some(binary(cast(l, DataType::Int32), Operator::Minus, cast(r, DataType::Int32))),
        (DataType::Date32, n) if n.is_integer() => Some(shift(l, Operator::Minus, r)),
        (DataType::Date32, span) if is_span(span) => Some(binary(cast(l, types::TIMESTAMP), Operator::Minus, r)),
        (DataType::Date32, moment) | (moment, DataType::Date32) if is_moment(moment) => {
            Some(call("timestamp_difference", vec![l, r]))
        }
        (a, b) if is_moment(a) && is_moment(b) => Some(call("timestamp_difference", vec![l, r])),
        _ => None,
    }
}

fn shift(date: Expr, op: Operator, days: Expr) -> Expr {
    cast(binary(cast(date, DataType::Int32), op, cast(days, DataType::Int32)), DataType::Date32)
}

/// Sides that are no text are spelt as text first; lists are DataFusion's.
fn concatenation(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let (left, right) = (type_of(&expr.left, schema)?, type_of(&expr.right, schema)?);
    let plain = |data_type: &DataType| data_type.is_string() || data_type.is_null();
    if left.is_nested() || right.is_nested() || (plain(&left) && plain(&right)) {
        return None;
    }
    let spelt = |side: &Expr, data_type: &DataType| match plain(data_type) {
        true => side.clone(),
        false => call("text", vec![side.clone()]),
    };
    Some(binary(spelt(&expr.left, &left), Operator::StringConcat, spelt(&expr.right, &right)))
}

pub(super) fn planners(dialect: Dialect) -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(Operators(dialect))]
}
