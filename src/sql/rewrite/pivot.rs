//! `pivot` and `unpivot` as what they mean: conditional aggregates by group, and one row a column.

use sqlparser::ast::{
    BinaryOperator, Expr, ExprWithAlias, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, NullInclusion,
    PivotValueSource, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Values, Visit, Visitor,
};
use std::ops::ControlFlow;

use super::build;
use super::scope::{Source, quoted, stored};
use crate::sql::SqlError;

/// The derived table that stands for a pivot over `inner`'s columns.
pub(super) fn rewrite(factor: &TableFactor, inner: &[Source]) -> Result<TableFactor, SqlError> {
    let columns = known_columns(inner)?;
    match factor {
        TableFactor::Unpivot { table, value, name, columns: listed, null_inclusion, alias } => {
            let keep_nulls = matches!(null_inclusion, Some(NullInclusion::IncludeNulls));
            let Expr::Identifier(value) = value else {
                return Err(SqlError::new("`unpivot` of several value columns at once is not supported"));
            };
            let query = unpivot(table, &columns, (&stored(value), &stored(name)), listed, keep_nulls)?;
            Ok(derived(query, alias.clone(), inner))
        }
        TableFactor::Pivot { table, aggregate_functions, value_column, value_source, alias, .. } => {
            let PivotValueSource::List(values) = value_source else {
                return Err(SqlError::new("`pivot` needs its values listed: `for column in ('a', 'b')`"));
            };
            let [by] = value_column.as_slice() else {
                return Err(SqlError::new("`pivot` on several columns at once is not supported"));
            };
            let query = pivot(table, &columns, aggregate_functions, by, values)?;
            Ok(derived(query, alias.clone(), inner))
        }
        other => Ok(other.clone()),
    }
}

fn known_columns(inner: &[Source]) -> Result<Vec<String>, SqlError> {
    let mut all = Vec::new();
    for source in inner {
        match &source.columns {
            Some(columns) => all.extend(columns.iter().cloned()),
            None => return Err(SqlError::new("`pivot` and `unpivot` need a relation whose columns are known")),
        }
    }
    Ok(all)
}

/// `select rest, name, case name when 'a' then a … end as value from t cross join (values ('a') …)`: the input is read once.
fn unpivot(
    table: &TableFactor,
    columns: &[String],
    (value, name): (&str, &str),
    listed: &[ExprWithAlias],
    keep_nulls: bool,
) -> Result<Query, SqlError> {
    let mut branches = Vec::new();
    let mut labels = Vec::new();
    let mut used = Vec::new();
    for item in listed {
        let column = match &item.expr {
            Expr::Identifier(ident) => stored(ident),
            Expr::CompoundIdentifier(path) if !path.is_empty() => stored(&path[path.len() - 1]),
            other => return Err(SqlError::new(format!("`unpivot` lists columns, found `{other}`"))),
        };
        if !columns.contains(&column) {
            let error = SqlError::new(format!("`unpivot` names the column `{column}`, which its input does not have"));
            return Err(error.suggest(&column, columns.iter().map(String::as_str)));
        }
        let label = item.alias.as_ref().map_or_else(|| column.clone(), |alias| alias.value.clone());
        let is_this = build::binary(build::column(&[name]), BinaryOperator::Eq, build::text(&label));
        branches.push((is_this, build::column(&[&column])));
        labels.push(vec![build::text(&label)]);
        used.push(column);
    }
    let labels_table = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Values(Values {
            explicit_row: false,
            value_keyword: false,
            rows: labels.into_iter().map(sqlparser::ast::Parens::with_empty_span).collect(),
        }))),
        alias: Some(alias_with("unpivot labels", &[name])),
        sample: None,
    };
    let mut items: Vec<SelectItem> =
        columns.iter().filter(|c| !used.contains(c)).map(|c| SelectItem::UnnamedExpr(build::column(&[c]))).collect();
    items.push(SelectItem::UnnamedExpr(build::column(&[name])));
    items.push(SelectItem::ExprWithAlias { expr: build::case(branches, None), alias: quoted(value) });
    let all = select(items, vec![from(table.clone()), from(labels_table)]);
    if keep_nulls {
        return Ok(query_of(SetExpr::Select(Box::new(all))));
    }
    let rows = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(all)))),
        alias: Some(alias_with("unpivot rows", &[])),
        sample: None,
    };
    let mut present = select(vec![SelectItem::Wildcard(Default::default())], vec![from(rows)]);
    present.selection = Some(build::is_not_null(build::column(&[value])));
    Ok(query_of(SetExpr::Select(Box::new(present))))
}

