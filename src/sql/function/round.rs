//! `round(value, digits)` whose type does not change while a query is planned.
//!
//! DataFusion takes a decimal's scale from a literal `digits`, but its type coercion wraps that literal in a cast, and until the
//! cast is folded away again the scale is thought to be the value's own: whatever was compared with the result in between gets a
//! type that no longer fits. Here the digits stay as they were given, and are cast when the function runs.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions::math;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Round { inner: math::round(), signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Decimals, integers and single floats stay; every other value is a double, as in PostgreSQL.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.is_empty() || given.len() > 2 {
            return datafusion::common::plan_err!("round takes a value and a number of digits, found {} arguments", given.len());
        }
        let value = match &given[0] {
            kept if kept.is_decimal() || kept.is_integer() || *kept == DataType::Float32 || kept.is_null() => kept.clone(),
            _ => DataType::Float64,
        };
        let digits = given.get(1).map(|digits| if digits.is_integer() { digits.clone() } else { DataType::Int64 });
        Ok([value].into_iter().chain(digits).collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(digits) = args.args.get_mut(1) {
            *digits = digits.cast_to(&DataType::Int32, None)?;
        }
        self.inner.invoke_with_args(args)
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(input)
    }
}
