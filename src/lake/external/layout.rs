//! The `external:` block understood: where, in which format, with which columns.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, Field, Schema};
use regex::Regex;
use serde_json::{Map, Value as Json};

use super::ExternalDefinition;
use crate::lake::{LakeError, LakeResult, storable};
use crate::sql::arrow_type;

/// How files of delimited text are cut into rows and fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Delimited {
    pub separator: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    /// Lines before the first row.
    pub skip: usize,
    /// The field text that stands for null, beside `\N`.
    pub null: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    Delimited(Delimited),
    /// One JSON object a line.
    Json,
    Parquet,
    Avro,
    Delta,
}

/// A column: its name, its type as declared, and the type it is stored as.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredColumn {
    pub name: String,
    pub type_name: String,
    pub data_type: DataType,
}

/// A definition, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub location: String,
    pub format: Format,
    /// Declared columns without the partitions; empty if they are to be inferred.
    pub columns: Vec<DeclaredColumn>,
    /// Columns that stand in folder names, `k=v/`.
    pub partitions: Vec<DeclaredColumn>,
    /// Whether rows that do not fit are kept apart instead of failing the read.
    pub quarantine: bool,
}

impl ExternalDefinition {
    /// Understands the block; `sample` is the name of one of its files, if there is one, to tell the format by.
    pub fn layout(&self, sample: Option<&str>) -> LakeResult<Layout> {
        let text = |key: &str| self.external.get(key).and_then(Json::as_str).map(str::trim).filter(|text| !text.is_empty());
        let location = text("location").ok_or_else(|| invalid("an `external:` block needs a `location`"))?.to_string();
        let location = location.trim_matches('\'').to_string();
        let properties = self.properties();
        let row_format = text("row_format").unwrap_or_default();
        let named = text("file_format").or_else(|| text("using"));
        let format = match kind(named.unwrap_or_default(), row_format, sample)? {
            Kind::Csv => Format::Delimited(delimited(row_format, &properties, true)?),
            Kind::Text => Format::Delimited(delimited(row_format, &properties, false)?),
            Kind::Json => Format::Json,
            Kind::Parquet => Format::Parquet,
            Kind::Avro => Format::Avro,
            Kind::Delta => Format::Delta,
        };
        let partitions = self.partitions()?;
        let is_partition = |name: &str| partitions.iter().any(|partition| partition.name.eq_ignore_ascii_case(name));
        let declared = self.columns.iter().filter(|(name, _)| !is_partition(name));
        let columns = declared.map(|(name, type_name)| declared_column(name, type_name)).collect::<LakeResult<Vec<_>>>()?;
        let on_bad_row = text("on_bad_row").or_else(|| properties.get("on_bad_row").map(String::as_str)).unwrap_or("fail");
        let quarantine = match on_bad_row {
            "fail" => false,
            "quarantine" => true,
            other => return Err(invalid(format!("`on_bad_row: {other}`: expected `fail` or `quarantine`"))),
        };
        Ok(Layout { location, format, columns, partitions, quarantine })
    }

    /// `table_properties`, `options`, serde properties and Snowflake's `file_format` list, as one map with lower-case keys.
    fn properties(&self) -> std::collections::BTreeMap<String, String> {
        let mut properties = std::collections::BTreeMap::new();
        for key in ["file_format", "row_format", "options", "table_properties", "tbl_properties"] {
            match self.external.get(key) {
                Some(Json::Object(map)) => {
                    properties.extend(map.iter().map(|(key, value)| (key.to_lowercase(), plain(value))));
                }
                Some(Json::String(text)) => properties.extend(pairs(text)),
                _ => {}
            }
        }
        properties
    }

    fn partitions(&self) -> LakeResult<Vec<DeclaredColumn>> {
        let Some(list) = self.external.get("partitions").and_then(Json::as_array) else { return Ok(Vec::new()) };
        let partition = |entry: &Json| {
            let entry = entry.as_object().ok_or_else(|| invalid("`partitions` is a list of `name` and `data_type`"))?;
            let text = |map: &Map<String, Json>, key: &str| map.get(key).and_then(Json::as_str).map(str::to_string);
            let name = text(entry, "name").ok_or_else(|| invalid("a partition needs a `name`"))?;
            declared_column(&name, &text(entry, "data_type").unwrap_or_else(|| "varchar".into()))
        };
        list.iter().map(partition).collect()
    }
}

impl Layout {
    /// The schema of `columns` and the partitions after them.
    pub fn schema(&self, columns: &[DeclaredColumn]) -> Schema {
        let all = columns.iter().chain(&self.partitions);
        Schema::new(all.map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect::<Vec<_>>())
    }
}

fn declared_column(name: &str, type_name: &str) -> LakeResult<DeclaredColumn> {
    let type_name = type_name.trim().to_lowercase();
    let data_type = arrow_type(&type_name)
        .ok_or_else(|| LakeError::new("type-unknown", format!("column \"{name}\": unknown data type `{type_name}`")))?;
    let stored = storable(&Schema::new(vec![Field::new(name, data_type, true)]))?;
    Ok(DeclaredColumn { name: name.to_string(), type_name, data_type: stored.field(0).data_type().clone() })
}