fn pivot(
    table: &TableFactor,
    columns: &[String],
    aggregates: &[ExprWithAlias],
    by: &Expr,
    values: &[ExprWithAlias],
) -> Result<Query, SqlError> {
    let mut used = columns_in(by);
    aggregates.iter().for_each(|aggregate| used.extend(columns_in(&aggregate.expr)));
    let keys: Vec<Expr> = columns.iter().filter(|c| !used.contains(c)).map(|c| build::column(&[c])).collect();
    let mut items: Vec<SelectItem> = keys.iter().cloned().map(SelectItem::UnnamedExpr).collect();
    for value in values {
        let label = match (&value.alias, build::literal_text(&value.expr)) {
            (Some(alias), _) => stored(alias),
            (None, Some(text)) => text.to_string(),
            (None, None) => value.expr.to_string(),
        };
        for aggregate in aggregates {
            let matches = build::binary(by.clone(), BinaryOperator::Eq, value.expr.clone());
            let name = match &aggregate.alias {
                Some(alias) => format!("{label}_{}", stored(alias)),
                None if aggregates.len() > 1 => format!("{label}_{}", super::shape::output_name(&aggregate.expr)),
                None => label.clone(),
            };
            items.push(SelectItem::ExprWithAlias { expr: only_where(&aggregate.expr, matches)?, alias: quoted(&name) });
        }
    }
    let mut rows = select(items, vec![from(table.clone())]);
    rows.group_by = GroupByExpr::Expressions(keys, Vec::new());
    Ok(query_of(SetExpr::Select(Box::new(rows))))
}

/// `sum(x)` as `sum(case when condition then x end)`.
fn only_where(aggregate: &Expr, condition: Expr) -> Result<Expr, SqlError> {
    let Expr::Function(function) = aggregate else {
        return Err(SqlError::new(format!("`pivot` takes an aggregate call, found `{aggregate}`")));
    };
    let mut function = function.clone();
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(first) = list.args.first_mut()
    {
        let inner = match first {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => expr.clone(),
            _ => build::number(1),
        };
        *first = FunctionArg::Unnamed(FunctionArgExpr::Expr(build::case(vec![(condition, inner)], None)));
    }
    Ok(Expr::Function(function))
}

fn columns_in(expr: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) => self.0.push(stored(ident)),
                Expr::CompoundIdentifier(path) => self.0.extend(path.last().map(stored)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = expr.visit(&mut names);
    names.0
}

// ── Query pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────

pub(super) fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

pub(super) fn select(projection: Vec<SelectItem>, from: Vec<TableWithJoins>) -> Select {
    Select {
        select_token: sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: sqlparser::ast::SelectFlavor::Standard,
    }
}

pub(super) fn from(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: Vec::new() }
}

pub(super) fn alias_with(name: &str, columns: &[&str]) -> TableAlias {
    TableAlias {
        explicit: true,
        name: quoted(name),
        columns: columns.iter().map(|c| sqlparser::ast::TableAliasColumnDef { name: quoted(c), data_type: None }).collect(),
        at: None,
    }
}

/// The query as a table named as the pivot was, or else as its input was.
fn derived(query: Query, alias: Option<TableAlias>, inner: &[Source]) -> TableFactor {
    let own = inner.first().and_then(|source| source.name.as_deref()).unwrap_or("pivoted");
    let alias =
        alias.unwrap_or_else(|| TableAlias { explicit: true, name: Ident::with_quote('"', own), columns: Vec::new(), at: None });
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None }
}
