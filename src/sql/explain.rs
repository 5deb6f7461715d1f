//! The planner's errors in words for people: what is wrong, at which place of the text, and the nearest name.

use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, SchemaError, Spans};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use sqlparser::ast::{Expr as SqlExpr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement, Visit, Visitor};

use super::SqlError;

type Position = (u32, u32);

/// Where each name stands in the text, taken before the rewrite moves things.
#[derive(Default)]
pub(super) struct Places {
    names: Vec<(String, Position)>,
    /// Sides of `union` and its like that have another number of columns than the side before.
    uneven: Vec<Position>,
}

impl Places {
    pub fn of(statement: &Statement) -> Self {
        let mut places = Self::default();
        let _ = statement.visit(&mut places);
        places
    }

    fn ident(&mut self, ident: &Ident) {
        let start = ident.span.start;
        if start.line > 0 {
            self.names.push((ident.value.to_lowercase(), (start.line as u32, start.column as u32)));
        }
    }

    fn name(&mut self, name: &ObjectName) {
        if let Some(ident) = name.0.last().and_then(|part| part.as_ident()) {
            self.ident(ident);
        }
    }

    fn sides(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { left, right, .. } = body {
            self.sides(left);
            self.sides(right);
            if let (Some(left), Some((right, place))) = (last_side(left), first_select(right).map(|it| (it, place_of(it))))
                && width(left).zip(width(right)).is_some_and(|(left, right)| left != right)
            {
                self.uneven.push(place);
            }
        }
    }

    fn find(&self, name: &str) -> Option<Position> {
        let name = name.to_lowercase();
        self.names.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
    }

    /// The engine's error as one of ours.
    pub fn explain(&self, error: &DataFusionError, state: &SessionState) -> SqlError {
        let functions = || state.scalar_functions().keys().chain(state.aggregate_functions().keys()).map(String::as_str);
        self.explained(error, |wrong, error| error.suggest(wrong, functions()))
    }

    fn explained(&self, error: &DataFusionError, nearest_function: impl Fn(&str, SqlError) -> SqlError) -> SqlError {
        let noted = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let noted = noted.map(|span| (span.start.line as u32, span.start.column as u32)).filter(|(line, _)| *line > 0);
        let root = error.find_root();
        if let DataFusionError::SchemaError(schema, _) = root {
            return self.schema_error(schema, noted);
        }
        let text = root.strip_backtrace();
        let text = text.strip_prefix("Error during planning: ").unwrap_or(&text);
        let at = |name: &str, error: SqlError| SqlError { position: self.find(name).or(noted), ..error };
        if let Some(name) = quoted_after(text, "Invalid function '") {
            let error = at(name, SqlError::new(format!("function `{name}` does not exist")).coded("function-not-found"));
            return nearest_function(name, error);
        }
        if let Some(name) = quoted_after(text, "table function '") {
            return at(name, SqlError::new(format!("table function `{name}` does not exist")).coded("function-not-found"));
        }
        if let Some(name) = quoted_after(text, "table '") {
            let last = name.rsplit('.').next().unwrap_or(name);
            return at(last, SqlError::new(format!("relation `{name}` does not exist")).coded("relation-missing"));
        }
        if text.contains("No function matches the given name") {
            return self.wrong_arguments(text);
        }
        if text.contains("different number of columns") || text.contains("must have the same number of columns") {
            let error = SqlError::new("the sides of `union` (or `intersect`, `except`) have different numbers of columns");
            return SqlError { position: self.uneven.first().copied().or(noted), ..error.coded("union-columns") };
        }
        let message = text.strip_prefix("This feature is not implemented: ").map(|rest| format!("not supported: {rest}"));
        let error = SqlError::new(message.unwrap_or_else(|| text.to_string()));
        let of_types = ["Cannot infer common", "Cannot coerce", "cannot be coerced", "common argument type", "compatible type"];
        let code = if of_types.iter().any(|part| text.contains(part)) { "type-mismatch" } else { error.code };
        SqlError { position: noted, ..error.coded(code) }
    }

    /// `… No function matches the given name and argument types 'round(Utf8)'. You might need …`.
    fn wrong_arguments(&self, text: &str) -> SqlError {
        let call = quoted_after(text, "argument types '").unwrap_or_default();
        let name = call.split('(').next().unwrap_or_default();
        let candidates = text.split("Candidate functions:").nth(1).unwrap_or_default();
        let candidates: Vec<&str> = candidates.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
        let error = SqlError::new(format!("`{call}`: no function of this name takes such arguments")).coded("function-arguments");
        let error = SqlError { position: self.find(name), ..error };
        if candidates.is_empty() { error } else { error.with_help(format!("expected one of {}", candidates.join(", "))) }
    }

