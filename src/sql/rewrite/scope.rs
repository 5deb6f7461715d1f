//! Names in reach: which columns each `from` brings, and what follows from it.
//!
//! An alias of the same select list may be used in later items, `where`, `on` (Redshift, Snowflake); a column of the `from`
//! wins over an alias of the same name, as in Redshift. Where a table's columns are not known no alias is put in, so that a
//! column is never hidden.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, OrderByKind, OrderByOptions, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Value, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::{ColumnLookup, join, pivot, shape};
use crate::sql::SqlError;

/// Column names in order; `None` where they are not known.
pub(super) type Columns = Option<Vec<String>>;

/// One relation of a `from` clause.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The name its columns may be qualified with, as stored.
    pub name: Option<String>,
    pub columns: Columns,
    /// Columns that `using` or `natural` merges into an earlier source's.
    pub merged: Vec<String>,
}

/// Resolves every query of a statement.
pub(super) fn resolve(statement: &mut Statement, lookup: &dyn ColumnLookup) -> Result<(), SqlError> {
    let mut scope = Scope { lookup, ctes: Vec::new() };
    match each_query(statement, |query| scope.query(query).map(|_| ())) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Calls `visit` for the outermost queries inside a node, not for queries inside those.
pub(super) fn each_query<N: VisitMut>(
    node: &mut N,
    visit: impl FnMut(&mut Query) -> Result<(), SqlError>,
) -> ControlFlow<Box<SqlError>> {
    struct Outermost<F> {
        depth: usize,
        visit: F,
    }
    impl<F: FnMut(&mut Query) -> Result<(), SqlError>> VisitorMut for Outermost<F> {
        type Break = Box<SqlError>;

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Box<SqlError>> {
            if self.depth == 0
                && let Err(error) = (self.visit)(query)
            {
                return ControlFlow::Break(Box::new(error));
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Box<SqlError>> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    node.visit(&mut Outermost { depth: 0, visit })
}

/// An identifier as the database stores it: unquoted folds to lower case.
pub(super) fn stored(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

pub(super) struct Scope<'a> {
    lookup: &'a dyn ColumnLookup,
    /// Common table expressions in reach, innermost last.
    ctes: Vec<(String, Columns)>,
}

impl Scope<'_> {
    /// Rewrites a query; answers its columns.
    pub(super) fn query(&mut self, query: &mut Query) -> Result<Columns, SqlError> {
        let outer = self.ctes.len();
        if let Some(with) = &mut query.with {
            for cte in &mut with.cte_tables {
                let name = stored(&cte.alias.name);
                let columns = match (&mut *cte.query.body, with.recursive && cte.query.with.is_none()) {
                    (SetExpr::SetOperation { left, right, .. }, true) => {
                        let columns = renamed(self.set_expr(left)?, Some(&cte.alias));
                        self.ctes.push((name.clone(), columns.clone()));
                        self.set_expr(right)?;
                        self.ctes.pop();
                        columns
                    }
                    _ => renamed(self.query(&mut cte.query)?, Some(&cte.alias)),
                };
                self.ctes.push((name, columns));
            }
        }
        let columns = self.set_expr(&mut query.body)?;
        self.subqueries(&mut query.order_by)?;
        shape::normalize_query(query, columns.as_deref())?;
        self.ctes.truncate(outer);
        Ok(columns)
    }

    fn set_expr(&mut self, body: &mut SetExpr) -> Result<Columns, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let columns = self.set_expr(left)?;
                self.set_expr(right)?;
                Ok(columns)
            }
            SetExpr::Values(values) => {
                for row in &mut values.rows {
                    self.subqueries(row)?;
                }
                Ok(values.rows.first().map(|row| (1..=row.len()).map(|n| format!("column{n}")).collect()))
            }
            _ => Ok(None),
        }
    }

    fn subqueries<N: VisitMut>(&mut self, node: &mut N) -> Result<(), SqlError> {
        match each_query(node, |query| self.query(query).map(|_| ())) {
            ControlFlow::Break(error) => Err(*error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn select(&mut self, select: &mut Select) -> Result<Columns, SqlError> {
        shape::normalize_select(select);
        let mut sources = Vec::new();
        for table in &mut select.from {
            self.table_with_joins(table, &mut sources)?;
        }
        join::decorrelate_top_n(select, &sources)?;
        self.subqueries(&mut select.projection)?;
        self.subqueries(&mut select.selection)?;
        self.subqueries(&mut select.having)?;
        self.subqueries(&mut select.qualify)?;
        self.subqueries(&mut select.group_by)?;
        expand_wildcards(&mut select.projection, &sources)?;
        name_items(&mut select.projection);
        shape::exists_as_values(&mut select.projection);
        let aliases = inline_aliases(&mut select.projection, &sources);
        replace_where_unknown(&mut select.selection, &aliases, &sources);
        for table in &mut select.from {
            for constraint in table.joins.iter_mut().filter_map(constraint_of) {
                if let JoinConstraint::On(condition) = constraint {
                    put_aliases(condition, &aliases, &sources);
                }
            }
        }
        group_by_alias_of_column(select, &sources);
        Ok(output_columns(&select.projection, &sources))
    }

    fn table_with_joins(&mut self, table: &mut TableWithJoins, sources: &mut Vec<Source>) -> Result<(), SqlError> {
        let first = self.table_factor(&mut table.relation)?;
        sources.extend(first);
        for join in &mut table.joins {
            let mut right = self.table_factor(&mut join.relation)?;
            if let Some(constraint) = constraint_of(join) {
                if let JoinConstraint::On(condition) = constraint {
                    self.subqueries(condition)?;
                }
                for source in &mut right {
                    source.merged = merged_columns(constraint, source, sources);
                }
            }
            sources.extend(right);
        }
        Ok(())
    }

    /// The sources a table factor brings; a pivot is rewritten on the way.
    fn table_factor(&mut self, factor: &mut TableFactor) -> Result<Vec<Source>, SqlError> {
        if matches!(factor, TableFactor::Pivot { .. } | TableFactor::Unpivot { .. }) {
            let (TableFactor::Pivot { table, .. } | TableFactor::Unpivot { table, .. }) = factor else { return Ok(Vec::new()) };
            let inner = self.table_factor(table)?;
            *factor = pivot::rewrite(factor, &inner)?;
        }
        shape::normalize_table_function(factor);
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let columns = if args.is_some() { None } else { self.table_columns(name) };
                let columns = renamed(columns, alias.as_ref());
                let own = name.0.last().and_then(|part| part.as_ident()).map(stored);
                let name = alias.as_ref().map(|a| stored(&a.name)).or(own);
                Ok(vec![Source { name, columns, merged: Vec::new() }])
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let columns = renamed(self.query(subquery)?, alias.as_ref());
                Ok(vec![Source { name: alias.as_ref().map(|a| stored(&a.name)), columns, merged: Vec::new() }])
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut sources = Vec::new();
                self.table_with_joins(table_with_joins, &mut sources)?;
                match alias {
                    Some(alias) => Ok(vec![Source { name: Some(stored(&alias.name)), columns: None, merged: Vec::new() }]),
                    None => Ok(sources),
                }
            }
            TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::TableFunction { alias, .. } => {
                Ok(vec![Source { name: alias.as_ref().map(|a| stored(&a.name)), columns: None, merged: Vec::new() }])
            }
            _ => Ok(vec![Source { name: None, columns: None, merged: Vec::new() }]),
        }
    }

    fn table_columns(&self, name: &ObjectName) -> Columns {
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(stored).collect();
        if let [only] = parts.as_slice()
            && let Some((_, columns)) = self.ctes.iter().rev().find(|(cte, _)| cte == only)
        {
            return columns.clone();
        }
        self.lookup.columns(&parts)
    }
}

/// Column names after `as t(a, b)`.
fn renamed(columns: Columns, alias: Option<&TableAlias>) -> Columns {
    let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) else { return columns };
    let given = alias.columns.iter().map(|column| stored(&column.name));
    let rest = columns.unwrap_or_default().into_iter().skip(alias.columns.len());
    Some(given.chain(rest).collect())
}

