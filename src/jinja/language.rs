//! Python's semantics where minijinja has its own: literals, `%`, and filters that must give mutable or lenient values.

use std::sync::LazyLock;

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Rest, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::arguments::Arguments;
use super::collection::{Dict, dict, dict_entries, list, owned};
use super::{invoke, moment, relation};

/// How many bytes of text a variable may hold: what doubles in a loop would otherwise take all memory there is.
const MOST_TEXT: usize = 32 << 20;

/// Adds the functions that rewritten templates call, and the filters and tests of Jinja and dbt that minijinja lacks.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function("__begin", |state: &mut State, invoker: Value| {
        state.set_temp(invoke::INVOKER, invoker);
    });
    environment.add_function("__list", |items: Value| -> Result<Value, Error> { Ok(list(items.try_iter()?.collect())) });
    environment.add_function("__dict", |items: Value| -> Result<Value, Error> { Ok(dict(dict_entries(&items)?)) });
    environment.add_function("__own", |values: Rest<Value>| -> Result<Value, Error> {
        match values.0.as_slice() {
            [one] if one.as_str().is_some_and(|text| text.len() > MOST_TEXT) => Err(Error::from(ErrorKind::OutOfFuel)),
            [one] => Ok(owned(one.clone())),
            many => Ok(Value::from(Tuple::from(many.to_vec()))),
        }
    });
    environment.add_function("__mod", percent);
    environment.add_function("__add", |a: Value, b: Value| moment::add(&a, &b).unwrap_or_else(|| arithmetic('+', &a, &b)));
    environment.add_function("__sub", |a: Value, b: Value| moment::subtract(&a, &b).unwrap_or_else(|| arithmetic('-', &a, &b)));
    environment.add_function("dict", |values: Rest<Value>, named: Kwargs| -> Result<Value, Error> {
        let values = with_named(values, named);
        let args = Arguments::new("dict", &values);
        let mut entries = args.positional.first().map_or(Ok(Vec::new()), dict_entries)?;
        entries.extend(args.named.iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())));
        Ok(dict(entries))
    });
    filters(environment);
    environment.add_test("sequence", |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String));
    environment.add_test("mapping", |value: &Value| value.kind() == ValueKind::Map || relation::is_mapping(value));
    environment.add_test("callable", |value: &Value| {
        value.as_object().is_some_and(|object| {
            let name = object.type_name();
            ["MacroReference", "context::Function", "BoxedFunction", "macro_object::Macro"]
                .iter()
                .any(|kind| name.ends_with(kind))
        })
    });
}

/// `int(value)`, or of its fraction cut off; none for what is no number.
fn whole(value: &Value, base: i64) -> Option<i64> {
    let text = value.as_str().map(|text| text.trim().replace('_', ""));
    let radix = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)).unwrap_or(10);
    let by_digits = match &text {
        Some(text) => i64::from_str_radix(text, radix).ok(),
        None => value.as_i64(),
    };
    by_digits.or_else(|| number(value).filter(|number| number.is_finite() && number.abs() < 9e18).map(|number| number as i64))
}

/// `float(value)`; none for what is no number.
fn number(value: &Value) -> Option<f64> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) => text.trim().replace('_', "").parse().ok(),
        (None, ValueKind::Number) => f64::try_from(value.clone()).ok(),
        (None, ValueKind::Bool) => Some(f64::from(u8::from(value.is_true()))),
        _ => None,
    }
}

fn with_named(values: Rest<Value>, named: Kwargs) -> Vec<Value> {
    values.0.into_iter().chain([Value::from(named)]).collect()
}

fn filters(environment: &mut Environment<'static>) {
    for name in ["as_bool", "as_native", "as_number", "as_text"] {
        environment.add_filter(name, |value: Value| value);
    }
    environment.add_filter("is_list", |value: &Value| value.kind() == ValueKind::Seq && !value.is_tuple());
    environment.add_filter("list", |value: &Value| -> Result<Value, Error> {
        if value.is_undefined() {
            return Ok(list(Vec::new()));
        }
        match value.as_str() {
            Some(text) => Ok(list(text.chars().map(Value::from).collect())),
            None => Ok(list(value.try_iter()?.collect())),
        }
    });
    environment.add_filter("int", |value: &Value, values: Rest<Value>, named: Kwargs| -> Result<Value, Error> {
        let values = with_named(values, named);
        let args = Arguments::new("int", &values);
        let base = args.get(1, "base").and_then(Value::as_i64).unwrap_or(10);
        Ok(whole(value, base).map_or_else(|| args.get(0, "default").cloned().unwrap_or(Value::from(0)), Value::from))
    });
    environment.add_filter("float", |value: &Value, values: Rest<Value>, named: Kwargs| -> Result<Value, Error> {
        let values = with_named(values, named);
        let args = Arguments::new("float", &values);
        Ok(number(value).map_or_else(|| args.get(0, "default").cloned().unwrap_or(Value::from(0.0)), Value::from))
    });
    environment.add_filter("wordcount", |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
    });
    environment.add_filter("int", |value: Value, values: Rest<Value>, named: Kwargs| -> Result<Value, Error> {
        let values = with_named(values, named);
        let args = Arguments::new("int", &values);
        let default = args.get(0, "default").cloned().unwrap_or(Value::from(0));
        let base = args.get(1, "base").and_then(Value::as_usize).and_then(|base| u32::try_from(base).ok()).unwrap_or(10);
        Ok(whole_number(&value, base).unwrap_or(default))
    });
    environment.add_filter("float", |value: Value, values: Rest<Value>, named: Kwargs| -> Result<Value, Error> {
        let values = with_named(values, named);
        let default = Arguments::new("float", &values).get(0, "default").cloned().unwrap_or(Value::from(0.0));
        let text = value.as_str().map(|text| text.trim().replace('_', ""));
        let number = match text {
            Some(text) => text.parse::<f64>().ok(),
            None => f64::try_from(value.clone()).ok().filter(|_| value.is_number() || value.kind() == ValueKind::Bool),
        };
        Ok(number.map_or(default, Value::from))
    });
    environment.add_filter("truncate", truncate);
    environment.add_filter("center", |text: &str, width: Option<usize>| {
        let missing = width.unwrap_or(80).saturating_sub(text.chars().count());
        format!("{}{text}{}", " ".repeat(missing / 2), " ".repeat(missing - missing / 2))
    });
    for name in ["default", "d"] {
        environment.add_filter(name, |value: Value, values: Rest<Value>, named: Kwargs| {
            let values = with_named(values, named);
            let args = Arguments::new("default", &values);
            let missing = value.is_undefined() || (args.flag(1, "boolean", false) && !value.is_true());
            if missing { args.get(0, "default_value").cloned().unwrap_or(Value::from("")) } else { value }
        });
    }
}

