//! Casts, operators and other expressions whose form or meaning differs in DataFusion.
//!
//! Names of ours that appear here (`text`, `numeric`, `nearest`, `at_time_zone`, …) are functions of `crate::sql::function`;
//! they exist because the meaning depends on the argument's type, which the syntax tree does not know.

use std::ops::ControlFlow;

use arrow::datatypes::DataType as Arrow;
use sqlparser::ast::{
    Array, BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, FunctionArgumentClause, FunctionArguments,
    GroupByExpr, Ident, Interval, LimitClause, OrderBy, OrderByKind, Query, SelectItem, SetExpr, Statement, TableFactor, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};

use super::build::{self, binary, call, cast, literal_text, nested, text};
use super::{call as calls, pivot, scope, shape, unit};
use crate::sql::function::{with_seconds, without_zone};
use crate::sql::{SqlError, types};

/// Translates every expression of a statement.
pub(super) fn translate(statement: &mut Statement) -> Result<(), SqlError> {
    match statement.visit(&mut Translate) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Translate;

impl VisitorMut for Translate {
    type Break = Box<SqlError>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<SqlError>> {
        match translated(expr) {
            Ok(Some(other)) => *expr = other,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(Box::new(error)),
        }
        ControlFlow::Continue(())
    }
}

/// What an expression becomes; its parts are translated already. `None` keeps it (maybe changed in place).
fn translated(expr: &mut Expr) -> Result<Option<Expr>, SqlError> {
    Ok(match expr {
        Expr::Function(function) => {
            calls::place_null_treatment(function);
            return calls::translate(function);
        }
        Expr::Cast { kind, expr, data_type, .. } => cast_of(kind, expr, data_type),
        Expr::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(literal) => cast_of(&CastKind::Cast, &text(literal), &typed.data_type)
                .filter(|_| types::arrow_of(&typed.data_type) == Some(types::TIMESTAMP)),
            _ => None,
        },
        Expr::Convert { expr, data_type: Some(data_type), .. } => {
            let kind = CastKind::Cast;
            Some(cast_of(&kind, expr, data_type).unwrap_or_else(|| cast((**expr).clone(), data_type.clone())))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(call("at_time_zone", vec![(**timestamp).clone(), (**time_zone).clone()]))
        }
        Expr::Extract { field, expr, .. } => {
            let field = field.to_string();
            let part = unit::canonical(field.trim_matches('\'')).map(str::to_string).unwrap_or(field);
            Some(call("date_part", vec![text(&part), (**expr).clone()]))
        }
        Expr::Identifier(ident) => current_time(ident),
        Expr::Like { any: true, .. } | Expr::ILike { any: true, .. } => like_any(expr),
        Expr::SimilarTo { negated, expr, pattern, .. } => similar_to(*negated, expr, pattern),
        Expr::InList { expr, list, negated } => match &**expr {
            Expr::Tuple(fields) => tuple_in_list(fields, list, *negated),
            _ => None,
        },
        Expr::InSubquery { expr, subquery, negated } => match &**expr {
            Expr::Tuple(fields) => Some(tuple_in_query(fields, subquery, *negated)?),
            _ => None,
        },
        Expr::BinaryOp { left, op, right } => tuples(left, op, right),
        Expr::Substring { expr, substring_from: Some(pattern), substring_for: None, .. } if literal_text(pattern).is_some() => {
            Some(call("regexp_extract", vec![(**expr).clone(), (**pattern).clone()]))
        }
        Expr::JsonAccess { value, path } => Some(json_access(value, &path.to_string())),
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => Some(whole("ceil", expr)),
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => Some(whole("floor", expr)),
        // Text is compared by its bytes whatever the collation.
        Expr::Collate { expr, .. } => Some((**expr).clone()),
        Expr::Interval(interval) => {
            spell_out(interval);
            None
        }
        Expr::Value(ValueWithSpan { value, .. }) => {
            if let Value::UnicodeStringLiteral(text) = value {
                *value = Value::SingleQuotedString(std::mem::take(text));
            }
            None
        }
        Expr::Subquery(query) => {
            single_value(query);
            None
        }
        _ => None,
    })
}

/// Snowflake's `v:a.b[0]`: the value at a path, as text.
fn json_access(value: &Expr, path: &str) -> Expr {
    let keys = path.split(['.', ':', '[', ']']).map(|key| key.trim_matches(['"', '\''])).filter(|key| !key.is_empty());
    call("json_extract_path_text", std::iter::once(value.clone()).chain(keys.map(text)).collect())
}

/// A rounding call whose decimal result carries no digits after the point.
fn whole(name: &str, expr: &Expr) -> Expr {
    call("nearest", vec![call(name, vec![expr.clone()])])
}