    fn schema_error(&self, error: &SchemaError, noted: Option<Position>) -> SqlError {
        match error {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let position = first(&field.spans).or(noted).or_else(|| self.find(&field.name));
                let named = match &field.relation {
                    Some(relation) => format!("{relation}.{}", field.name),
                    None => field.name.clone(),
                };
                let error = SqlError::new(format!("column `{named}` does not exist")).coded("column-not-found");
                let error = SqlError { position, ..error };
                let suggested = error.clone().suggest(&field.name, valid_fields.iter().map(|column| column.name.as_str()));
                if suggested.help.is_some() || valid_fields.is_empty() {
                    return suggested;
                }
                let names: Vec<&str> = valid_fields.iter().take(12).map(|column| column.name.as_str()).collect();
                error.with_help(format!("columns in reach: {}", names.join(", ")))
            }
            SchemaError::AmbiguousReference { field } => {
                let error = SqlError::new(format!("column reference `{}` is ambiguous", field.name)).coded("column-ambiguous");
                SqlError { position: first(&field.spans).or(noted).or_else(|| self.find(&field.name)), ..error }
            }
            other => SqlError { position: noted, ..SqlError::new(other.to_string()) },
        }
    }
}

impl Visitor for Places {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.sides(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.name(relation);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &SqlExpr) -> ControlFlow<()> {
        match expr {
            SqlExpr::Identifier(ident) => self.ident(ident),
            SqlExpr::CompoundIdentifier(path) => path.last().into_iter().for_each(|ident| self.ident(ident)),
            SqlExpr::Function(function) => self.name(&function.name),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

/// The side that stands before the next operator of a chain.
fn last_side(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::SetOperation { right, .. } => first_select(right),
        other => first_select(other),
    }
}

/// How many columns a select gives, where it says so.
fn width(select: &Select) -> Option<usize> {
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    select.projection.iter().all(plain).then_some(select.projection.len())
}

fn place_of(select: &Select) -> Position {
    let start = select.select_token.0.span.start;
    (start.line as u32, start.column as u32)
}

fn first(spans: &Spans) -> Option<Position> {
    spans.first().map(|span| (span.start.line as u32, span.start.column as u32)).filter(|(line, _)| *line > 0)
}

/// The text between a prefix that ends in a quote and the next quote.
fn quoted_after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = &text[text.find(prefix)? + prefix.len()..];
    rest.split('\'').next()
}

/// The place of the innermost expression of a plan whose types do not go together.
pub(super) fn mistyped(plan: &LogicalPlan, places: &Places) -> Option<Position> {
    let mut found = None;
    let _ = plan.apply_with_subqueries(|step| {
        let inputs = step.inputs();
        let schema = if inputs.is_empty() { DFSchema::empty() } else { merge_schema(&inputs) };
        let _ = step.apply_expressions(|expression| {
            found = found.or_else(|| wrong_part(expression, &schema).and_then(|wrong| place_in(&wrong, places)));
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// The innermost part of an expression that cannot be given types, if there is one.
fn wrong_part(expression: &Expr, schema: &DFSchema) -> Option<Expr> {
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().build());
    let fits = |part: &Expr| simplifier.coerce(part.clone(), schema).is_ok();
    if fits(expression) {
        return None;
    }
    let mut inner = None;
    let _ = expression.apply_children(|child| {
        inner = inner.take().or_else(|| wrong_part(child, schema));
        Ok(if inner.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    Some(inner.unwrap_or_else(|| expression.clone()))
}

/// Where the first column of an expression stands, or the function it calls.
fn place_in(expression: &Expr, places: &Places) -> Option<Position> {
    let mut found = None;
    let _ = expression.apply(|part| {
        found = match part {
            Expr::Column(column) => first(&column.spans).or_else(|| places.find(&column.name)),
            Expr::ScalarFunction(function) => places.find(function.name()),
            _ => None,
        };
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

impl SqlError {
    /// The engine's own error as one of ours, for what goes wrong after planning.
    pub fn from_engine(error: &DataFusionError) -> Self {
        Places::default().explained(error, |_, error| error)
    }
}
