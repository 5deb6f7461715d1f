//! Methods of Python's `str`: those minijinja's Python mode has, and the rest that projects use.

use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::arguments::Arguments;
use super::collection::list;

/// `value.method(args)` for text.
pub(super) fn method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Err(Error::from(ErrorKind::UnknownMethod)) };
    let arguments = Arguments::new(method, args);
    let given = |index, name| arguments.text(index, name);
    Ok(match method {
        "split" => split(text, &arguments)?,
        "rsplit" => right_split(text, &arguments)?,
        "splitlines" => list(text.lines().map(Value::from).collect()),
        "partition" => parts(text.split_once(given(0, "sep")?.as_str()), text, &given(0, "sep")?, false),
        "rpartition" => parts(text.rsplit_once(given(0, "sep")?.as_str()), text, &given(0, "sep")?, true),
        "casefold" => Value::from(text.to_lowercase()),
        "swapcase" => Value::from(text.chars().map(swap_case).collect::<String>()),
        "zfill" => zero_fill(text, width(&arguments)?),
        "ljust" => justify(text, &arguments, 0, 1)?,
        "rjust" => justify(text, &arguments, 1, 0)?,
        "center" => justify(text, &arguments, 1, 1)?,
        "removeprefix" => Value::from(text.strip_prefix(given(0, "prefix")?.as_str()).unwrap_or(text)),
        "removesuffix" => Value::from(text.strip_suffix(given(0, "suffix")?.as_str()).unwrap_or(text)),
        "index" => {
            let wanted = given(0, "sub")?;
            let at = text
                .find(&wanted)
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("index: `{wanted}` is not in the text")))?;
            Value::from(text[..at].chars().count())
        }
        "istitle" => Value::from(is_title(text)),
        "isidentifier" => Value::from(is_identifier(text)),
        "encode" | "decode" => value.clone(),
        _ => return pycompat::unknown_method_callback(state, value, method, args),
    })
}

fn limit(arguments: &Arguments<'_>) -> Option<usize> {
    arguments.get(1, "maxsplit").and_then(Value::as_i64).and_then(|limit| usize::try_from(limit).ok())
}

fn separator(arguments: &Arguments<'_>) -> Result<Option<String>, Error> {
    let separator = arguments.optional_text(0, "sep")?;
    match separator {
        Some(text) if text.is_empty() => Err(Error::new(ErrorKind::InvalidOperation, "split: the separator is empty")),
        other => Ok(other),
    }
}

fn split(text: &str, arguments: &Arguments<'_>) -> Result<Value, Error> {
    let limit = limit(arguments);
    let parts: Vec<Value> = match (separator(arguments)?, limit) {
        (Some(separator), Some(limit)) => text.splitn(limit + 1, &separator).map(Value::from).collect(),
        (Some(separator), None) => text.split(&separator).map(Value::from).collect(),
        (None, None) => text.split_whitespace().map(Value::from).collect(),
        (None, Some(limit)) => split_spaces(text, limit),
    };
    Ok(list(parts))
}

fn split_spaces(text: &str, limit: usize) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(Value::from(rest));
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        parts.push(Value::from(&rest[..end]));
        rest = rest[end..].trim_start();
    }
    parts
}

fn right_split(text: &str, arguments: &Arguments<'_>) -> Result<Value, Error> {
    let mut parts: Vec<Value> = match (separator(arguments)?, limit(arguments)) {
        (Some(separator), Some(limit)) => text.rsplitn(limit + 1, separator.as_str()).map(Value::from).collect(),
        (Some(separator), None) => text.rsplit(separator.as_str()).map(Value::from).collect(),
        (None, _) => text.split_whitespace().rev().map(Value::from).collect(),
    };
    parts.reverse();
    Ok(list(parts))
}

fn parts(found: Option<(&str, &str)>, text: &str, separator: &str, from_right: bool) -> Value {
    let [before, middle, after] = match found {
        Some((before, after)) => [before, separator, after],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    };
    Value::from(minijinja::value::Tuple::from(vec![Value::from(before), Value::from(middle), Value::from(after)]))
}

fn swap_case(c: char) -> char {
    if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
}

fn width(arguments: &Arguments<'_>) -> Result<usize, Error> {
    let value = arguments.require(0, "width")?;
    value.as_usize().filter(|width| *width <= 1_000_000).ok_or_else(|| arguments.wrong("width", "a small integer", value))
}

fn zero_fill(text: &str, width: usize) -> Value {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let missing = width.saturating_sub(text.chars().count());
    Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
}

/// Fills up to a width with shares of the missing characters before and after.
fn justify(text: &str, arguments: &Arguments<'_>, before: usize, after: usize) -> Result<Value, Error> {
    let fill = arguments.optional_text(1, "fillchar")?.unwrap_or_else(|| " ".to_string());
    let missing = width(arguments)?.saturating_sub(text.chars().count());
    let left = missing * before / (before + after);
    Ok(Value::from(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))))
}

fn is_title(text: &str) -> bool {
    let mut start = true;
    let mut any = false;
    for c in text.chars() {
        if c.is_alphabetic() {
            if c.is_uppercase() != start {
                return false;
            }
            any = true;
            start = false;
        } else {
            start = true;
        }
    }
    any
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.all(|c| c.is_alphanumeric() || c == '_')
}
