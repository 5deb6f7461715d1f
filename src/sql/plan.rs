//! From one query to DataFusion's logical plan: tables are looked up once, the rewrite learns their columns, the planner gets
//! our types, operators and functions, and its errors become [`SqlError`]s.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::catalog::{TableFunctionArgs, TableProvider};
use datafusion::common::{
    DFSchema, ResolvedTableReference, Result as DataFusionResult, ScalarValue, TableReference, plan_datafusion_err,
};
use datafusion::config::ConfigOptions;
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF, cast,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use sqlparser::ast::Statement;

use super::explain::{Places, mistyped};
use super::operator::Dialect;
use super::rewrite::{self, ColumnLookup};
use super::user_function::{self, FunctionSource, Functions, SqlFunction};
use super::{SqlError, operator, parse, sorted_input, travel, types};

/// Plans one query over the tables of a session.
///
/// # Errors
/// Text that does not parse, holds several statements, or names a table, column or function that does not exist.
pub async fn plan(ctx: &SessionContext, sql: &str) -> Result<LogicalPlan, SqlError> {
    plan_statement(ctx, one(parse::statements_with_text(sql)?)?).await
}

fn one(mut statements: Vec<(Statement, String)>) -> Result<Statement, SqlError> {
    match (statements.pop(), statements.is_empty()) {
        (Some((statement, _)), true) => Ok(statement),
        (None, _) => Err(SqlError::new("there is no statement to run")),
        _ => Err(SqlError::new("one statement was expected here, found several")),
    }
}

/// Plans one parsed statement: a query, or what DataFusion plans of the others (`explain`, `insert` into its own tables).
///
/// # Errors
/// As [`plan`].
pub async fn plan_statement(ctx: &SessionContext, statement: Statement) -> Result<LogicalPlan, SqlError> {
    let state = ctx.state();
    plan_over(&state, &state, statement).await
}

/// Where the tables and functions of a query come from.
#[async_trait]
pub trait Tables: FunctionSource {
    async fn table(&self, name: &ResolvedTableReference) -> DataFusionResult<Option<Arc<dyn TableProvider>>>;
}

#[async_trait]
impl FunctionSource for SessionState {
    async fn function(&self, name: &[String]) -> Result<Option<SqlFunction>, SqlError> {
        match self.config().get_extension::<Functions>() {
            Some(functions) => functions.0.function(name).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Tables for SessionState {
    async fn table(&self, name: &ResolvedTableReference) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        match self.schema_for_ref(name.clone()) {
            Ok(schema) => schema.table(&name.table).await,
            Err(_) => Ok(None),
        }
    }
}

async fn plan_over(state: &SessionState, from: &dyn Tables, mut statement: Statement) -> Result<LogicalPlan, SqlError> {
    user_function::expand(&mut statement, from).await?;
    travel::table_changes(&mut statement)?;
    let places = Places::of(&statement);
    let tables = tables(state, from, &statement).await.map_err(|e| places.explain(&e, state))?;
    // Aggregates over a sorted subquery are given its order; sorts that nobody needs go when plans are optimized.
    let mut config = state.config_options().as_ref().clone();
    config.sql_parser.enable_subquery_sort_elimination = false;
    let provider = Provider { state, tables, expr_planners: expr_planners(state), config };
    rewrite::rewrite(&mut statement, &provider)?;
    let is_query = matches!(statement, Statement::Query(_));
    let planner = SqlToRel::new_with_options(&provider, options());
    let plan = planner.sql_statement_to_plan(statement).map_err(|e| places.explain(&e, state))?;
    if !is_query {
        return Ok(plan);
    }
    sorted_input::keep_order(plan).and_then(stored_types).map_err(|e| places.explain(&e, state))
}

/// As [`plan`], with every type in place: what cannot be compared, added or called with such arguments is found here.
///
/// # Errors
/// As [`plan`], and expressions whose types do not go together.
pub async fn plan_typed(state: &SessionState, from: &dyn Tables, sql: &str) -> Result<LogicalPlan, SqlError> {
    let statement = one(parse::statements_with_text(sql)?)?;
    let places = Places::of(&statement);
    let plan = plan_over(state, from, statement).await?;
    match state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {}) {
        Ok(plan) => Ok(plan),
        Err(error) => {
            let explained = places.explain(&error, state);
            let position = explained.position.or_else(|| mistyped(&plan, &places));
            Err(SqlError { position, ..explained })
        }
    }
}

/// The type a column is given out and stored as: those that PostgreSQL and Delta have. DataFusion counts rows without a sign and
/// some of its functions give nanoseconds; an untyped null is text.
fn stored_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(TimeUnit::Microsecond, None) => return None,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => return None,
        DataType::Timestamp(_, Some(_)) => types::timestamp_tz(),
        DataType::Timestamp(_, None) => types::TIMESTAMP,
        DataType::Date64 => DataType::Date32,
        DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Null => DataType::Utf8,
        DataType::Dictionary(_, value) => stored_type(value).unwrap_or_else(|| (**value).clone()),
        _ => return None,
    })
}

