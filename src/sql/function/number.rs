//! Numbers as PostgreSQL computes them: `numeric` of unstated digits, division that keeps its digits, casts that round.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float32Type, Float64Type, i256};
use datafusion::common::{Result, exec_err, plan_err};

use super::{Function, Gives, Kind};
use crate::sql::types;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "numeric", takes: &[Kind::Any], optional: 0, gives: Gives::From(numeric_type), body: numeric },
    Function { name: "nearest", takes: &[Kind::Any], optional: 0, gives: Gives::From(nearest_type), body: nearest },
    Function {
        name: "numeric_divide",
        takes: &[Kind::Any, Kind::Any],
        optional: 0,
        gives: Gives::From(quotient_type),
        body: divide,
    },
    Function {
        name: "numeric_multiply",
        takes: &[Kind::Any, Kind::Any],
        optional: 0,
        gives: Gives::From(product_type),
        body: multiply,
    },
];

/// Digits after the point that a division keeps: PostgreSQL gives at least sixteen significant ones.
const QUOTIENT_SCALE: i8 = 16;
/// Digits after the point that a product keeps where all of them would not leave room before it.
const PRODUCT_SCALE: i8 = 18;

/// The decimal a number is without loss; `None` for floats, text and the rest.
pub(in crate::sql) fn exact(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 | DataType::UInt64 => Some((20, 0)),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => Some((*p, *s)),
        _ => None,
    }
}

fn numeric_type(given: &[DataType]) -> Result<DataType> {
    Ok(match given.first() {
        Some(wide @ DataType::Decimal256(..)) => wide.clone(),
        Some(data_type) => exact(data_type).map_or(types::UNBOUNDED_NUMERIC, |(p, s)| DataType::Decimal128(p, s)),
        None => types::UNBOUNDED_NUMERIC,
    })
}

fn numeric(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    Ok(cast(&args[0], gives)?)
}

fn nearest_type(given: &[DataType]) -> Result<DataType> {
    Ok(match given.first() {
        Some(DataType::Decimal128(p, s)) if *s > 0 => DataType::Decimal128((*p - *s as u8 + 1).min(DECIMAL128_MAX_PRECISION), 0),
        Some(other) => other.clone(),
        None => DataType::Null,
    })
}

/// The whole number a cast to an integer gives: floats to even at the half, decimals away from zero; other types as they are.
fn nearest(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    Ok(match args[0].data_type() {
        DataType::Float64 => {
            Arc::new(args[0].as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even)) as ArrayRef
        }
        DataType::Float32 => Arc::new(args[0].as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even)),
        DataType::Decimal128(_, s) if *s > 0 => cast(&args[0], gives)?,
        _ => Arc::clone(&args[0]),
    })
}

// ── Division and multiplication ──────────────────────────────────────────────────────────────────────────────────────

fn pair(given: &[DataType]) -> Result<((u8, i8), (u8, i8))> {
    match given {
        [left, right] => match (exact(left), exact(right)) {
            (Some(left), Some(right)) => Ok((left, right)),
            _ => plan_err!("numeric arithmetic on {left} and {right}"),
        },
        _ => plan_err!("numeric arithmetic takes two arguments"),
    }
}

fn quotient_type(given: &[DataType]) -> Result<DataType> {
    let ((_, left), (_, right)) = pair(given)?;
    Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, QUOTIENT_SCALE.max(left).max(right)))
}

/// The scale of a product whose exact digits may not fit; `None` where they do.
pub(in crate::sql) fn narrowed_product((p, s): (u8, i8), (q, t): (u8, i8)) -> Option<i8> {
    let fits = u16::from(p) + u16::from(q) < u16::from(DECIMAL128_MAX_PRECISION);
    let scale = i16::from(s) + i16::from(t);
    (!fits && scale > i16::from(PRODUCT_SCALE)).then(|| PRODUCT_SCALE.max(s).max(t))
}

fn product_type(given: &[DataType]) -> Result<DataType> {
    let (left, right) = pair(given)?;
    let scale = narrowed_product(left, right).unwrap_or(left.1 + right.1);
    Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))
}

