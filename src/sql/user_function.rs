//! Functions that are SQL themselves: each call is replaced by the function's body before the statement is planned.
//!
//! A call is one of ours if its name has a schema (`"main"."double_it"(x)`) and the warehouse knows it. What stands for an
//! argument is the caller's expression, cast to the argument's type; what comes out is cast to the type that the function gives.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, Query, SelectItem, SetExpr, Statement, TableAlias, TableFactor, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::SqlError;
use super::dialect::WarehouseDialect;
use super::rewrite::plain_args;

/// Functions may call functions so deep.
const DEEPEST_CALL: usize = 32;

/// A function as the warehouse keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlFunction {
    pub arguments: Vec<FunctionArgument>,
    /// The type of its result.
    pub returns: String,
    /// An expression, or a query of one value.
    pub body: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionArgument {
    pub name: String,
    pub data_type: String,
    /// What stands for it in a call that leaves it out, as SQL.
    pub default: Option<String>,
}

/// Where functions are looked up.
#[async_trait]
pub trait FunctionSource: Send + Sync {
    /// The function of a name with its schema, and its database if one was written; none if there is none.
    async fn function(&self, name: &[String]) -> Result<Option<SqlFunction>, SqlError>;
}

/// The functions a session knows: an extension of its configuration.
pub struct Functions(pub Arc<dyn FunctionSource>);

/// Says whether a function's body, defaults and types can be read.
pub fn checked_function(function: &SqlFunction) -> Result<(), SqlError> {
    let prepared = Prepared::new(&[], function.clone())?;
    let nulls = prepared.arguments.iter().map(|_| Expr::value(Value::Null)).collect();
    prepared.call(nulls).map(|_| ())
}

/// Whether a text calls something whose name has a schema.
pub fn calls_with_schema(statement: &Statement) -> bool {
    !called(statement).is_empty()
}

