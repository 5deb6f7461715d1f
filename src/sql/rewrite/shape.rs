//! Shapes of queries and select items: output names, wildcard options, limits in other spellings.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, LimitClause, ObjectName, Query, RenameSelectItem, Select, SelectFlavor, SelectItem, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TopQuantity, Value, Visit, VisitMut, Visitor, VisitorMut,
    WildcardAdditionalOptions,
};

use super::scope::{self, stored};
use super::{build, pivot};
use crate::sql::SqlError;
use crate::sql::types;

/// `top n`, `fetch first n rows`, `limit all`, `order by all` as `limit` and `order by`; row locks are dropped.
pub(super) fn normalize_query(query: &mut Query, columns: Option<&[String]>) -> Result<(), SqlError> {
    query.locks.clear();
    if let Some(order) = &mut query.order_by {
        scope::order_by_all(&mut order.kind, columns)?;
    }
    if let Some(fetch) = query.fetch.take() {
        if fetch.percent || fetch.with_ties {
            return Err(SqlError::new("`fetch first … percent` and `with ties` are not supported"));
        }
        limit(query, fetch.quantity.unwrap_or_else(|| build::number(1)));
    }
    if let SetExpr::Select(select) = &mut *query.body
        && let Some(top) = select.top.take()
    {
        if top.percent || top.with_ties {
            return Err(SqlError::new("`top … percent` and `with ties` are not supported"));
        }
        match top.quantity {
            Some(TopQuantity::Constant(n)) => limit(query, Expr::value(Value::Number(n.to_string(), false))),
            Some(TopQuantity::Expr(n)) => limit(query, n),
            None => {}
        }
    }
    Ok(())
}

fn limit(query: &mut Query, rows: Expr) {
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(rows),
        other => *other = Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() }),
    }
}

/// `from t` and `from t select x` (DuckDB) as `select … from t`.
pub(super) fn normalize_select(select: &mut Select) {
    if select.flavor == SelectFlavor::FromFirstNoSelect {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    }
    select.flavor = SelectFlavor::Standard;
}

/// `x in (select y …)` as a look into the list of all `y`; null stays null.
fn in_collected(value: Expr, query: Query, negated: bool) -> Expr {
    let rows = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(pivot::alias_with("__rows", &["__field"])),
        sample: None,
    };
    let mut collect = build::function("array_agg", vec![build::column(&["__field"])]);
    if let FunctionArguments::List(list) = &mut collect.args {
        list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
    }
    let item = SelectItem::ExprWithAlias { expr: Expr::Function(collect), alias: scope::quoted("fields") };
    let all = pivot::query_of(SetExpr::Select(Box::new(pivot::select(vec![item], vec![pivot::from(rows)]))));
    let has = build::call("array_has", vec![Expr::Subquery(Box::new(all)), value.clone()]);
    let known = build::call("coalesce", vec![has, Expr::value(Value::Boolean(false))]);
    let known = if negated { build::not(known) } else { known };
    build::nested(build::case(vec![(build::is_null(value), build::null())], Some(known)))
}

/// `exists (select …)` and `x in (select …)` in a select list as values: DataFusion plans them as filters only.
pub(super) fn exists_as_values(items: &mut Vec<SelectItem>) {
    struct Exists {
        depth: usize,
    }
    impl VisitorMut for Exists {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 0
                && let Expr::Exists { subquery, negated } = expr
            {
                let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
                *expr = Expr::Subquery(Box::new(count_rows((**subquery).clone(), op)));
            } else if self.depth == 0
                && let Expr::InSubquery { expr: value, subquery, negated } = expr
            {
                *expr = in_collected((**value).clone(), (**subquery).clone(), *negated);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = items.visit(&mut Exists { depth: 0 });
}

/// `select count(*) > 0` (or `= 0`) of a query's rows; over the query itself where nothing in it changes how many rows there
/// are, so that a correlation stays where DataFusion finds it.
fn count_rows(mut query: Query, op: BinaryOperator) -> Query {
    let mut count = build::function("count", Vec::new());
    if let FunctionArguments::List(list) = &mut count.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
    }
    let item = SelectItem::ExprWithAlias {
        expr: build::binary(Expr::Function(count), op, build::number(0)),
        alias: scope::quoted("exists"),
    };
    if let SetExpr::Select(select) = &mut *query.body
        && matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty())
        && (select.having.is_none() && select.qualify.is_none() && query.limit_clause.is_none())
        && !select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::ExprWithAlias { expr, .. } if is_aggregate_or_window(expr)))
    {
        select.distinct = None;
        select.projection = vec![item];
        query.order_by = None;
        return query;
    }
    let rows = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(pivot::alias_with("rows", &[])),
        sample: None,
    };
    pivot::query_of(SetExpr::Select(Box::new(pivot::select(vec![item], vec![pivot::from(rows)]))))
}

/// `generate_series(1, 3) as n` names its column `n`; a `lateral` before a function is what DataFusion does anyway.
pub(super) fn normalize_table_function(factor: &mut TableFactor) {
    if let TableFactor::Function { name, args, alias, .. } = factor {
        let plain = |arg: &FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        };
        let own = name.to_string().to_lowercase();
        if own == "unnest"
            && let Some(array_exprs) = args.iter().map(plain).collect()
        {
            let alias = alias.clone();
            *factor =
                TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_offset_alias: None, with_ordinality: false };
        }
    }
    let TableFactor::Table { name, alias, args: Some(_), .. } = factor else { return };
    let own = name.to_string().to_lowercase();
    if own != "generate_series" && own != "range" {
        return;
    }
    let alias =
        alias.get_or_insert_with(|| TableAlias { explicit: true, name: scope::quoted(&own), columns: Vec::new(), at: None });
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
    }
}