pub(super) fn constraint_of(join: &mut Join) -> Option<&mut JoinConstraint> {
    match &mut join.join_operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c)
        | JoinOperator::CrossJoin(c)
        | JoinOperator::Semi(c)
        | JoinOperator::LeftSemi(c)
        | JoinOperator::RightSemi(c)
        | JoinOperator::Anti(c)
        | JoinOperator::LeftAnti(c)
        | JoinOperator::RightAnti(c)
        | JoinOperator::StraightJoin(c) => Some(c),
        _ => None,
    }
}

fn merged_columns(constraint: &JoinConstraint, source: &Source, left: &[Source]) -> Vec<String> {
    match constraint {
        JoinConstraint::Using(names) => {
            names.iter().filter_map(|name| name.0.last()).filter_map(|part| part.as_ident()).map(stored).collect()
        }
        JoinConstraint::Natural => {
            let own = source.columns.iter().flatten();
            own.filter(|name| left.iter().any(|s| s.columns.iter().flatten().any(|c| c == *name))).cloned().collect()
        }
        _ => Vec::new(),
    }
}

// ── The select list ──────────────────────────────────────────────────────────────────────────────────────────────────

/// Spells out `*` where it carries options DataFusion does not plan (`rename`, `ilike`); the others it plans itself.
fn expand_wildcards(items: &mut Vec<SelectItem>, sources: &[Source]) -> Result<(), SqlError> {
    let needs = |options: &WildcardAdditionalOptions| options.opt_rename.is_some() || options.opt_ilike.is_some();
    let mut expanded = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match &item {
            SelectItem::Wildcard(options) if needs(options) => expanded.extend(explicit(options, sources, None)?),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) if needs(options) => {
                let name = name.0.last().and_then(|part| part.as_ident()).map(stored);
                expanded.extend(explicit(options, sources, name.as_deref())?);
            }
            _ => expanded.push(item),
        }
    }
    *items = expanded;
    Ok(())
}