/// Replaces the calls of functions that `source` knows.
///
/// # Errors
/// A wrong number of arguments, a body that is no SQL, functions that call each other without end.
pub(super) async fn expand(statement: &mut Statement, source: &(impl FunctionSource + ?Sized)) -> Result<(), SqlError> {
    for _ in 0..DEEPEST_CALL {
        let mut known = BTreeMap::new();
        for name in called(statement) {
            if let Some(function) = source.function(&name).await? {
                known.insert(name.clone(), Prepared::new(&name, function)?);
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        let mut expansion = Expansion { known, tables: Vec::new() };
        if let ControlFlow::Break(error) = VisitMut::visit(statement, &mut expansion) {
            return Err(error);
        }
    }
    Err(SqlError::new(format!("functions call each other more than {DEEPEST_CALL} deep")))
}

/// The parts of a name with a schema, as the database stores them.
fn parts(function: &Function) -> Option<Vec<String>> {
    let fold = |ident: &sqlparser::ast::Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    let parts: Option<Vec<String>> = function.name.0.iter().map(|part| part.as_ident().map(fold)).collect();
    parts.filter(|parts| matches!(parts.len(), 2 | 3))
}

fn called(statement: &Statement) -> Vec<Vec<String>> {
    struct Calls(Vec<Vec<String>>);
    impl Visitor for Calls {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && let Some(name) = parts(function).filter(|name| !self.0.contains(name))
            {
                self.0.push(name);
            }
            ControlFlow::Continue(())
        }
    }
    let mut calls = Calls(Vec::new());
    let _ = Visit::visit(statement, &mut calls);
    calls.0
}

/// A function with its body parsed, each argument a column of its name.
struct Prepared {
    /// As messages show it.
    name: String,
    arguments: Vec<(FunctionArgument, Option<Expr>)>,
    body: Expr,
    /// The body reads tables, whose columns may be called as the caller's are.
    has_query: bool,
}

impl Prepared {
    fn new(name: &[String], function: SqlFunction) -> Result<Self, SqlError> {
        let shown = name.join(".");
        let parse = |text: &str, what: &str| {
            expression(text).map_err(|error| {
                let message = format!("{what} of the function `{shown}` is no SQL: {}", error.message);
                SqlError::new(message).coded("function-body")
            })
        };
        let mut body = parse(&body_text(&function), "the body")?;
        let arguments = function.arguments.into_iter().map(|argument| {
            let default = argument.default.as_deref().map(|text| parse(text, "a default")).transpose()?;
            Ok((argument, default))
        });
        let arguments = arguments.collect::<Result<_, SqlError>>()?;
        let has_query = Visit::visit(&body, &mut HasQuery).is_break();
        if has_query {
            let mut own = OwnTables { prefix: format!("__{shown}_"), names: Vec::new() };
            let _ = VisitMut::visit(&mut body, &mut own);
            let _ = VisitMut::visit(&mut body, &mut OwnColumns(own));
        }
        Ok(Self { name: shown, arguments, body, has_query })
    }

    /// The body with the arguments of one call.
    fn call(&self, given: Vec<Expr>) -> Result<Expr, SqlError> {
        let most = self.arguments.len();
        if given.len() > most {
            let message = format!("the function `{}` takes {most} arguments, not {}", self.name, given.len());
            return Err(SqlError::new(message).coded("function-arguments"));
        }
        let mut values = BTreeMap::new();
        let mut given = given.into_iter();
        for (at, (argument, default)) in self.arguments.iter().enumerate() {
            let Some(value) = given.next().or_else(|| default.clone()) else {
                let message = format!("the function `{}` needs a value for its argument `{}`", self.name, argument.name);
                return Err(SqlError::new(message).coded("function-arguments"));
            };
            let value = cast(value, &argument.data_type, &self.name)?;
            values.insert(format!("${}", at + 1), value.clone());
            values.insert(argument.name.to_lowercase(), value);
        }
        let mut body = self.body.clone();
        let own = self.name.rsplit('.').next().unwrap_or_default().to_lowercase();
        let _ = VisitMut::visit(&mut body, &mut Arguments { values, own });
        Ok(body)
    }
}

/// Ends at the first query.
struct HasQuery;

impl Visitor for HasQuery {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Gives the tables of a body names that no caller has.
struct OwnTables {
    prefix: String,
    /// As they are called in the body.
    names: Vec<Ident>,
}

impl OwnTables {
    fn renamed(&self, name: &Ident) -> Ident {
        Ident::with_quote('"', format!("{}{}", self.prefix, name.value.to_lowercase()))
    }
}

impl VisitorMut for OwnTables {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias, .. } => {
                let bare = name.0.last().and_then(|part| part.as_ident()).cloned();
                (alias.as_ref().map(|alias| alias.name.clone()).or(bare), alias)
            }
            TableFactor::Derived { alias, .. } => (alias.as_ref().map(|alias| alias.name.clone()), alias),
            _ => return ControlFlow::Continue(()),
        };
        if let Some(name) = name {
            let own = self.renamed(&name);
            let columns = alias.take().map(|alias| alias.columns).unwrap_or_default();
            *alias = Some(TableAlias { explicit: true, name: own, columns, at: None });
            self.names.push(name);
        }
        ControlFlow::Continue(())
    }
}

/// Lets columns with a table's name follow it.
struct OwnColumns(OwnTables);

impl VisitorMut for OwnColumns {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let [table, _] = idents.as_mut_slice()
            && self.0.names.iter().any(|name| name.value.eq_ignore_ascii_case(&table.value))
        {
            *table = self.0.renamed(table);
        }
        ControlFlow::Continue(())
    }
}

/// Gives the columns of an argument the name of their table, so that a body's own tables cannot take them for theirs.
struct Qualified<'a> {
    table: Option<&'a Ident>,
    function: &'a str,
}

impl Qualified<'_> {
    fn refuse(&self) -> ControlFlow<SqlError> {
        let message =
            format!("the function `{}` reads tables: its arguments here must say which table they come from", self.function);
        let error = SqlError::new(message).coded("function-arguments");
        ControlFlow::Break(error.with_help("write a column as `table.column`, or pass it on from a CTE of its own"))
    }
}

impl VisitorMut for Qualified<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.refuse()
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Identifier(column) = expr else { return ControlFlow::Continue(()) };
        let Some(table) = self.table else { return self.refuse() };
        *expr = Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
        ControlFlow::Continue(())
    }
}

