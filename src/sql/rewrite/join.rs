//! Top-n laterals: `lateral (select … where t.k = o.k order by … limit n)` as a join with numbered rows.
//!
//! DataFusion plans laterals without a limit itself; with one, the limit is per outer row, which is `row_number()` per key.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, ExceptSelectItem, Expr, JoinConstraint, JoinOperator, LimitClause, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableFactor, Visit, Visitor, WindowSpec, WindowType,
};

use super::build;
use super::pivot;
use super::scope::{Source, quoted, stored};
use crate::sql::SqlError;

const POSITION: &str = "__position";

/// Rewrites the laterals of one select that carry a limit.
pub(super) fn decorrelate_top_n(select: &mut Select, sources: &[Source]) -> Result<(), SqlError> {
    let mut conditions = Vec::new();
    let mut added = Vec::new();
    for table in &mut select.from {
        if let Some((on, names)) = rewrite(&mut table.relation, sources) {
            conditions.push(on);
            added.extend(names);
        }
        for join in &mut table.joins {
            let Some((on, names)) = rewrite(&mut join.relation, sources) else { continue };
            added.extend(names);
            match &mut join.join_operator {
                JoinOperator::CrossJoin(_) => join.join_operator = JoinOperator::Inner(JoinConstraint::On(on)),
                JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => {
                    *c = JoinConstraint::On(match c {
                        JoinConstraint::On(other) => build::binary(build::nested(other.clone()), BinaryOperator::And, on),
                        _ => on,
                    });
                }
                _ => return Err(SqlError::new("a lateral with a limit may only be joined by `cross`, `inner` or `left join`")),
            }
        }
    }
    if let Some(on) = build::chain(conditions, BinaryOperator::And) {
        select.selection = Some(match select.selection.take() {
            Some(own) => build::binary(build::nested(own), BinaryOperator::And, on),
            None => on,
        });
    }
    hide(&mut select.projection, &added);
    Ok(())
}

/// Turns one top-n lateral into a derived table; answers the join condition and the columns it adds.
fn rewrite(factor: &mut TableFactor, sources: &[Source]) -> Option<(Expr, Vec<String>)> {
    let TableFactor::Derived { lateral, subquery, alias: Some(alias), .. } = factor else { return None };
    if !*lateral {
        return None;
    }
    let limit = limit_of(subquery)?;
    let name = stored(&alias.name);
    let outer: Vec<&str> = sources.iter().filter_map(|s| s.name.as_deref()).filter(|other| *other != name).collect();
    let order_by = match subquery.order_by.take().map(|order| order.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs,
        _ => Vec::new(),
    };
    let SetExpr::Select(inner) = &mut *subquery.body else { return None };
    let keys = take_keys(inner, &outer)?;
    let mut added = Vec::new();
    for (n, (own, _)) in keys.iter().enumerate() {
        added.push(format!("__{name}_key_{n}"));
        inner.projection.push(SelectItem::ExprWithAlias { expr: own.clone(), alias: quoted(&added[n]) });
    }
    let mut row_number = build::function("row_number", Vec::new());
    let partition_by = keys.iter().map(|(own, _)| own.clone()).collect();
    row_number.over = Some(WindowType::WindowSpec(WindowSpec { window_name: None, partition_by, order_by, window_frame: None }));
    inner.projection.push(SelectItem::ExprWithAlias { expr: Expr::Function(row_number), alias: quoted(POSITION) });
    subquery.limit_clause = None;
    let numbered = TableFactor::Derived {
        lateral: false,
        subquery: subquery.clone(),
        alias: Some(pivot::alias_with("numbered", &[])),
        sample: None,
    };
    let mut first = pivot::select(vec![SelectItem::Wildcard(Default::default())], vec![pivot::from(numbered)]);
    first.selection = Some(build::binary(build::column(&[POSITION]), BinaryOperator::LtEq, limit));
    hide(&mut first.projection, &[POSITION.to_string()]);
    **subquery = pivot::query_of(SetExpr::Select(Box::new(first)));
    *lateral = false;
    let on = keys
        .into_iter()
        .zip(&added)
        .map(|((_, outer), own)| build::binary(build::column(&[&name, own]), BinaryOperator::Eq, outer));
    Some((build::chain(on, BinaryOperator::And)?, added))
}

fn limit_of(query: &Query) -> Option<Expr> {
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit @ Expr::Value(_)), offset: None, limit_by }) if limit_by.is_empty() => {
            Some(limit.clone())
        }
        _ => None,
    }
}

/// Takes the equalities with an outer column out of `where`; `None` where another correlation is left, which this cannot say.
fn take_keys(select: &mut Select, outer: &[&str]) -> Option<Vec<(Expr, Expr)>> {
    let mut keys = Vec::new();
    let mut rest = Vec::new();
    for condition in conjuncts(select.selection.clone()?) {
        if !mentions(&condition, outer) {
            rest.push(condition);
            continue;
        }
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
        match (mentions(&left, outer), mentions(&right, outer)) {
            (true, false) => keys.push((*right, *left)),
            (false, true) => keys.push((*left, *right)),
            _ => return None,
        }
    }
    if keys.is_empty() {
        return None;
    }
    select.selection = build::chain(rest, BinaryOperator::And);
    Some(keys)
}

fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut all = conjuncts(*left);
            all.extend(conjuncts(*right));
            all
        }
        Expr::Nested(inner) => conjuncts(*inner),
        other => vec![other],
    }
}

fn mentions(expr: &Expr, outer: &[&str]) -> bool {
    struct Find<'a>(&'a [&'a str]);
    impl Visitor for Find<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::CompoundIdentifier(path) if self.0.contains(&stored(&path[0]).as_str()) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Find(outer)).is_break()
}

/// Leaves columns out of the `*` items.
fn hide(items: &mut [SelectItem], names: &[String]) {
    for item in items {
        let (SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) = item else { continue };
        let mut hidden: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        if let Some(except) = options.opt_except.take() {
            hidden.push(except.first_element);
            hidden.extend(except.additional_elements);
        }
        if !hidden.is_empty() {
            options.opt_except = Some(ExceptSelectItem { first_element: hidden.remove(0), additional_elements: hidden });
        }
    }
}
