//! Aggregates over all values of a group: `mode`, `percentile_disc`, and the value of a subquery.

use std::collections::HashMap;
use std::mem::size_of_val;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

pub(super) fn functions() -> Vec<AggregateUDF> {
    [Ordered::Mode, Ordered::PercentileDisc, Ordered::Single]
        .map(|kind| AggregateUDF::new_from_impl(OrderedSet { kind, signature: Signature::user_defined(Volatility::Immutable) }))
        .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ordered {
    /// The most frequent value; of several, the smallest.
    Mode,
    /// The first value at or past a fraction of the rows in order; a negative fraction counts in descending order.
    PercentileDisc,
    /// The only value; two rows are an error. What a subquery used as a value gives.
    Single,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderedSet {
    kind: Ordered,
    signature: Signature,
}

impl AggregateUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        match self.kind {
            Ordered::Mode => "mode",
            Ordered::PercentileDisc => "percentile_disc",
            Ordered::Single => "single_value",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        given.first().cloned().map_or_else(|| plan_err!("{} needs a value", self.name()), Ok)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (self.kind, given) {
            (Ordered::Mode | Ordered::Single, [value]) => Ok(vec![value.clone()]),
            (Ordered::PercentileDisc, [value, _]) => Ok(vec![value.clone(), DataType::Float64]),
            (Ordered::Single, _) => plan_err!("single_value takes one argument"),
            (Ordered::Mode, _) => plan_err!("mode is written `mode() within group (order by x)`"),
            (Ordered::PercentileDisc, _) => {
                plan_err!("percentile_disc is written `percentile_disc(0.5) within group (order by x)`")
            }
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = args.input_fields[0].data_type().clone();
        let list = |name: &str, item: DataType| Field::new_list(name, Field::new_list_field(item, true), true).into();
        Ok(vec![
            list("values", value),
            list("counts", DataType::UInt64),
            Field::new("fraction", DataType::Float64, true).into(),
            Field::new("rows", DataType::UInt64, true).into(),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let value = args.expr_fields[0].data_type().clone();
        Ok(Box::new(Counts { kind: self.kind, data_type: value, counts: HashMap::new(), fraction: None, rows: 0 }))
    }
}

/// How often each value came.
#[derive(Debug)]
struct Counts {
    kind: Ordered,
    data_type: DataType,
    counts: HashMap<ScalarValue, u64>,
    fraction: Option<f64>,
    /// Rows seen, those without a value too.
    rows: u64,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, times: impl Fn(usize) -> u64) -> Result<()> {
        for row in (0..values.len()).filter(|&row| !values.is_null(row)) {
            *self.counts.entry(ScalarValue::try_from_array(values, row)?).or_default() += times(row);
        }
        Ok(())
    }

    fn in_order(&self) -> Vec<(&ScalarValue, u64)> {
        let mut all: Vec<(&ScalarValue, u64)> = self.counts.iter().map(|(value, count)| (value, *count)).collect();
        all.sort_by(|a, b| a.0.partial_cmp(b.0).unwrap_or(std::cmp::Ordering::Equal));
        all
    }

    fn percentile(&self) -> Result<Option<ScalarValue>> {
        let Some(fraction) = self.fraction else { return Ok(None) };
        if !(-1.0..=1.0).contains(&fraction) {
            return exec_err!("percentile value {fraction} is not between 0 and 1");
        }
        let mut ordered = self.in_order();
        if fraction.is_sign_negative() {
            ordered.reverse();
        }
        let total: u64 = ordered.iter().map(|(_, count)| count).sum();
        let wanted = (fraction.abs() * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        Ok(ordered
            .into_iter()
            .find(|(_, count)| {
                seen += count;
                seen >= wanted
            })
            .map(|(value, _)| value.clone()))
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(fractions) = values.get(1)
            && self.fraction.is_none()
            && !fractions.is_empty()
            && let ScalarValue::Float64(fraction) = ScalarValue::try_from_array(fractions, 0)?
        {
            self.fraction = fraction;
        }
        self.rows += values[0].len() as u64;
        self.add(&values[0], |_| 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let found = match self.kind {
            Ordered::PercentileDisc => self.percentile()?,
            Ordered::Single if self.rows > 1 => {
                return exec_err!("more than one row returned by a subquery used as an expression");
            }
            Ordered::Single => self.counts.keys().next().cloned(),
            Ordered::Mode => {
                let ordered = self.in_order();
                let most = ordered.iter().map(|(_, count)| *count).max();
                ordered.into_iter().find(|(_, count)| Some(*count) == most).map(|(value, _)| value.clone())
            }
        };
        found.map_or_else(|| ScalarValue::try_from(&self.data_type), Ok)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.keys().map(|value| value.size() + 16).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<ScalarValue>, Vec<ScalarValue>) =
            self.counts.iter().map(|(value, count)| (value.clone(), ScalarValue::UInt64(Some(*count)))).unzip();
        Ok(vec![
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &self.data_type)),
            ScalarValue::List(ScalarValue::new_list_nullable(&counts, &DataType::UInt64)),
            ScalarValue::Float64(self.fraction),
            ScalarValue::UInt64(Some(self.rows)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for row in 0..values.len() {
            if let ScalarValue::Float64(Some(fraction)) = ScalarValue::try_from_array(&states[2], row)? {
                self.fraction = Some(fraction);
            }
            if let ScalarValue::UInt64(Some(rows)) = ScalarValue::try_from_array(&states[3], row)? {
                self.rows += rows;
            }
            if values.is_null(row) {
                continue;
            }
            let times = counts.value(row);
            let times = times.as_primitive::<arrow::datatypes::UInt64Type>().clone();
            self.add(&values.value(row), |at| times.value(at))?;
        }
        Ok(())
    }
}
