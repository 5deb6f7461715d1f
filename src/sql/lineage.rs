//! Which columns of the tables it reads each column of a query comes from, read off the planned query.
//!
//! Two kinds of dependence are kept apart, as OpenLineage does: a column's *value* is made of others (direct), or others decide
//! which rows there are, how they are grouped, or which branch is taken (indirect).

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::logical_expr::expr::{Case, WindowFunction};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, RecursiveQuery, Unnest};

use crate::name::Relation;

/// A column of a table that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableColumn {
    /// As named in the query, names the query left out excepted.
    pub table: Relation,
    pub column: String,
}

/// What one column of a query comes from; in the tables' order of first mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnSources {
    pub name: String,
    /// The value is that of its one source, unchanged but perhaps for its type.
    pub copied: bool,
    pub direct: Vec<TableColumn>,
    /// What picks the value without being part of it: conditions of `case`, partitions and orders of windows, filters.
    pub indirect: Vec<TableColumn>,
}

/// Where the columns of a query come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryLineage {
    pub columns: Vec<ColumnSources>,
    /// What decides which rows there are and how they are grouped: all columns depend on it.
    pub rows: Vec<TableColumn>,
}

/// Ids of table columns, in order of first mention.
type Set = BTreeSet<usize>;

/// The sources of one value.
#[derive(Clone, Debug, Default)]
struct Value {
    direct: Set,
    indirect: Set,
    /// Whether the value is that of its one source.
    copied: bool,
}

/// What flows out of one step of a plan.
#[derive(Clone, Debug, Default)]
struct Flow {
    columns: Vec<Value>,
    rows: Set,
}

/// The lineage of a planned query. Relations by one of the names in `ends` (CTEs) are taken as tables, not looked through.
pub fn lineage(plan: &LogicalPlan, ends: &[String]) -> QueryLineage {
    let mut walk =
        Walk { ends, ids: HashMap::new(), known: Vec::new(), seen: HashMap::new(), work: Vec::new(), outer: Vec::new() };
    let flow = walk.flow(plan);
    let named = |set: &Set| set.iter().map(|id| walk.known[*id].clone()).collect::<Vec<_>>();
    let columns = plan.schema().fields().iter().zip(&flow.columns).map(|(field, value)| ColumnSources {
        name: field.name().clone(),
        copied: value.copied && value.direct.len() == 1,
        direct: named(&value.direct),
        indirect: named(&value.indirect),
    });
    QueryLineage { columns: columns.collect(), rows: named(&flow.rows) }
}

struct Walk<'a> {
    ends: &'a [String],
    ids: HashMap<TableColumn, usize>,
    known: Vec<TableColumn>,
    /// Steps that were seen, by address: a CTE that is read twice is walked once. The plan outlives the walk.
    seen: HashMap<*const LogicalPlan, Rc<Flow>>,
    /// The recursive queries under way, with what is known of their rows.
    work: Vec<(String, Rc<Flow>)>,
    /// The rows that a subquery may refer to, innermost last.
    outer: Vec<(Arc<DFSchema>, Rc<Flow>)>,
}

