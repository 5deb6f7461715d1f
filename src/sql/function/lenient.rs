//! `coalesce`, `greatest` and `least` where text stands beside other types: as in PostgreSQL, `coalesce(ordered_at,
//! '1900-01-01')` reads the text as the other arguments' type. DataFusion's own functions do the rest.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions::core;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(super) fn functions() -> Vec<ScalarUDF> {
    [core::coalesce(), core::greatest(), core::least()]
        .map(|inner| ScalarUDF::new_from_impl(Lenient { inner, signature: Signature::user_defined(Volatility::Immutable) }))
        .into()
}

#[derive(Debug)]
struct Lenient {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl PartialEq for Lenient {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Lenient {}

impl Hash for Lenient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

/// The types with text taken for the first other type, where there is one that text can be read as.
fn text_as_others(given: &[DataType]) -> Vec<DataType> {
    let other =
        given.iter().find(|data_type| data_type.is_numeric() || data_type.is_temporal() || **data_type == DataType::Boolean);
    let Some(other) = other else { return given.to_vec() };
    given.iter().map(|data_type| if data_type.is_string() { other.clone() } else { data_type.clone() }).collect()
}

impl ScalarUDFImpl for Lenient {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(&text_as_others(given))
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }
}
