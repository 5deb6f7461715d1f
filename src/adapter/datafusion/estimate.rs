//! How many rows each step of a query will give, for choosing which side of a join is held in memory.
//!
//! Nobody counts distinct values here, and without them the engine takes a join to give as many rows as its smaller side: sales
//! joined to the days of a year would be 365 rows, and the next join would hold all sales in memory. Models mostly join facts
//! to what their keys name, so here a join gives as many rows as its bigger side, and `is not null` keeps every row.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{JoinType, Result, Statistics};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{IsNotNullExpr, Literal};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::operator_statistics::{
    ExtendedStatistics, StatisticsProvider, StatisticsRegistry, StatisticsResult,
};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;

/// What a value of a type without fixed width takes in memory, about.
const TEXT_BYTES: usize = 24;

/// Rows and bytes of each step, from its inputs' alone.
#[derive(Debug)]
struct Estimates;

/// The estimates, as the engine asks for them.
pub fn registry() -> StatisticsRegistry {
    StatisticsRegistry::with_providers(vec![Arc::new(Estimates)])
}

impl StatisticsProvider for Estimates {
    fn compute_statistics(&self, plan: &dyn ExecutionPlan, inputs: &[ExtendedStatistics]) -> Result<StatisticsResult> {
        let schema = plan.schema();
        let width = width(&schema);
        let rows = match inputs {
            [] => leaf(plan, width)?,
            [input] => input.base().num_rows.get_value().map(|rows| kept(plan, *rows)),
            _ => several(plan, inputs),
        };
        let rows = match (rows, plan.fetch()) {
            (Some(rows), Some(most)) => Some(rows.min(most)),
            (rows, most) => rows.or(most),
        };
        let mut statistics = Statistics::new_unknown(&schema);
        if let Some(rows) = rows {
            statistics.num_rows = Precision::Inexact(rows);
            statistics.total_byte_size = Precision::Inexact(rows.saturating_mul(width));
        }
        Ok(StatisticsResult::Computed(ExtendedStatistics::new(statistics)))
    }
}

/// The rows of a scan: known, or told from its size.
fn leaf(plan: &dyn ExecutionPlan, width: usize) -> Result<Option<usize>> {
    let known = StatisticsContext::new().compute(plan, &StatisticsArgs::new())?;
    let rows = known.num_rows.get_value().copied();
    Ok(rows.or_else(|| known.total_byte_size.get_value().map(|bytes| bytes / width.max(1))))
}

/// The rows that a step with one input gives.
fn kept(plan: &dyn ExecutionPlan, rows: usize) -> usize {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let selective = split_conjunction(filter.predicate()).into_iter().any(|part| !keeps_all(part));
        return if selective { percent(rows, filter.default_selectivity()) } else { rows };
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>()
        && aggregate.group_expr().expr().is_empty()
    {
        return 1;
    }
    rows
}

fn keeps_all(predicate: &Arc<dyn PhysicalExpr>) -> bool {
    predicate.downcast_ref::<IsNotNullExpr>().is_some() || predicate.downcast_ref::<Literal>().is_some()
}

/// At least one row: none at all would make any other side look big.
fn percent(rows: usize, percent: u8) -> usize {
    (rows.saturating_mul(usize::from(percent)) / 100).max(1).min(rows)
}

/// The rows of a join or a union; unknown if those of an input are.
fn several(plan: &dyn ExecutionPlan, inputs: &[ExtendedStatistics]) -> Option<usize> {
    let rows = inputs.iter().map(|input| input.base().num_rows.get_value().copied()).collect::<Option<Vec<usize>>>()?;
    if plan.downcast_ref::<UnionExec>().is_some() {
        return Some(rows.iter().fold(0, |sum, rows| sum.saturating_add(*rows)));
    }
    let (left, right) = (*rows.first()?, *rows.get(1)?);
    let join = plan.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let join = join.or_else(|| plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type));
    if let Some(join) = join {
        return Some(joined(join, left, right));
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let pairs = left.saturating_mul(right);
        return Some(if matches!(join.join_type(), JoinType::Inner) { pairs } else { joined(*join.join_type(), left, right) });
    }
    if plan.downcast_ref::<CrossJoinExec>().is_some() {
        return Some(left.saturating_mul(right));
    }
    rows.into_iter().max()
}

fn joined(join: JoinType, left: usize, right: usize) -> usize {
    match join {
        JoinType::Inner | JoinType::Left | JoinType::Right => left.max(right),
        JoinType::Full => left.saturating_add(right),
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
    }
}

/// What a row takes in memory, about.
fn width(schema: &Schema) -> usize {
    let bytes = |data_type: &DataType| match data_type {
        DataType::Boolean | DataType::Null => 1,
        other => other.primitive_width().unwrap_or(TEXT_BYTES),
    };
    schema.fields().iter().map(|field| bytes(field.data_type())).sum()
}