/// Both sides as decimals of their own scale, and the scale to give.
fn operands(args: &[ArrayRef], gives: &DataType) -> Result<(Decimal128Array, Decimal128Array, i8)> {
    let (left, right) = pair(&[args[0].data_type().clone(), args[1].data_type().clone()])?;
    let decimal = |array: &ArrayRef, (p, s): (u8, i8)| -> Result<Decimal128Array> {
        Ok(cast(array, &DataType::Decimal128(p, s))?.as_primitive::<Decimal128Type>().clone())
    };
    let scale = match gives {
        DataType::Decimal128(_, scale) => *scale,
        _ => QUOTIENT_SCALE,
    };
    Ok((decimal(&args[0], left)?, decimal(&args[1], right)?, scale))
}

fn combine(
    args: &[ArrayRef],
    gives: &DataType,
    operation: impl Fn(i128, i128, (i8, i8, i8)) -> Result<i128>,
) -> Result<ArrayRef> {
    let (left, right, scale) = operands(args, gives)?;
    let scales = (left.scale(), right.scale(), scale);
    let values = left.iter().zip(right.iter()).map(|pair| match pair {
        (Some(left), Some(right)) => operation(left, right, scales).map(Some),
        _ => Ok(None),
    });
    let values = values.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(values.with_data_type(gives.clone())))
}

fn divide(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    combine(args, gives, |left, right, (s, t, scale)| {
        if right == 0 {
            return exec_err!("division by zero");
        }
        let raised = u32::try_from(i16::from(scale) - i16::from(s) + i16::from(t)).unwrap_or(0);
        let Some(numerator) = 10_i128.checked_pow(raised).and_then(|power| left.checked_mul(power)) else {
            return wide_divide(left, right, raised);
        };
        let (quotient, rest) = (numerator / right, numerator % right);
        // Half away from zero, as PostgreSQL rounds.
        let up = rest.unsigned_abs() >= right.unsigned_abs() - rest.unsigned_abs();
        let away = if (numerator < 0) == (right < 0) { 1 } else { -1 };
        Ok(if up { quotient + away } else { quotient })
    })
}

fn wide_divide(left: i128, right: i128, raised: u32) -> Result<i128> {
    let ten = i256::from_i128(10);
    let numerator = ten.checked_pow(raised).and_then(|power| i256::from_i128(left).checked_mul(power));
    let Some(numerator) = numerator else { return exec_err!("numeric field overflow in a division") };
    narrow(numerator, i256::from_i128(right))
}

/// A quotient rounded half away from zero, if it is a decimal of 38 digits.
fn narrow(numerator: i256, divisor: i256) -> Result<i128> {
    let two = i256::from_i128(2);
    let half = divisor.wrapping_abs().wrapping_div(two);
    let negative = numerator.is_negative() != divisor.is_negative();
    let magnitude = numerator.wrapping_abs().wrapping_add(half).wrapping_div(divisor.wrapping_abs());
    match magnitude.to_i128() {
        Some(magnitude) if magnitude < 10_i128.pow(38) => Ok(if negative { -magnitude } else { magnitude }),
        _ => exec_err!("numeric field overflow: more than 38 digits"),
    }
}

fn multiply(args: &[ArrayRef], gives: &DataType) -> Result<ArrayRef> {
    combine(args, gives, |left, right, (s, t, scale)| {
        let lowered = u32::try_from(i16::from(s) + i16::from(t) - i16::from(scale)).unwrap_or(0);
        let product = i256::from_i128(left).wrapping_mul(i256::from_i128(right));
        narrow(product, i256::from_i128(10).wrapping_pow(lowered))
    })
}

/// A float as PostgreSQL prints it: the shortest digits that read back, an exponent beyond fifteen digits.
pub(super) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e15).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value}")
}

/// As [`float_text`], with the digits a single has.
pub(super) fn single_text(value: f32) -> String {
    if value.is_finite() && (value == 0.0 || (1e-4..1e6).contains(&value.abs())) {
        return format!("{value}");
    }
    if !value.is_finite() {
        return float_text(f64::from(value));
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Floats of a column as numbers of double precision.
pub(super) fn doubles(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Floats of a column as singles.
pub(super) fn singles(array: &ArrayRef) -> Result<Float32Array> {
    Ok(cast(array, &DataType::Float32)?.as_primitive::<Float32Type>().clone())
}