/// `1 day 02:03:04` as `1 day 2 hours 3 minutes 4 seconds`, which is all DataFusion reads.
fn spell_out(interval: &mut Interval) {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = &mut *interval.value else { return };
    if interval.leading_field.is_some() || !text.contains(':') {
        return;
    }
    let words = text.split_whitespace().map(|word| {
        let (sign, clock) = word.strip_prefix('-').map_or(("", word), |clock| ("-", clock));
        let parts: Vec<&str> = clock.split(':').collect();
        match parts.as_slice() {
            [hours, minutes] => format!("{sign}{hours} hours {sign}{minutes} minutes"),
            [hours, minutes, seconds] => format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds"),
            _ => word.to_string(),
        }
    });
    *text = words.collect::<Vec<_>>().join(" ");
}

/// A subquery used as a value: DataFusion wants an aggregate in it where it is correlated. `single_value` is one that fails
/// over two rows, as PostgreSQL does; with `limit 1` it is the first value in order.
fn single_value(query: &mut Query) {
    let SetExpr::Select(select) = &mut *query.body else { return };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    if query.with.is_some() || grouped || select.distinct.is_some() || select.having.is_some() || select.from.is_empty() {
        return;
    }
    let [SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr)] = select.projection.as_mut_slice() else {
        return;
    };
    if shape::is_aggregate_or_window(expr) || select.qualify.is_some() {
        return;
    }
    let order = query.order_by.take().map(|order| order.kind);
    let function = match (&query.limit_clause, order) {
        (None, _) => build::function("single_value", vec![expr.clone()]),
        (Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, .. }), order) if limit.to_string() == "1" => {
            let mut first = build::function("first_value", vec![expr.clone()]);
            if let (FunctionArguments::List(list), Some(OrderByKind::Expressions(order))) = (&mut first.args, order) {
                list.clauses.push(FunctionArgumentClause::OrderBy(order));
            }
            first
        }
        (_, order) => {
            query.order_by = order.map(|kind| OrderBy { kind, interpolate: None });
            return;
        }
    };
    query.limit_clause = None;
    *expr = Expr::Function(function);
}

/// Oracle's and Redshift's moments without parentheses.
fn current_time(ident: &Ident) -> Option<Expr> {
    let name = ident.value.to_lowercase();
    let now = call("now", Vec::new());
    match name.as_str() {
        "sysdate" | "localtimestamp" if ident.quote_style.is_none() => Some(cast(now, calls::TIMESTAMP)),
        _ => None,
    }
}

// ── Casts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn cast_of(kind: &CastKind, expr: &Expr, data_type: &DataType) -> Option<Expr> {
    let is_try = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
    if let (DataType::Array(_), Some(literal)) = (data_type, literal_text(expr)) {
        return array_literal(literal, data_type);
    }
    if types::is_text(data_type) {
        let whole = call("text", vec![expr.clone()]);
        return Some(match types::text_length(data_type) {
            Some(length) => call("left", vec![whole, build::number(length as i64)]),
            None => whole,
        });
    }
    if types::arrow_of(data_type) == Some(types::TIMESTAMP) {
        let local = match literal_text(expr) {
            Some(literal) => text(&without_zone(literal)?),
            None => call("without_zone", vec![expr.clone()]),
        };
        let (kind, data_type) = (kind.clone(), data_type.clone());
        return Some(Expr::Cast { kind, expr: Box::new(local), data_type, array: false, format: None });
    }
    if types::arrow_of(data_type) == Some(types::timestamp_tz()) {
        let complete = text(&with_seconds(literal_text(expr)?)?);
        let (kind, data_type) = (kind.clone(), data_type.clone());
        return Some(Expr::Cast { kind, expr: Box::new(complete), data_type, array: false, format: None });
    }
    if is_try {
        return None;
    }
    match types::arrow_of(data_type)? {
        Arrow::Int16 | Arrow::Int32 | Arrow::Int64 if literal_text(expr).is_none() => {
            Some(cast(call("nearest", vec![expr.clone()]), data_type.clone()))
        }
        types::UNBOUNDED_NUMERIC if !data_type.to_string().contains('(') => Some(call("numeric", vec![expr.clone()])),
        _ => None,
    }
}

/// `'{1,2}'::int[]` as `[1, 2]` with each element cast.
fn array_literal(literal: &str, data_type: &DataType) -> Option<Expr> {
    let DataType::Array(
        sqlparser::ast::ArrayElemTypeDef::SquareBracket(element, _) | sqlparser::ast::ArrayElemTypeDef::AngleBracket(element),
    ) = data_type
    else {
        return None;
    };
    let inner = literal.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.contains(['{', '"', '\\']) {
        return None;
    }
    let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
    let elem = items
        .map(|item| match item.eq_ignore_ascii_case("null") {
            true => cast(build::null(), (**element).clone()),
            false => cast(text(item), (**element).clone()),
        })
        .collect();
    Some(Expr::Array(Array { elem, named: true }))
}