fn explicit(options: &WildcardAdditionalOptions, sources: &[Source], only: Option<&str>) -> Result<Vec<SelectItem>, SqlError> {
    let mut items = Vec::new();
    for source in sources.iter().filter(|source| only.is_none() || source.name.as_deref() == only) {
        let Some(columns) = &source.columns else {
            return Err(SqlError::new("`*` with `rename` or `ilike` needs a relation whose columns are known"));
        };
        for column in columns.iter().filter(|column| !source.merged.contains(column)) {
            let Some(name) = shape::wildcard_name(options, column) else { continue };
            let replaced = shape::wildcard_replacement(options, column);
            let qualifier = source.name.as_deref().map(quoted);
            let path: Vec<Ident> = qualifier.into_iter().chain([quoted(column)]).collect();
            let expr = replaced.unwrap_or(if path.len() == 1 {
                Expr::Identifier(quoted(column))
            } else {
                Expr::CompoundIdentifier(path)
            });
            items.push(SelectItem::ExprWithAlias { expr, alias: quoted(&name) });
        }
    }
    Ok(items)
}

/// Gives computed items the name PostgreSQL gives them (`count`, `coalesce`, the column below a cast), numbered where two would
/// agree.
fn name_items(items: &mut [SelectItem]) {
    let mut taken: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(stored(alias)),
            SelectItem::UnnamedExpr(expr) => column_name(expr),
            _ => None,
        })
        .collect();
    for item in items {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if column_name(expr).is_some() || matches!(expr, Expr::Function(f) if shape::is_expanding(f)) {
            continue;
        }
        let base = shape::output_name(expr);
        let name = (0..).map(|n| if n == 0 { base.clone() } else { format!("{base}_{n}") }).find(|name| !taken.contains(name));
        let name = name.unwrap_or(base);
        taken.push(name.clone());
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted(&name) };
    }
}

/// The name of an item that is nothing but a column.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(stored(ident)),
        Expr::CompoundIdentifier(path) => path.last().map(stored),
        _ => None,
    }
}

fn output_columns(items: &[SelectItem], sources: &[Source]) -> Columns {
    let mut names = Vec::new();
    for item in items {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => names.push(stored(alias)),
            SelectItem::UnnamedExpr(expr) => names.push(column_name(expr).unwrap_or_else(|| shape::output_name(expr))),
            SelectItem::Wildcard(options) => names.extend(wildcard_columns(options, sources, None)?),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let name = name.0.last().and_then(|part| part.as_ident()).map(stored);
                names.extend(wildcard_columns(options, sources, name.as_deref())?);
            }
            _ => return None,
        }
    }
    Some(names)
}

