//! Aggregates over a sorted subquery. PostgreSQL and DuckDB feed `string_agg(name, ', ')` its rows in the order in which the
//! subquery below gives them, and the manual of PostgreSQL names that as a way to order an aggregate ("Aggregate Functions", on
//! input ordering). DataFusion may read rows in any order, so that the subquery's order is written into the aggregate here.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::{AggregateFunction, Alias, Sort};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, SubqueryAlias};

/// The aggregates whose result tells in which order their rows came.
const SENSITIVE: [&str; 6] = ["array_agg", "string_agg", "first_value", "last_value", "json_agg", "jsonb_agg"];

/// Gives each order-sensitive aggregate without an order of its own that of its input, where the input has one.
pub(super) fn keep_order(plan: LogicalPlan) -> Result<LogicalPlan> {
    let ordered = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        if !aggregate.aggr_expr.iter().any(|expr| unordered(expr).is_some()) {
            return Ok(Transformed::no(node));
        }
        let order = order_of(&aggregate.input);
        if order.is_empty() {
            return Ok(Transformed::no(node));
        }
        let aggr_expr = aggregate.aggr_expr.iter().map(|expr| with_order(expr, &order)).collect();
        let ordered = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr.clone(), aggr_expr)?;
        Ok(Transformed::yes(LogicalPlan::Aggregate(ordered)))
    })?;
    Ok(ordered.data)
}

/// The aggregate's call, if its rows' order matters and it does not say one.
fn unordered(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::Alias(alias) => unordered(&alias.expr),
        Expr::AggregateFunction(call) if call.params.order_by.is_empty() && SENSITIVE.contains(&call.func.name()) => Some(call),
        _ => None,
    }
}

/// The call with the order, under the name it had.
fn with_order(expr: &Expr, order: &[Sort]) -> Expr {
    let Some(call) = unordered(expr) else { return expr.clone() };
    let mut call = call.clone();
    // Distinct values can be ordered by themselves only.
    let fits = |sort: &&Sort| !call.params.distinct || call.params.args.first() == Some(&sort.expr);
    let order_by: Vec<Sort> = order.iter().filter(fits).cloned().collect();
    call.params.order_by = order_by;
    let call = Expr::AggregateFunction(call);
    match expr {
        Expr::Alias(alias) => Expr::Alias(Alias { expr: Box::new(call), ..alias.clone() }),
        _ => call.alias(expr.schema_name().to_string()),
    }
}

/// The order in which a plan gives its rows, in terms of its own columns; empty where it has none.
fn order_of(plan: &LogicalPlan) -> Vec<Sort> {
    match plan {
        LogicalPlan::Sort(sort) => sort.expr.clone(),
        LogicalPlan::Filter(filter) => order_of(&filter.input),
        LogicalPlan::Limit(limit) => order_of(&limit.input),
        LogicalPlan::Projection(projection) => renamed(order_of(&projection.input), |expr| projected(projection, expr)),
        LogicalPlan::SubqueryAlias(alias) => renamed(order_of(&alias.input), |expr| aliased(alias, expr)),
        _ => Vec::new(),
    }
}

/// As much of the order as can be said in other terms: what follows a key that cannot is of no use.
fn renamed(order: Vec<Sort>, rename: impl Fn(&Expr) -> Option<Expr>) -> Vec<Sort> {
    order.into_iter().map_while(|sort| Some(Sort { expr: rename(&sort.expr)?, ..sort })).collect()
}

fn projected(projection: &Projection, expr: &Expr) -> Option<Expr> {
    let at = projection.expr.iter().position(|given| given.clone().unalias() == *expr)?;
    Some(Expr::from(projection.schema.qualified_field(at)))
}

fn aliased(alias: &SubqueryAlias, expr: &Expr) -> Option<Expr> {
    let Expr::Column(column) = expr else { return None };
    let at = alias.input.schema().maybe_index_of_column(column)?;
    Some(Expr::from(alias.schema.qualified_field(at)))
}
