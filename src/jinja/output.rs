//! JSON and YAML texts as Python's `json` and PyYAML write and read them.

use std::io;

use minijinja::{Environment, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::collection::to_json;

/// The `tojson` filter of Jinja: keys sorted, and what HTML would take amiss escaped.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("tojson", |value: &Value| -> String {
        let text = json_text(&to_json(value), true);
        text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027")
    });
}

/// As `json.dumps` writes it: a space after `,` and `:`, ASCII only.
pub fn json_text(json: &Json, sort_keys: bool) -> String {
    let sorted;
    let json = if sort_keys {
        sorted = with_sorted_keys(json);
        &sorted
    } else {
        json
    };
    let mut bytes = Vec::new();
    json.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced)).expect("writing JSON to memory cannot fail");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn with_sorted_keys(json: &Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.iter().map(with_sorted_keys).collect()),
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            Json::Object(entries.into_iter().map(|(key, value)| (key.clone(), with_sorted_keys(value))).collect())
        }
        other => other.clone(),
    }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let text: &[u8] = match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus => b"\\\\",
            CharEscape::Solidus => b"/",
            CharEscape::Backspace => b"\\b",
            CharEscape::FormFeed => b"\\f",
            CharEscape::LineFeed => b"\\n",
            CharEscape::CarriageReturn => b"\\r",
            CharEscape::Tab => b"\\t",
            CharEscape::AsciiControl(byte) => return write!(writer, "\\u{byte:04x}"),
        };
        writer.write_all(text)
    }
}

/// Block style, as `yaml.safe_dump` writes it.
pub(super) fn yaml_text(json: &Json, sort_keys: bool) -> String {
    let json = if sort_keys { with_sorted_keys(json) } else { json.clone() };
    let mut text = String::new();
    match &json {
        Json::Array(items) if !items.is_empty() => yaml_block(&json, 0, &mut text),
        Json::Object(map) if !map.is_empty() => yaml_block(&json, 0, &mut text),
        Json::Array(_) => text.push_str("[]\n"),
        Json::Object(_) => text.push_str("{}\n"),
        scalar => text.push_str(&format!("{}\n...\n", yaml_scalar(scalar))),
    }
    text
}

fn yaml_block(json: &Json, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                text.push_str(&format!("{pad}{}:", yaml_scalar(&Json::from(key.as_str()))));
                // PyYAML does not indent a list under its key.
                yaml_entry(value, if value.is_array() { indent } else { indent + 2 }, text);
            }
        }
        Json::Array(items) => {
            for item in items {
                let mut inner = String::new();
                match item {
                    Json::Array(nested) if !nested.is_empty() => yaml_block(item, indent + 2, &mut inner),
                    Json::Object(nested) if !nested.is_empty() => yaml_block(item, indent + 2, &mut inner),
                    scalar => inner = format!("{pad}  {}\n", yaml_scalar(scalar)),
                }
                text.push_str(&format!("{pad}- {}", &inner[indent + 2..]));
            }
        }
        _ => {}
    }
}

fn yaml_entry(value: &Json, indent: usize, text: &mut String) {
    match value {
        Json::Array(items) if !items.is_empty() => {
            text.push('\n');
            yaml_block(value, indent, text);
        }
        Json::Object(map) if !map.is_empty() => {
            text.push('\n');
            yaml_block(value, indent, text);
        }
        scalar => text.push_str(&format!(" {}\n", yaml_scalar(scalar))),
    }
}

fn yaml_scalar(json: &Json) -> String {
    match json {
        Json::Null => "null".to_string(),
        Json::Array(_) => "[]".to_string(),
        Json::Object(_) => "{}".to_string(),
        Json::String(text) => {
            let plain = !text.is_empty()
                && plain_scalar(text).is_string()
                && !text.contains(['\n', '#', '"', '\'', '{', '}', '[', ']'])
                && !text.contains(": ")
                && !text.ends_with(':')
                && text.trim() == text
                && !text.starts_with(['-', '?', ':', ',', '&', '*', '!', '|', '>', '%', '@', '`', '=']);
            if plain {
                text.clone()
            } else if text.contains(['\n', '\t', '\r']) {
                Json::from(text.as_str()).to_string()
            } else {
                format!("'{}'", text.replace('\'', "''"))
            }
        }
        other => other.to_string(),
    }
}

/// A YAML document as JSON; none if it is not well formed.
pub(super) fn yaml_value(text: &str) -> Option<Json> {
    let mut events = Parser::new_from_str(text);
    loop {
        match events.next()?.ok()?.0 {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd | Event::DocumentEnd => return Some(Json::Null),
            first => return yaml_node(first, &mut events, 0),
        }
    }
}

fn yaml_node<'t>(event: Event<'t>, events: &mut Parser<'t, StrInput<'t>>, depth: usize) -> Option<Json> {
    if depth > 100 {
        return None;
    }
    match event {
        Event::Scalar(text, ScalarStyle::Plain, _, _) => Some(plain_scalar(&text)),
        Event::Scalar(text, ..) => Some(Json::from(text.as_ref())),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next()?.ok()?.0 {
                    Event::SequenceEnd => return Some(Json::Array(items)),
                    item => items.push(yaml_node(item, events, depth + 1)?),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = serde_json::Map::new();
            loop {
                let key = match events.next()?.ok()?.0 {
                    Event::MappingEnd => return Some(Json::Object(map)),
                    key => yaml_node(key, events, depth + 1)?,
                };
                let value = events.next()?.ok()?.0;
                let value = yaml_node(value, events, depth + 1)?;
                map.insert(key.as_str().map_or_else(|| key.to_string(), str::to_string), value);
            }
        }
        _ => None,
    }
}

/// YAML 1.1's meaning of a scalar without quotes.
fn plain_scalar(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Json::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Json::Bool(false),
        _ => {}
    }
    if let Ok(integer) = text.replace('_', "").parse::<i64>() {
        return Json::from(integer);
    }
    match text.parse::<f64>() {
        Ok(number) if text.contains('.') && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) => Json::from(number),
        _ => Json::from(text),
    }
}