/// What the one table of a query is called in it; none if it reads several.
fn only_table(query: &Query) -> Option<Ident> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [from] = select.from.as_slice() else { return None };
    if !from.joins.is_empty() {
        return None;
    }
    match &from.relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident()).cloned(),
        _ => None,
    }
}

struct Expansion {
    known: BTreeMap<Vec<String>, Prepared>,
    /// Of each query around: its only table.
    tables: Vec<Option<Ident>>,
}

impl VisitorMut for Expansion {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.tables.push(only_table(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.tables.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let Some(prepared) = parts(function).and_then(|name| self.known.get(&name)) else { return ControlFlow::Continue(()) };
        let Some(mut given) = plain_args(function).filter(|_| function.over.is_none() && function.filter.is_none()) else {
            let message = format!("the function `{}` takes plain values only", prepared.name);
            return ControlFlow::Break(SqlError::new(message).coded("function-arguments"));
        };
        if prepared.has_query {
            let table = self.tables.last().and_then(Option::as_ref);
            VisitMut::visit(&mut given, &mut Qualified { table, function: &prepared.name })?;
        }
        match prepared.call(given) {
            Ok(body) => {
                *expr = body;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Puts values in the place of arguments: by name, as `function.name`, or as `$1`.
struct Arguments {
    values: BTreeMap<String, Expr>,
    own: String,
}

impl VisitorMut for Arguments {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let value = match &*expr {
            Expr::Identifier(ident) => self.values.get(&ident.value.to_lowercase()),
            Expr::CompoundIdentifier(idents) => match idents.as_slice() {
                [owner, name] if owner.value.to_lowercase() == self.own => self.values.get(&name.value.to_lowercase()),
                _ => None,
            },
            Expr::Value(value) => match &value.value {
                Value::Placeholder(place) => self.values.get(place),
                _ => None,
            },
            _ => None,
        };
        if let Some(value) = value {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}

/// The body as one expression of the type that the function returns.
fn body_text(function: &SqlFunction) -> String {
    let body = function.body.trim().trim_end_matches(';').trim();
    let first = body.split_whitespace().next().unwrap_or_default().to_lowercase();
    let body = if first == "return" { body[first.len()..].trim() } else { body };
    format!("cast(({body}\n) as {})", function.returns)
}

fn cast(value: Expr, data_type: &str, function: &str) -> Result<Expr, SqlError> {
    let mut cast = expression(&format!("cast((null) as {data_type})")).map_err(|error| {
        let message = format!("`{data_type}` is no type for an argument of the function `{function}`: {}", error.message);
        SqlError::new(message).coded("function-body")
    })?;
    if let Expr::Cast { expr, .. } = &mut cast {
        **expr = Expr::Nested(Box::new(value));
    }
    Ok(cast)
}

/// Parses an expression; its parts have no places, as they do not stand in the caller's text.
fn expression(text: &str) -> Result<Expr, SqlError> {
    let dialect = WarehouseDialect;
    let tokens = Tokenizer::new(&dialect, text).tokenize().map_err(|error| SqlError::new(error.message))?;
    let tokens: Vec<Token> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let mut parser = Parser::new(&dialect).with_tokens(tokens);
    let mut expr = parser.parse_expr().map_err(super::parse::from_parser)?;
    if parser.peek_token_ref().token != Token::EOF {
        return Err(SqlError::new(format!("unexpected `{}`", parser.peek_token_ref())));
    }
    if let Expr::Cast { expr: inner, .. } = &mut expr
        && let Expr::Subquery(query) = inner.as_ref()
        && let Some(value) = only_value(query)
    {
        **inner = Expr::Nested(Box::new(value));
    }
    Ok(expr)
}

/// `select x + 1` is `x + 1`.
fn only_value(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    let bare = select.from.is_empty() && select.selection.is_none() && select.having.is_none() && select.distinct.is_none();
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(value)] | [SelectItem::ExprWithAlias { expr: value, .. }] if plain && bare && ungrouped => {
            Some(value.clone())
        }
        _ => None,
    }
}