/// Jinja's `int`: a number without its fraction, or a text that is one; none for anything else.
fn whole_number(value: &Value, base: u32) -> Option<Value> {
    if let Some(text) = value.as_str() {
        let text = text.trim().replace('_', "");
        let bare = match base {
            16 => text.trim_start_matches("0x"),
            8 => text.trim_start_matches("0o"),
            2 => text.trim_start_matches("0b"),
            _ => text.as_str(),
        };
        let whole = if (2..=36).contains(&base) { i64::from_str_radix(bare, base).ok() } else { None };
        return whole.or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|n| n as i64)).map(Value::from);
    }
    if value.is_integer() {
        return Some(value.clone());
    }
    if value.kind() == ValueKind::Bool {
        return Some(Value::from(i64::from(value.is_true())));
    }
    f64::try_from(value.clone()).ok().filter(|number| number.is_finite() && value.is_number()).map(|n| Value::from(n as i64))
}

/// Jinja's `truncate(length=255, killwords=false, end='...', leeway=5)`.
fn truncate(text: String, values: Rest<Value>, named: Kwargs) -> Result<String, Error> {
    let values = with_named(values, named);
    let args = Arguments::new("truncate", &values);
    let number = |index, name, default| args.get(index, name).and_then(Value::as_usize).unwrap_or(default);
    let (length, leeway) = (number(0, "length", 255), number(3, "leeway", 5));
    let end = args.optional_text(2, "end")?.unwrap_or_else(|| "...".to_string());
    let count = text.chars().count();
    if count <= length + leeway {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = if args.flag(1, "killwords", false) {
        kept.as_str()
    } else {
        kept.rsplit_once(' ').map_or(kept.as_str(), |(head, _)| head)
    };
    Ok(format!("{kept}{end}"))
}

/// `a % b`: a remainder, or Python's old way of formatting.
fn percent(left: Value, right: Value) -> Result<Value, Error> {
    let Some(text) = left.as_str() else { return remainder(&left, &right) };
    let args: Vec<Value> = if right.is_tuple() {
        right.try_iter()?.collect()
    } else if right.downcast_object_ref::<Dict>().is_some() {
        // Named placeholders read a mapping, which minijinja wants as keyword arguments or a map of its own.
        vec![dict_entries(&right)?.into_iter().collect::<std::collections::BTreeMap<Value, Value>>().into()]
    } else {
        vec![right]
    };
    format(FormatStyle::Printf, text, &args).map(Value::from)
}

/// With the sign of the divisor, as Python has it.
fn remainder(left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_i64().filter(|_| left.is_integer()), right.as_i64().filter(|_| right.is_integer()))
        && b != 0
    {
        return Ok(Value::from(((i128::from(a) % i128::from(b) + i128::from(b)) % i128::from(b)) as i64));
    }
    match (f64::try_from(left.clone()), f64::try_from(right.clone())) {
        (Ok(a), Ok(b)) if b != 0.0 && left.is_number() && right.is_number() => Ok(Value::from(a - b * (a / b).floor())),
        _ => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("`%` is not possible between {} and {}", left.kind(), right.kind()),
        )),
    }
}

/// `a + b` and `a - b` of values that are no dates, as minijinja has it.
fn arithmetic(sign: char, left: &Value, right: &Value) -> Result<Value, Error> {
    static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);
    let context = Value::from_pairs([("a", left.clone()), ("b", right.clone())]);
    PLAIN.compile_expression(if sign == '+' { "a + b" } else { "a - b" })?.eval(context).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, error.detail().unwrap_or("the operation is not possible").to_string())
    })
}