// ── Patterns ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// `x like any (array['a%', 'b%'])` and `x like any ('a%', 'b%')` as alternatives.
fn like_any(expr: &Expr) -> Option<Expr> {
    let (Expr::Like { negated, pattern, .. } | Expr::ILike { negated, pattern, .. }) = expr else { return None };
    let patterns = match unwrapped(pattern) {
        Expr::Array(array) => array.elem.clone(),
        Expr::Tuple(items) => items.clone(),
        other => vec![other.clone()],
    };
    let alternatives = patterns.into_iter().map(|pattern| {
        let mut one = expr.clone();
        if let Expr::Like { negated, any, pattern: p, .. } | Expr::ILike { negated, any, pattern: p, .. } = &mut one {
            (*negated, *any, **p) = (false, false, pattern);
        }
        one
    });
    let any = nested(build::chain(alternatives, BinaryOperator::Or)?);
    Some(if *negated { build::not(any) } else { any })
}

fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unwrapped(inner),
        other => other,
    }
}

/// `similar to` as a regular expression over the whole text; DataFusion would take the pattern for one as it is.
fn similar_to(negated: bool, expr: &Expr, pattern: &Expr) -> Option<Expr> {
    let regex = regex_of_similar(literal_text(pattern)?);
    let op = if negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
    Some(nested(binary(expr.clone(), op, text(&regex))))
}

/// SQL:1999 patterns: `%` and `_` as in `like`; `| * + ? {} () []` as in regular expressions; all else is itself.
fn regex_of_similar(pattern: &str) -> String {
    let mut regex = String::from("^(?:");
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                regex.push_str(&chars.next().map(|c| regex::escape(&c.to_string())).unwrap_or_default());
            }
            '[' | ']' => {
                in_class = c == '[';
                regex.push(c);
            }
            _ if in_class => regex.push(c),
            '%' => regex.push_str("(?s:.*)"),
            '_' => regex.push_str("(?s:.)"),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => regex.push(c),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push_str(")$");
    regex
}

// ── Tuples ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn tuples(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) else { return None };
    match op {
        BinaryOperator::Eq => Some(nested(tuple_equals(left, right)?)),
        BinaryOperator::NotEq => Some(build::not(tuple_equals(left, right)?)),
        BinaryOperator::Overlaps => overlaps(left, right),
        _ => None,
    }
}

fn tuple_equals(left: &[Expr], right: &[Expr]) -> Option<Expr> {
    if left.len() != right.len() {
        return None;
    }
    let pairs = left.iter().zip(right).map(|(l, r)| binary(nested(l.clone()), BinaryOperator::Eq, nested(r.clone())));
    build::chain(pairs, BinaryOperator::And)
}

/// Two periods share a moment; either end may come first.
fn overlaps(left: &[Expr], right: &[Expr]) -> Option<Expr> {
    let ([a, b], [c, d]) = (left, right) else { return None };
    let first = |x: &Expr, y: &Expr| call("least", vec![x.clone(), y.clone()]);
    let last = |x: &Expr, y: &Expr| call("greatest", vec![x.clone(), y.clone()]);
    let one = binary(first(a, b), BinaryOperator::Lt, last(c, d));
    let other = binary(first(c, d), BinaryOperator::Lt, last(a, b));
    Some(nested(binary(one, BinaryOperator::And, other)))
}

fn tuple_in_list(fields: &[Expr], list: &[Expr], negated: bool) -> Option<Expr> {
    let rows = list.iter().map(|row| match row {
        Expr::Tuple(row) => tuple_equals(fields, row),
        _ => None,
    });
    let rows: Vec<Expr> = rows.collect::<Option<_>>()?;
    let any = nested(build::chain(rows.into_iter().map(nested), BinaryOperator::Or)?);
    Some(if negated { build::not(any) } else { any })
}

/// `(a, b) in (select …)` as `exists (select 1 from (select …) where …)`.
fn tuple_in_query(fields: &[Expr], subquery: &Query, negated: bool) -> Result<Expr, SqlError> {
    let names: Vec<String> = (0..fields.len()).map(|n| format!("__field_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut subquery = subquery.clone();
    if let SetExpr::Select(select) = &mut *subquery.body {
        distinguish(&mut select.projection);
    }
    let rows = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery),
        alias: Some(pivot::alias_with("__rows", &names)),
        sample: None,
    };
    let mut select = pivot::select(vec![SelectItem::UnnamedExpr(build::number(1))], vec![pivot::from(rows)]);
    let pairs = fields
        .iter()
        .zip(&names)
        .map(|(field, name)| binary(build::column(&["__rows", name]), BinaryOperator::Eq, nested(field.clone())));
    select.selection = build::chain(pairs, BinaryOperator::And);
    Ok(Expr::Exists { subquery: Box::new(pivot::query_of(SetExpr::Select(Box::new(select)))), negated })
}

/// Gives items of one name different ones: the derived table renames its columns anyway.
fn distinguish(items: &mut [SelectItem]) {
    for (n, item) in items.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = scope::quoted(&format!("{}_{n}", shape::output_name(expr)));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}
