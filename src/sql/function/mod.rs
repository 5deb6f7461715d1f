//! Functions of ours: those that PostgreSQL, Redshift or Snowflake have and DataFusion has not, or has with another meaning.
//!
//! A function is a row in its file's `FUNCTIONS`: what it takes, what it gives, and a body over Arrow arrays. Arguments reach
//! the body as arrays of one length and of the kinds declared; null handling is the body's.

mod aggregate;
mod calendar;
mod date;
mod format;
mod guarded;
mod json;
mod lenient;
pub(super) mod number;
mod number_format;
mod round;
mod text;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::types;

pub(super) use date::{with_seconds, without_zone};

/// Registers every function of ours, over DataFusion's where the name is taken.
///
/// The one replaced goes with all its names: a session that is built anew registers every function it knows again, and one left
/// under an alias would win back its own name.
pub fn register_functions(ctx: &SessionContext) {
    let files = [date::FUNCTIONS, format::FUNCTIONS, number::FUNCTIONS, text::FUNCTIONS, json::FUNCTIONS];
    let rows = files.into_iter().flatten().map(udf);
    for function in rows.chain([round::function()]).chain(lenient::functions()).chain(guarded::functions()) {
        if let Ok(old) = ctx.udf(function.name()) {
            old.aliases().iter().for_each(|alias| ctx.deregister_udf(alias));
        }
        ctx.register_udf(function);
    }
    for function in aggregate::functions() {
        if let Ok(old) = ctx.udaf(function.name()) {
            old.aliases().iter().for_each(|alias| ctx.deregister_udaf(alias));
        }
        ctx.register_udaf(function);
    }
}

/// A column's values as PostgreSQL spells them in text; null stays null.
///
/// # Errors
/// A type that has no text.
pub fn spelt(column: &ArrayRef) -> Result<StringArray> {
    let texts = arrow::compute::cast(&text::spelt(column)?, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().clone())
}

/// One of ours by name, for the planner's own calls.
pub(super) fn named(name: &str) -> Option<Arc<ScalarUDF>> {
    let files = [date::FUNCTIONS, format::FUNCTIONS, number::FUNCTIONS, text::FUNCTIONS, json::FUNCTIONS];
    files.into_iter().flatten().find(|function| function.name == name).map(|function| Arc::new(udf(function)))
}

fn udf(function: &'static Function) -> ScalarUDF {
    ScalarUDF::new_from_impl(Scalar { function, signature: Signature::user_defined(function.volatility()) })
}

/// What an argument is turned into before the body sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    Integer,
    Double,
    /// `timestamp` without time zone, in microseconds; what has a zone is read in UTC.
    Timestamp,
    Interval,
    /// As it comes.
    Any,
}

/// What a function gives, from the types its arguments come in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    Type(DataTypeOf),
    From(fn(&[DataType]) -> Result<DataType>),
}

/// Types by name, because an Arrow type is not a constant everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum DataTypeOf {
    Text,
    Integer,
    Double,
    Boolean,
    Date,
    Timestamp,
    TimestampTz,
    Interval,
    Numeric,
}

/// Computes a column from columns; `DataType` is the type to give.
pub(super) type Body = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

#[derive(Debug)]
pub(super) struct Function {
    pub name: &'static str,
    pub takes: &'static [Kind],
    /// How many of `takes`, from the end, may be left out; `usize::MAX` lets the last one repeat.
    pub optional: usize,
    pub gives: Gives,
    pub body: Body,
}

const REPEATS: usize = usize::MAX;

impl Function {
    fn volatility(&self) -> Volatility {
        Volatility::Immutable
    }

    fn coerced(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let least = if self.optional == REPEATS { self.takes.len() - 1 } else { self.takes.len() - self.optional };
        let most = if self.optional == REPEATS { usize::MAX } else { self.takes.len() };
        if given.len() < least || given.len() > most {
            return plan_err!("function {} takes {} arguments, got {}", self.name, self.takes.len(), given.len());
        }
        Ok(given.iter().enumerate().map(|(n, data_type)| self.kind(n).of(data_type)).collect())
    }

    fn kind(&self, at: usize) -> Kind {
        self.takes.get(at).or(self.takes.last()).copied().unwrap_or(Kind::Any)
    }
}

impl Kind {
    fn of(self, given: &DataType) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Timestamp => types::TIMESTAMP,
            Self::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            Self::Any => given.clone(),
        }
    }
}

impl DataTypeOf {
    fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => types::TIMESTAMP,
            Self::TimestampTz => types::timestamp_tz(),
            Self::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            Self::Numeric => types::UNBOUNDED_NUMERIC,
        }
    }
}

#[derive(Debug)]
struct Scalar {
    function: &'static Function,
    signature: Signature,
}

// A function is its name.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match self.function.gives {
            Gives::Type(data_type) => Ok(data_type.arrow()),
            Gives::From(rule) => rule(given),
        }
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerced(given)
    }

    /// Any value of the function's type: nothing is known of the values, but of what type they are.
    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        let given: Vec<DataType> = input.iter().map(|interval| interval.data_type()).collect();
        Interval::make_unbounded(&self.return_type(&given)?)
    }

    /// Casts to the type that is there already go away, so that they hide no column from the optimizer.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [arg] = args.as_slice() else { return Ok(ExprSimplifyResult::Original(args)) };
        let given = info.get_data_type(arg)?;
        let same = self.return_type(std::slice::from_ref(&given))? == given;
        let identity = match self.function.name {
            "text" | "numeric" => same,
            "without_zone" => !given.is_string(),
            "nearest" => same && !given.is_floating(),
            _ => false,
        };
        Ok(if identity { ExprSimplifyResult::Simplified(arg.clone()) } else { ExprSimplifyResult::Original(args) })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_type().clone();
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (self.function.body)(&arrays, &data_type)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