/// What a wildcard calls a column: its name, another one, or nothing where it leaves it out.
pub(super) fn wildcard_name(options: &WildcardAdditionalOptions, column: &str) -> Option<String> {
    let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(stored);
    let excluded = match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => last(name).as_deref() == Some(column),
        Some(ExcludeSelectItem::Multiple(names)) => names.iter().any(|name| last(name).as_deref() == Some(column)),
        None => false,
    };
    let excepted = options.opt_except.as_ref().is_some_and(|except| {
        std::iter::once(&except.first_element).chain(&except.additional_elements).any(|name| stored(name) == column)
    });
    let unlike = options.opt_ilike.as_ref().is_some_and(|ilike| !ilike_matches(&ilike.pattern, column));
    if excluded || excepted || unlike {
        return None;
    }
    let renames = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(many)) => many.as_slice(),
        None => &[],
    };
    let renamed = renames.iter().find(|rename| stored(&rename.ident) == column).map(|rename| stored(&rename.alias));
    Some(renamed.unwrap_or_else(|| column.to_string()))
}

pub(super) fn wildcard_replacement(options: &WildcardAdditionalOptions, column: &str) -> Option<Expr> {
    let items = &options.opt_replace.as_ref()?.items;
    items.iter().find(|item| stored(&item.column_name) == column).map(|item| item.expr.clone())
}

/// `like` on a column name: `%` any run, `_` any one character, letter case ignored.
fn ilike_matches(pattern: &str, name: &str) -> bool {
    let mut expression = String::from("(?is)^");
    for c in pattern.chars() {
        match c {
            '%' => expression.push_str(".*"),
            '_' => expression.push('.'),
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    expression.push('$');
    regex::Regex::new(&expression).is_ok_and(|regex| regex.is_match(name))
}

/// Functions that DataFusion turns into several columns or rows and that carry no alias well.
pub(super) fn is_expanding(function: &Function) -> bool {
    matches!(build::name_of(function).as_str(), "unnest" | "columns")
}

/// The name PostgreSQL gives a select item without an alias (`FigureColname` in its `parse_target.c`).
pub(super) fn output_name(expr: &Expr) -> String {
    named(expr).unwrap_or_else(|| "?column?".to_string())
}

fn named(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Identifier(ident) => stored(ident),
        Expr::CompoundIdentifier(path) => stored(path.last()?),
        Expr::Function(function) => function.name.0.last()?.as_ident().map(stored)?,
        Expr::Cast { expr, data_type, .. } => named(expr).unwrap_or_else(|| type_label(data_type)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => return named(inner),
        Expr::CompoundFieldAccess { root, .. } => return named(root),
        Expr::Case { else_result, .. } => match else_result.as_deref() {
            Some(column @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => named(column)?,
            _ => "case".into(),
        },
        Expr::TypedString(typed) => type_label(&typed.data_type),
        Expr::Extract { .. } => "extract".into(),
        Expr::Substring { .. } => "substring".into(),
        Expr::Position { .. } => "position".into(),
        Expr::Overlay { .. } => "overlay".into(),
        Expr::Trim { .. } => "btrim".into(),
        Expr::Ceil { .. } => "ceil".into(),
        Expr::Floor { .. } => "floor".into(),
        Expr::Exists { .. } => "exists".into(),
        Expr::AtTimeZone { .. } => "timezone".into(),
        Expr::Interval(_) => "interval".into(),
        Expr::Array(_) => "array".into(),
        Expr::Tuple(_) => "row".into(),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => "bool".into(),
        Expr::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::ExprWithAlias { alias, .. } => stored(alias),
                SelectItem::UnnamedExpr(expr) => return named(expr),
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    })
}

fn type_label(data_type: &DataType) -> String {
    use arrow::datatypes::DataType as Arrow;
    match types::arrow_of(data_type) {
        Some(Arrow::Int16) => "int2".into(),
        Some(Arrow::Int32) => "int4".into(),
        Some(Arrow::Int64) => "int8".into(),
        Some(Arrow::Float32) => "float4".into(),
        Some(Arrow::Float64) => "float8".into(),
        Some(Arrow::Boolean) => "bool".into(),
        Some(Arrow::Decimal128(..) | Arrow::Decimal256(..)) => "numeric".into(),
        Some(Arrow::Timestamp(_, Some(_))) => "timestamptz".into(),
        _ => {
            let text = data_type.to_string().to_lowercase();
            text.split(['(', ' ']).next().unwrap_or("text").to_string()
        }
    }
}

const AGGREGATES: &[&str] = &[
    "sum",
    "count",
    "avg",
    "min",
    "max",
    "listagg",
    "string_agg",
    "array_agg",
    "median",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "bool_or",
    "bool_and",
    "every",
    "any_value",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "approx_count_distinct",
    "approx_distinct",
    "min_by",
    "max_by",
    "count_if",
    "corr",
    "covar_samp",
    "covar_pop",
];

/// Whether an expression aggregates or looks over a window at its own level, so that `where` cannot hold it.
pub(super) fn is_aggregate_or_window(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(f) if f.over.is_some() || AGGREGATES.contains(&build::name_of(f).as_str()) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Find).is_break()
}