impl Walk<'_> {
    fn input(&mut self, plan: &Arc<LogicalPlan>) -> Rc<Flow> {
        let shared = self.work.is_empty() && self.outer.is_empty();
        let key = Arc::as_ptr(plan);
        if shared && let Some(flow) = self.seen.get(&key) {
            return Rc::clone(flow);
        }
        let flow = Rc::new(self.flow(plan));
        if shared {
            self.seen.insert(key, Rc::clone(&flow));
        }
        flow
    }

    fn flow(&mut self, plan: &LogicalPlan) -> Flow {
        match plan {
            LogicalPlan::TableScan(scan) => match self.work.iter().rev().find(|(name, _)| name == scan.table_name.table()) {
                Some((_, flow)) if scan.table_name.schema().is_none() => Flow::clone(flow),
                _ => self.table(&relation(&scan.table_name), plan.schema()),
            },
            LogicalPlan::SubqueryAlias(alias) if self.ends.iter().any(|end| end == alias.alias.table()) => {
                self.table(&relation(&alias.alias), plan.schema())
            }
            LogicalPlan::Projection(projection) => {
                let input = self.input(&projection.input);
                self.projected(&projection.expr, projection.input.schema(), &input)
            }
            LogicalPlan::Filter(filter) => {
                let mut flow = Flow::clone(&self.input(&filter.input));
                let decides = self.all_of(std::slice::from_ref(&filter.predicate), filter.input.schema(), &flow);
                flow.rows.extend(decides);
                flow
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => {
                let input = self.input(&window.input);
                let added = self.projected(&window.window_expr, window.input.schema(), &input);
                let columns = input.columns.iter().cloned().chain(added.columns).collect();
                Flow { columns, rows: added.rows }
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => {
                let flows: Vec<_> = union.inputs.iter().map(|input| self.input(input)).collect();
                united(plan.schema().fields().len(), &flows)
            }
            LogicalPlan::Limit(limit) => {
                let mut flow = Flow::clone(&self.input(&limit.input));
                // Which rows a limit leaves depends on their order.
                if let LogicalPlan::Sort(sort) = limit.input.as_ref() {
                    let order: Vec<Expr> = sort.expr.iter().map(|sort| sort.expr.clone()).collect();
                    let decides = self.all_of(&order, sort.input.schema(), &flow);
                    flow.rows.extend(decides);
                }
                flow
            }
            LogicalPlan::Distinct(Distinct::On(on)) => {
                let input = self.input(&on.input);
                let mut flow = self.projected(&on.select_expr, on.input.schema(), &input);
                let order = on.sort_expr.iter().flatten().map(|sort| sort.expr.clone());
                let decides: Vec<Expr> = on.on_expr.iter().cloned().chain(order).collect();
                flow.rows.extend(self.all_of(&decides, on.input.schema(), &input));
                flow
            }
            LogicalPlan::RecursiveQuery(query) => self.recursive(query),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => empty(plan.schema().fields().len()),
            other => self.other(other),
        }
    }

    /// Steps that hand on the columns of their inputs as they are.
    fn other(&mut self, plan: &LogicalPlan) -> Flow {
        let width = plan.schema().fields().len();
        let mut flow = Flow::default();
        for input in plan.inputs() {
            let from = self.flow(input);
            flow.columns.extend(from.columns);
            flow.rows.extend(from.rows);
        }
        if flow.columns.len() == width {
            return flow;
        }
        // Nothing is known of how the columns come about: each may come from all.
        let all = flow.columns.iter().flat_map(|value| value.direct.iter().copied()).collect::<Set>();
        Flow { columns: vec![Value { direct: all, ..Value::default() }; width], rows: flow.rows }
    }

    fn table(&mut self, table: &Relation, schema: &DFSchema) -> Flow {
        let column = |name: &str| TableColumn { table: table.clone(), column: name.to_string() };
        let columns: Vec<TableColumn> = schema.fields().iter().map(|field| column(field.name())).collect();
        let value = |column| Value { direct: Set::from([self.id(column)]), indirect: Set::new(), copied: true };
        Flow { columns: columns.into_iter().map(value).collect(), rows: Set::new() }
    }

    fn id(&mut self, column: TableColumn) -> usize {
        let known = &mut self.known;
        *self.ids.entry(column).or_insert_with_key(|column| {
            known.push(column.clone());
            known.len() - 1
        })
    }

    fn projected(&mut self, expressions: &[Expr], schema: &Arc<DFSchema>, input: &Rc<Flow>) -> Flow {
        let columns = expressions.iter().map(|expression| self.value(expression, schema, input)).collect();
        Flow { columns, rows: input.rows.clone() }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Flow {
        let (input, schema) = (self.input(&aggregate.input), aggregate.input.schema());
        let groups: Vec<Expr> = match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => sets.distinct_expr().into_iter().cloned().collect(),
            plain => plain.to_vec(),
        };
        let mut flow = self.projected(&groups, schema, &input);
        flow.rows
            .extend(flow.columns.iter().flat_map(|value| value.direct.iter().chain(&value.indirect)).copied().collect::<Set>());
        let made = self.projected(&aggregate.aggr_expr, schema, &input);
        // Between the groups and the aggregates stands the id of the grouping set, if there are several.
        let width = aggregate.schema.fields().len();
        flow.columns.resize_with(width.saturating_sub(made.columns.len()).max(flow.columns.len()), Value::default);
        flow.columns.extend(made.columns);
        flow
    }

    fn join(&mut self, join: &Join) -> Flow {
        let (left, right) = (self.input(&join.left), self.input(&join.right));
        let mut rows: Set = left.rows.union(&right.rows).copied().collect();
        for (on_left, on_right) in &join.on {
            rows.extend(self.all_of(std::slice::from_ref(on_left), join.left.schema(), &left));
            rows.extend(self.all_of(std::slice::from_ref(on_right), join.right.schema(), &right));
        }
        if let Some(filter) = &join.filter {
            let both = Flow { columns: left.columns.iter().chain(&right.columns).cloned().collect(), rows: Set::new() };
            if let Ok(schema) = join.left.schema().join(join.right.schema()) {
                rows.extend(self.all_of(std::slice::from_ref(filter), &Arc::new(schema), &both));
            }
        }
        let columns = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => left.columns.clone(),
            JoinType::RightSemi | JoinType::RightAnti => right.columns.clone(),
            JoinType::LeftMark => left.columns.iter().cloned().chain([Value::default()]).collect(),
            JoinType::RightMark => right.columns.iter().cloned().chain([Value::default()]).collect(),
            _ => left.columns.iter().chain(&right.columns).cloned().collect(),
        };
        Flow { columns, rows }
    }

    /// The rows of a recursive query come from its start, and from itself by way of its step: until nothing is added.
    fn recursive(&mut self, query: &RecursiveQuery) -> Flow {
        let mut flow = self.input(&query.static_term);
        let width = flow.columns.len();
        for _ in 0..8 {
            self.work.push((query.name.clone(), Rc::clone(&flow)));
            let step = self.input(&query.recursive_term);
            self.work.pop();
            let next = united(width, &[Rc::clone(&flow), step]);
            let size = |flow: &Flow| flow.columns.iter().map(|value| value.direct.len() + value.indirect.len()).sum::<usize>();
            let grown = size(&next) + next.rows.len() > size(&flow) + flow.rows.len();
            flow = Rc::new(next);
            if !grown {
                break;
            }
        }
        Flow::clone(&flow)
    }

    fn unnest(&mut self, unnest: &Unnest) -> Flow {
        let input = self.input(&unnest.input);
        let column = |index: &usize| {
            let value = input.columns.get(*index).cloned().unwrap_or_default();
            let same = unnest.input.schema().fields().get(*index).map(|field| field.name());
            (value, same.cloned())
        };
        let columns = unnest.dependency_indices.iter().zip(unnest.schema.fields()).map(|(index, field)| {
            let (value, name) = column(index);
            Value { copied: value.copied && name.as_ref() == Some(field.name()), ..value }
        });
        Flow { columns: columns.collect(), rows: input.rows.clone() }
    }

    fn value(&mut self, expression: &Expr, schema: &Arc<DFSchema>, input: &Rc<Flow>) -> Value {
        let mut value = Value::default();
        self.add(expression, schema, input, (&mut value, true));
        value.copied = value.copied && is_copy(expression);
        value
    }

    /// Every column that the expressions mention in any way.
    fn all_of(&mut self, expressions: &[Expr], schema: &Arc<DFSchema>, input: &Flow) -> Set {
        let input = Rc::new(input.clone());
        let mut value = Value::default();
        for expression in expressions {
            self.add(expression, schema, &input, (&mut value, false));
        }
        value.indirect
    }

    /// Adds what an expression is made of; `direct` is whether its value becomes part of the column's.
    fn add(&mut self, expression: &Expr, schema: &Arc<DFSchema>, input: &Rc<Flow>, (value, direct): (&mut Value, bool)) {
        match expression {
            Expr::Column(column) => take(column, schema, input, value, direct),
            Expr::OuterReferenceColumn(_, column) => {
                let found = self.outer.iter().rev().find(|(schema, _)| schema.maybe_index_of_column(column).is_some());
                if let Some((schema, flow)) = found {
                    take(column, schema, flow, value, direct);
                }
            }
            Expr::Case(Case { expr, when_then_expr, else_expr }) => {
                expr.iter().for_each(|expr| self.add(expr, schema, input, (value, false)));
                for (when, then) in when_then_expr {
                    // `case x when 1` compares `x`; a condition never is the value.
                    self.add(when, schema, input, (value, false));
                    self.add(then, schema, input, (value, direct));
                }
                else_expr.iter().for_each(|otherwise| self.add(otherwise, schema, input, (value, direct)));
            }
            Expr::WindowFunction(window) => {
                let WindowFunction { params, .. } = window.as_ref();
                params.args.iter().for_each(|arg| self.add(arg, schema, input, (value, direct)));
                let order = params.order_by.iter().map(|sort| &sort.expr);
                for decides in params.partition_by.iter().chain(order).chain(params.filter.as_deref()) {
                    self.add(decides, schema, input, (value, false));
                }
            }
            Expr::AggregateFunction(function) => {
                function.params.args.iter().for_each(|arg| self.add(arg, schema, input, (value, direct)));
                let order = function.params.order_by.iter().map(|sort| &sort.expr);
                for decides in order.chain(function.params.filter.as_deref()) {
                    self.add(decides, schema, input, (value, false));
                }
            }
            Expr::ScalarSubquery(subquery) => self.subquery(&subquery.subquery, schema, input, (value, direct)),
            Expr::InSubquery(inside) => {
                self.add(&inside.expr, schema, input, (value, direct));
                self.subquery(&inside.subquery.subquery, schema, input, (value, direct));
            }
            Expr::Exists(exists) => self.subquery(&exists.subquery.subquery, schema, input, (value, false)),
            Expr::SetComparison(compared) => {
                self.add(&compared.expr, schema, input, (value, direct));
                self.subquery(&compared.subquery.subquery, schema, input, (value, direct));
            }
            other => {
                let _ = other.apply_children(|child| {
                    self.add(child, schema, input, (value, direct));
                    Ok(TreeNodeRecursion::Continue)
                });
            }
        }
    }

    fn subquery(&mut self, plan: &LogicalPlan, schema: &Arc<DFSchema>, input: &Rc<Flow>, (value, direct): (&mut Value, bool)) {
        self.outer.push((Arc::clone(schema), Rc::clone(input)));
        let flow = self.flow(plan);
        self.outer.pop();
        for column in flow.columns {
            if direct { &mut value.direct } else { &mut value.indirect }.extend(column.direct);
            value.indirect.extend(column.indirect);
        }
        value.indirect.extend(flow.rows);
    }
}

