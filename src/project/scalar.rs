//! Plain YAML scalars as PyYAML's safe loader resolves them (YAML 1.1, PyYAML 6 `resolver.py` and `constructor.py`).

use super::yaml::YamlValue;

/// The value of an unquoted scalar. Dates stay text; so do integers beyond 64 bits, whose digits would be lost otherwise.
pub(super) fn resolve_plain(text: &str) -> YamlValue {
    let resolved = match text.as_bytes().first() {
        None => Some(YamlValue::Null),
        Some(b'~' | b'n' | b'N' | b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O') => word(text),
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => number(text),
        Some(_) => None,
    };
    resolved.unwrap_or_else(|| YamlValue::Text(text.to_string()))
}

/// Nulls and booleans; only these spellings, not every mix of cases.
pub(super) fn word(text: &str) -> Option<YamlValue> {
    match text {
        "~" | "null" | "Null" | "NULL" => Some(YamlValue::Null),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(YamlValue::Boolean(true)),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(YamlValue::Boolean(false)),
        _ => None,
    }
}

pub(super) fn number(text: &str) -> Option<YamlValue> {
    float(text).map(YamlValue::Float).or_else(|| integer(text).map(YamlValue::Integer))
}

/// `[-+]?` and the rest.
fn split_sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

fn digits_or_underscores(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn bare(text: &str) -> String {
    text.replace('_', "")
}

/// Binary, octal (a leading zero), hexadecimal, decimal and base 60; `0o17` is text in YAML 1.1.
fn integer(text: &str) -> Option<i64> {
    let (negative, body) = split_sign(text);
    let signed = |digits: &str, radix: u32| {
        let digits = bare(digits);
        let sign = if negative { "-" } else { "" };
        i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
    };
    if let Some(digits) = body.strip_prefix("0b") {
        return all(digits, |b| matches!(b, b'0' | b'1' | b'_')).then(|| signed(digits, 2))?;
    }
    if let Some(digits) = body.strip_prefix("0x") {
        return all(digits, |b| b.is_ascii_hexdigit() || b == b'_').then(|| signed(digits, 16))?;
    }
    match body.as_bytes() {
        [b'0'] => Some(0),
        [b'0', rest @ ..] => rest.iter().all(|b| matches!(b, b'0'..=b'7' | b'_')).then(|| signed(body, 8))?,
        [b'1'..=b'9', ..] if digits_or_underscores(body) => signed(body, 10),
        [b'1'..=b'9', ..] => {
            let total =
                sexagesimal(body)?.iter().try_fold(0i64, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))?;
            Some(if negative { -total } else { total })
        }
        _ => None,
    }
}

/// The parts of `1_0:59:00`: every one after the first is 0 to 59.
fn sexagesimal(text: &str) -> Option<Vec<String>> {
    let mut parts = text.split(':');
    let first = parts.next().filter(|first| digits_or_underscores(first))?;
    let mut found = vec![bare(first)];
    for part in parts {
        let fits = match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
            _ => false,
        };
        found.push(fits.then(|| part.to_string())?);
    }
    (found.len() > 1).then_some(found)
}

/// A float needs a point, and a sign in its exponent: `1e5` and `1.5e5` are text.
fn float(text: &str) -> Option<f64> {
    let (negative, body) = split_sign(text);
    let signed = |value: f64| if negative { -value } else { value };
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(signed(f64::INFINITY)),
        _ if matches!(text, ".nan" | ".NaN" | ".NAN") => return Some(f64::NAN),
        _ => {}
    }
    let (whole, rest) = body.split_once('.')?;
    if whole.contains(':') {
        return sexagesimal_float(whole, rest).map(signed);
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let starts_with_digit = |part: &str| part.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let whole_fits = starts_with_digit(whole) || (text.starts_with('.') && starts_with_digit(fraction));
    if !whole_fits || !digits_or_underscores(whole) || !digits_or_underscores(fraction) {
        return None;
    }
    let exponent = match exponent {
        None => "+0",
        Some(signed) if signed.starts_with(['+', '-']) && all(&signed[1..], |b| b.is_ascii_digit()) => signed,
        Some(_) => return None,
    };
    format!("{}.{}e{exponent}", bare(whole), bare(fraction)).parse().ok().map(signed)
}

fn sexagesimal_float(whole: &str, fraction: &str) -> Option<f64> {
    if !whole.as_bytes().first()?.is_ascii_digit() || !digits_or_underscores(fraction) {
        return None;
    }
    let parts = sexagesimal(whole)?;
    let (last, leading) = parts.split_last()?;
    let mut total = 0.0;
    for part in leading {
        total = total * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(total * 60.0 + format!("{last}.{}", bare(fraction)).parse::<f64>().ok()?)
}