fn invalid(message: impl Into<String>) -> LakeError {
    LakeError::new("external-invalid", message)
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// `'key'='value'`, `key = value`, `key 'value'`: every pair in a text, keys in lower case, escapes resolved.
fn pairs(text: &str) -> Vec<(String, String)> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)['"]?([a-z_][a-z0-9_.]*)['"]?\s*(?:=>?|\s)\s*(?:'((?:[^'\\]|\\.|'')*)'|"((?:[^"\\]|\\.)*)"|=\s*([a-z0-9_]+)|([a-z0-9_]+)\b)"#)
            .expect("a fixed pattern")
    });
    PAIR.captures_iter(text)
        .map(|found| {
            let value = (2..=5).find_map(|group| found.get(group)).map(|value| value.as_str()).unwrap_or_default();
            (found[1].to_lowercase(), unescape(value))
        })
        .collect()
}

fn unescape(text: &str) -> String {
    match text {
        "\\t" => "\t".into(),
        "\\n" => "\n".into(),
        "\\\\" => "\\".into(),
        "\\\"" => "\"".into(),
        "\\'" | "''" => "'".into(),
        _ => match text
            .strip_prefix('\\')
            .filter(|digits| !digits.is_empty())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(code) => char::from(code).to_string(),
            None => text.to_string(),
        },
    }
}

enum Kind {
    Csv,
    Text,
    Json,
    Parquet,
    Avro,
    Delta,
}

/// Which format the block's words name, or else a file's extension.
fn kind(file_format: &str, row_format: &str, sample: Option<&str>) -> LakeResult<Kind> {
    let named = file_format.to_lowercase();
    let row = row_format.to_lowercase();
    let unsupported = |what: &str| {
        Err(invalid(format!("files of format {what} cannot be read"))
            .help("readable are: delimited text, csv, json lines, parquet, avro, delta"))
    };
    for (word, kind) in [("parquet", Kind::Parquet), ("avro", Kind::Avro), ("delta", Kind::Delta)] {
        if named.contains(word) || row.contains(&format!("{word}hiveserde")) || row.contains(&format!("{word}serde")) {
            return Ok(kind);
        }
    }
    if named.contains("orc") || row.contains("orcserde") {
        return unsupported("ORC");
    }
    for word in ["sequencefile", "rcfile", "ion", "grok", "regexserde", "xml"] {
        if named.split(|c: char| !c.is_alphanumeric()).any(|part| part == word) || row.contains(word) && word.len() > 4 {
            return unsupported(word);
        }
    }
    if named.contains("json") || row.contains("json") {
        return Ok(Kind::Json);
    }
    if named.contains("csv") || row.contains("opencsvserde") {
        return Ok(Kind::Csv);
    }
    if named.contains("text") || !row.is_empty() {
        return Ok(Kind::Text);
    }
    if !named.is_empty() {
        return unsupported(&format!("`{file_format}`"));
    }
    kind_of_file(sample.unwrap_or_default())
}

fn kind_of_file(name: &str) -> LakeResult<Kind> {
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst").trim_end_matches(".zstd");
    match name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).as_deref() {
        Some("parquet" | "pq") => Ok(Kind::Parquet),
        Some("avro") => Ok(Kind::Avro),
        Some("json" | "jsonl" | "ndjson") => Ok(Kind::Json),
        Some("csv" | "tsv") => Ok(Kind::Csv),
        _ => Err(invalid("the format of the files is not given")
            .help("add `file_format:` (csv, json, parquet, avro, delta) or `row_format:`")),
    }
}

/// Separator, quotes and the rest; `quoted` is the CSV way (OpenCSVSerde), else Hive's plain fields.
fn delimited(row_format: &str, properties: &std::collections::BTreeMap<String, String>, quoted: bool) -> LakeResult<Delimited> {
    let property = |keys: &[&str]| keys.iter().find_map(|key| properties.get(*key)).map(String::as_str);
    let terminated = clause(row_format, r"fields\s+terminated\s+by");
    let escaped = clause(row_format, r"escaped\s+by");
    let separator = terminated.or_else(|| {
        property(&["separatorchar", "field.delim", "sep", "delimiter", "field_delimiter", "serialization.format"]).map(unescape)
    });
    let quote = property(&["quotechar", "quote", "field_optionally_enclosed_by"]).map(unescape);
    let escape = escaped.or_else(|| property(&["escapechar", "escape", "escape.delim"]).map(unescape));
    let header = property(&["header"]).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let skip = match property(&["skip.header.line.count", "skip_header"]) {
        Some(count) => count.parse().map_err(|_| invalid(format!("skip.header.line.count: `{count}` is not a number")))?,
        None => usize::from(header),
    };
    let (separator_default, quote_default, escape_default) =
        if quoted { (b',', Some(b'"'), Some(b'\\')) } else { (1, None, None) };
    Ok(Delimited {
        separator: byte("separator", separator)?.unwrap_or(separator_default),
        quote: byte("quote", quote)?.or(quote_default),
        escape: byte("escape", escape)?.or(escape_default),
        skip,
        null: clause(row_format, r"null\s+defined\s+as")
            .or_else(|| property(&["serialization.null.format", "nullvalue", "null_if"]).map(unescape)),
    })
}

/// The quoted text after some words of a `row format delimited` clause.
fn clause(row_format: &str, words: &str) -> Option<String> {
    let pattern = Regex::new(&format!(r"(?i){words}\s+'((?:[^'\\]|\\.|'')*)'")).ok()?;
    Some(unescape(&pattern.captures(row_format)?[1]))
}

fn byte(what: &str, text: Option<String>) -> LakeResult<Option<u8>> {
    match text.as_deref().map(str::as_bytes) {
        None | Some([]) => Ok(None),
        Some([byte]) => Ok(Some(*byte)),
        Some(_) => Err(invalid(format!("the {what} `{}` is not one ASCII character", text.unwrap_or_default()))),
    }
}