fn take(column: &Column, schema: &DFSchema, input: &Flow, value: &mut Value, direct: bool) {
    let Some(source) = schema.maybe_index_of_column(column).and_then(|index| input.columns.get(index)) else { return };
    if direct {
        value.copied = source.copied;
        value.direct.extend(&source.direct);
    } else {
        value.indirect.extend(&source.direct);
    }
    value.indirect.extend(&source.indirect);
}

/// Whether the expression is a column, under another name or in another type.
fn is_copy(expression: &Expr) -> bool {
    match expression {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_copy(&alias.expr),
        Expr::Cast(cast) => is_copy(&cast.expr),
        Expr::TryCast(cast) => is_copy(&cast.expr),
        _ => false,
    }
}

fn empty(width: usize) -> Flow {
    Flow { columns: vec![Value::default(); width], rows: Set::new() }
}

/// Rows of several inputs under one another.
fn united(width: usize, inputs: &[Rc<Flow>]) -> Flow {
    let mut flow = empty(width);
    for input in inputs {
        for (value, from) in flow.columns.iter_mut().zip(&input.columns) {
            value.direct.extend(&from.direct);
            value.indirect.extend(&from.indirect);
            value.copied |= from.copied;
        }
        flow.rows.extend(&input.rows);
    }
    flow
}

fn relation(table: &TableReference) -> Relation {
    Relation::new(table.catalog(), table.schema(), table.table())
}
