//! The server's types and values as plain data.

use crate::rows::{Answer, Cell, ColumnType, Rows};
use crate::wire::{Field, Reply};

/// A type by its number in `pg_type`, as `format_type` names it.
pub fn type_name(oid: u32, modifier: i32) -> String {
    let length = |name: &str| if modifier > 4 { format!("{name}({})", modifier - 4) } else { name.to_string() };
    match oid {
        1042 => return length("character"),
        1043 => return length("character varying"),
        1700 if modifier > 4 => {
            let packed = modifier - 4;
            return format!("numeric({},{})", (packed >> 16) & 0xffff, packed & 0x7ff);
        }
        _ => {}
    }
    let name = match oid {
        16 => "boolean",
        17 => "bytea",
        18 => "\"char\"",
        19 => "name",
        20 => "bigint",
        21 => "smallint",
        23 => "integer",
        25 => "text",
        26 => "oid",
        114 => "json",
        142 => "xml",
        700 => "real",
        701 => "double precision",
        705 => "unknown",
        869 => "inet",
        1082 => "date",
        1083 => "time without time zone",
        1114 => "timestamp without time zone",
        1184 => "timestamp with time zone",
        1186 => "interval",
        1266 => "time with time zone",
        1700 => "numeric",
        2950 => "uuid",
        3802 => "jsonb",
        1000 => "boolean[]",
        1005 => "smallint[]",
        1007 => "integer[]",
        1009 => "text[]",
        1015 => "character varying[]",
        1016 => "bigint[]",
        1021 => "real[]",
        1022 => "double precision[]",
        1115 => "timestamp without time zone[]",
        1182 => "date[]",
        1231 => "numeric[]",
        2951 => "uuid[]",
        other => return format!("type {other}"),
    };
    name.to_string()
}

/// The name dbt has for a type, from psycopg2's groups of types and dbt's own names for some of them.
pub fn driver_type(name: &str) -> String {
    let (name, array) = name.strip_suffix("[]").map_or((name, false), |item| (item, true));
    let bare = match name.split_once('(') {
        Some((bare, rest)) => format!("{bare}{}", rest.split_once(')').map_or("", |(_, rest)| rest)),
        None => name.to_string(),
    };
    let group = match bare.as_str() {
        "bigint" => "LONGINTEGER",
        "integer" | "smallint" if array => "INTEGER",
        "integer" | "smallint" => "INT",
        "real" | "double precision" => "FLOAT",
        "numeric" => "DECIMAL",
        "text" | "character varying" | "character" | "name" | "\"char\"" if array => "STRING",
        "text" | "character varying" | "character" | "name" | "\"char\"" => "TEXT",
        "boolean" => "BOOLEAN",
        "timestamp without time zone" => "DATETIME",
        "timestamp with time zone" => "DATETIMETZ",
        "time without time zone" | "time with time zone" => "TIME",
        "date" => "DATE",
        "interval" => "INTERVAL",
        "bytea" => "BINARY",
        "oid" => "ROWID",
        "json" => "JSON",
        "jsonb" => "JSONB",
        "unknown" => "UNKNOWN",
        other => return format!("unknown type_code {}", other.trim_start_matches("type ")),
    };
    if array { format!("{group}ARRAY") } else { group.to_string() }
}

fn cell(field: &Field, text: Option<String>) -> Cell {
    let Some(text) = text else { return Cell::Null };
    match field.type_oid {
        16 => Cell::Boolean(text == "t"),
        20 | 21 | 23 | 26 => text.parse().map_or_else(|_| Cell::Text(text), Cell::Integer),
        700 | 701 => text.parse().map_or_else(|_| Cell::Text(text), Cell::Float),
        1700 => Cell::Decimal(text),
        114 | 3802 => Cell::Text(spaced(&text)),
        oid if type_name(oid, -1).ends_with("[]") => Cell::Text(array(&text, oid)),
        1082 => Cell::Date(text),
        1114 => Cell::Timestamp(text),
        1184 => Cell::Timestamp(whole_offset(text)),
        _ => Cell::Text(text),
    }
}

/// JSON as Python writes it, which is how dbt shows it.
fn spaced(text: &str) -> String {
    serde_json::from_str(text).map_or_else(|_| text.to_string(), |json: serde_json::Value| python_json(&json))
}

/// `json.dumps`: a space after each comma and colon.
fn python_json(json: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match json {
        Json::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| format!("{}: {}", Json::from(key.as_str()), python_json(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// `{1,2,NULL}` as a list of JSON; text whose form is not known stays.
fn array(text: &str, oid: u32) -> String {
    let is_number = matches!(oid, 1005 | 1007 | 1016 | 1021 | 1022 | 1231);
    let mut stack: Vec<Vec<serde_json::Value>> = Vec::new();
    let mut item = String::new();
    let (mut quoted, mut was_quoted, mut escaped) = (false, false, false);
    for letter in text.chars() {
        match letter {
            letter if escaped => {
                item.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => (quoted, was_quoted) = (!quoted, true),
            letter if quoted => item.push(letter),
            '{' => stack.push(Vec::new()),
            ',' | '}' => {
                let Some(items) = stack.last_mut() else { return text.to_string() };
                if was_quoted || !item.is_empty() {
                    items.push(array_item(std::mem::take(&mut item), was_quoted, (oid, is_number)));
                    was_quoted = false;
                }
                if letter == '}' {
                    let items = serde_json::Value::Array(stack.pop().unwrap_or_default());
                    match stack.last_mut() {
                        Some(outer) => outer.push(items),
                        None => return python_json(&items),
                    }
                }
            }
            letter => item.push(letter),
        }
    }
    text.to_string()
}

fn array_item(text: String, quoted: bool, (oid, is_number): (u32, bool)) -> serde_json::Value {
    match text.as_str() {
        "NULL" if !quoted => serde_json::Value::Null,
        "t" | "f" if oid == 1000 => serde_json::Value::Bool(text == "t"),
        number if is_number => serde_json::from_str(number).unwrap_or(serde_json::Value::String(text)),
        _ => serde_json::Value::String(text),
    }
}

/// `… 10:00:00+02` with the minutes of its offset: `+02:00`.
fn whole_offset(text: String) -> String {
    let bytes = text.as_bytes();
    match bytes.len().checked_sub(3).map(|at| bytes[at]) {
        Some(b'+' | b'-') => format!("{text}:00"),
        _ => text,
    }
}

/// A result as rows; the names of columns that occur twice get a number, as dbt gives them.
pub fn answer(reply: Reply) -> Answer {
    let Reply { tag, fields, rows } = reply;
    let mut names: Vec<String> = Vec::with_capacity(fields.len());
    for field in &fields {
        let seen = fields[..names.len()].iter().filter(|other| other.name == field.name).count();
        names.push(if seen == 0 { field.name.clone() } else { format!("{}_{}", field.name, seen + 1) });
    }
    let columns =
        fields.iter().zip(names).map(|(field, name)| ColumnType { name, data_type: type_name(field.type_oid, field.modifier) });
    let columns = columns.collect();
    let rows = rows.into_iter().map(|row| fields.iter().zip(row).map(|(field, text)| cell(field, text)).collect()).collect();
    let rows_affected = tag.rsplit(' ').next().and_then(|count| count.parse().ok());
    Answer { message: tag, rows: Rows { columns, rows, rows_affected } }
}
