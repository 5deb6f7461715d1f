//! Small pieces of syntax tree, spelt shortly.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    UnaryOperator, Value,
};

pub(super) use crate::sql::parse::{call, function};

pub(super) fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_string()))
}

pub(super) fn number(value: i64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

pub(super) fn null() -> Expr {
    Expr::value(Value::Null)
}

pub(super) fn column(path: &[&str]) -> Expr {
    let path: Vec<Ident> = path.iter().map(|part| Ident::with_quote('"', *part)).collect();
    match path.as_slice() {
        [only] => Expr::Identifier(only.clone()),
        _ => Expr::CompoundIdentifier(path),
    }
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

pub(super) fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) }
}

/// All of them joined by `op`; `None` of none.
pub(super) fn chain(exprs: impl IntoIterator<Item = Expr>, op: BinaryOperator) -> Option<Expr> {
    exprs.into_iter().reduce(|left, right| binary(left, op.clone(), right))
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

pub(super) fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: branches.into_iter().map(|(condition, result)| CaseWhen { condition, result }).collect(),
        else_result: otherwise.map(Box::new),
    }
}

pub(super) fn is_not_null(expr: Expr) -> Expr {
    Expr::IsNotNull(Box::new(expr))
}

pub(super) fn is_null(expr: Expr) -> Expr {
    Expr::IsNull(Box::new(expr))
}

/// A call's name in lower case, if it has one part (or PostgreSQL's `pg_catalog.` before it).
pub(super) fn name_of(function: &Function) -> String {
    let parts: Vec<String> =
        function.name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).collect();
    match parts.as_slice() {
        [schema, name] if schema == "pg_catalog" => name.clone(),
        parts => parts.join("."),
    }
}

/// The plain arguments of a call; `None` if one of them is named or a wildcard.
pub(in crate::sql) fn plain_args(function: &Function) -> Option<Vec<Expr>> {
    match &function.args {
        FunctionArguments::None => Some(Vec::new()),
        FunctionArguments::Subquery(_) => None,
        FunctionArguments::List(list) => list
            .args
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })
            .collect(),
    }
}

/// Replaces a call's arguments, keeping `distinct`, `order by` and the rest.
pub(super) fn set_args(function: &mut Function, args: Vec<Expr>) {
    let unnamed = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    match &mut function.args {
        FunctionArguments::List(list) => list.args = args.into_iter().map(unnamed).collect(),
        other => *other = super::build::function("", args).args,
    }
}

pub(super) fn rename(function: &mut Function, name: &str) {
    let span = function.name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span);
    let mut ident = Ident::new(name);
    ident.span = span.unwrap_or(ident.span);
    function.name = sqlparser::ast::ObjectName::from(vec![ident]);
}

/// The text of a string literal.
pub(super) fn literal_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            Value::DollarQuotedString(text) => Some(&text.value),
            _ => None,
        },
        _ => None,
    }
}