/// Casts the columns of a query that have other types than are stored.
fn stored_types(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    if plan.schema().fields().iter().all(|field| stored_type(field.data_type()).is_none()) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().map(|(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        match stored_type(field.data_type()) {
            Some(data_type) => cast(column, data_type).alias_qualified(qualifier.cloned(), field.name()),
            None => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn options() -> ParserOptions {
    // A number with a point is exact, as in PostgreSQL.
    ParserOptions::new().with_parse_float_as_decimal(true).with_collect_spans(true)
}

fn expr_planners(state: &SessionState) -> Vec<Arc<dyn ExprPlanner>> {
    let dialect = state.config().get_extension::<Dialect>().map(|dialect| *dialect).unwrap_or_default();
    operator::planners(dialect).into_iter().chain(state.expr_planners().iter().cloned()).collect()
}

type Sources = HashMap<ResolvedTableReference, Arc<dyn TableSource>>;

async fn tables(state: &SessionState, from: &dyn Tables, statement: &Statement) -> DataFusionResult<Sources> {
    let statement = DataFusionStatement::Statement(Box::new(statement.clone()));
    let mut tables = Sources::new();
    for reference in state.resolve_table_references(&statement)? {
        let resolved = resolve(state, reference);
        if tables.contains_key(&resolved) {
            continue;
        }
        if let Some(table) = from.table(&resolved).await? {
            tables.insert(resolved, provider_as_source(table));
        }
    }
    Ok(tables)
}

fn resolve(state: &SessionState, reference: impl Into<TableReference>) -> ResolvedTableReference {
    let catalog = &state.config_options().catalog;
    reference.into().resolve(&catalog.default_catalog, &catalog.default_schema)
}

/// What the planner and the rewrite may ask of a session.
struct Provider<'a> {
    state: &'a SessionState,
    tables: Sources,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    /// The options to plan with.
    config: ConfigOptions,
}

impl ColumnLookup for Provider<'_> {
    fn columns(&self, name: &[String]) -> Option<Vec<String>> {
        let reference = match name {
            [table] => TableReference::bare(table.as_str()),
            [schema, table] => TableReference::partial(schema.as_str(), table.as_str()),
            [catalog, schema, table] => TableReference::full(catalog.as_str(), schema.as_str(), table.as_str()),
            _ => return None,
        };
        let table = self.tables.get(&resolve(self.state, reference))?;
        Some(table.schema().fields().iter().map(|field| field.name().clone()).collect())
    }
}

/// Series of moments are generated in nanoseconds only.
fn in_nanoseconds(arg: Expr) -> Expr {
    let nanoseconds = |value: Option<i64>, per: i64| value.and_then(|value| value.checked_mul(per));
    match arg {
        Expr::Literal(ScalarValue::TimestampMicrosecond(value, zone), meta) => {
            Expr::Literal(ScalarValue::TimestampNanosecond(nanoseconds(value, 1_000), zone), meta)
        }
        other => other,
    }
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> DataFusionResult<Arc<dyn TableSource>> {
        let resolved = resolve(self.state, name.clone());
        self.tables.get(&resolved).cloned().ok_or_else(|| plan_datafusion_err!("table '{name}' not found"))
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> DataFusionResult<Arc<dyn TableSource>> {
        let function = self.state.table_functions().get(name).cloned();
        let function = function.ok_or_else(|| plan_datafusion_err!("table function '{name}' not found"))?;
        let context = SimplifyContext::builder().with_config_options(Arc::clone(self.state.config_options())).build();
        let simplifier = ExprSimplifier::new(context);
        let schema = DFSchema::empty();
        let args = args.into_iter().map(|arg| simplifier.coerce(arg, &schema).and_then(|arg| simplifier.simplify(arg)));
        let args = args.collect::<DataFusionResult<Vec<_>>>()?.into_iter().map(in_nanoseconds).collect::<Vec<_>>();
        Ok(provider_as_source(function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> DataFusionResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(types::Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