fn wildcard_columns(options: &WildcardAdditionalOptions, sources: &[Source], only: Option<&str>) -> Columns {
    let mut names = Vec::new();
    for source in sources.iter().filter(|source| only.is_none() || source.name.as_deref() == only) {
        let own = source.columns.as_ref()?.iter().filter(|column| only.is_some() || !source.merged.contains(column));
        names.extend(own.filter_map(|column| shape::wildcard_name(options, column)));
    }
    Some(names)
}

// ── Aliases beside their definition ──────────────────────────────────────────────────────────────────────────────────

type Aliases = Vec<(String, Expr)>;

/// Puts earlier items in for their aliases in later ones; answers all aliases with what they stand for.
fn inline_aliases(items: &mut [SelectItem], sources: &[Source]) -> Aliases {
    let mut aliases: Aliases = Vec::new();
    for item in items {
        match item {
            SelectItem::ExprWithAlias { expr, alias } => {
                put_aliases(expr, &aliases, sources);
                // A later item of the same name does not change what the earlier ones meant.
                aliases.push((stored(alias), expr.clone()));
            }
            SelectItem::UnnamedExpr(expr) => {
                let name = column_name(expr);
                let before = expr.clone();
                put_aliases(expr, &aliases, sources);
                if let Some(name) = name.filter(|_| *expr != before) {
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted(&name) };
                }
            }
            _ => {}
        }
    }
    aliases
}

fn replace_where_unknown(condition: &mut Option<Expr>, aliases: &Aliases, sources: &[Source]) {
    if let Some(condition) = condition {
        let scalar: Aliases = aliases.iter().filter(|(_, expr)| !shape::is_aggregate_or_window(expr)).cloned().collect();
        put_aliases(condition, &scalar, sources);
    }
}

/// Replaces unqualified names that no source has by what the alias of that name stands for; queries inside are left alone.
fn put_aliases(expr: &mut Expr, aliases: &Aliases, sources: &[Source]) {
    struct Put<'a> {
        aliases: &'a Aliases,
        sources: &'a [Source],
        depth: usize,
    }
    impl VisitorMut for Put<'_> {
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
                && let Expr::Identifier(ident) = expr
                && let name = stored(ident)
                && let Some((_, meaning)) = self.aliases.iter().rev().find(|(alias, _)| *alias == name)
                && is_free(&name, self.sources)
            {
                *expr = Expr::Nested(Box::new(meaning.clone()));
            }
            ControlFlow::Continue(())
        }
    }
    if !aliases.is_empty() {
        let _ = expr.visit(&mut Put { aliases, sources, depth: 0 });
    }
}

/// Whether certainly no source has such a column.
fn is_free(name: &str, sources: &[Source]) -> bool {
    sources.iter().all(|source| {
        let is_row = source.name.as_deref() == Some(name);
        !is_row && source.columns.as_ref().is_some_and(|columns| !columns.iter().any(|column| column == name))
    })
}

/// `group by cat_name` where two sources have that column but the list selects `c.cat_name`: the item is meant.
fn group_by_alias_of_column(select: &mut Select, sources: &[Source]) {
    let GroupByExpr::Expressions(exprs, _) = &mut select.group_by else { return };
    for expr in exprs {
        let Expr::Identifier(ident) = &*expr else { continue };
        let name = stored(ident);
        let holders =
            sources.iter().filter(|s| s.columns.iter().flatten().any(|c| *c == name) && !s.merged.contains(&name)).count();
        if holders < 2 {
            continue;
        }
        let item = select.projection.iter().find_map(|item| match item {
            SelectItem::UnnamedExpr(item @ Expr::CompoundIdentifier(path)) if path.last().map(stored).as_ref() == Some(&name) => {
                Some(item)
            }
            _ => None,
        });
        if let Some(item) = item {
            *expr = item.clone();
        }
    }
}

/// `order by all`: every column in turn, by position.
pub(super) fn order_by_all(kind: &mut OrderByKind, columns: Option<&[String]>) -> Result<(), SqlError> {
    let OrderByKind::All(options) = kind else { return Ok(()) };
    let options: OrderByOptions = *options;
    let count = columns.ok_or_else(|| SqlError::new("`order by all` needs a select list whose columns are known"))?.len();
    let position = |n: usize| Expr::value(Value::Number(n.to_string(), false));
    *kind = OrderByKind::Expressions(
        (1..=count).map(|n| sqlparser::ast::OrderByExpr { expr: position(n), options, with_fill: None }).collect(),
    );
    Ok(())
}
