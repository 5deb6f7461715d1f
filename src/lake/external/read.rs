//! One file to batches, by format; and the columns of files that declare none.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use serde_json::{Map, Value as Json};

use super::files::{SourceFile, decompressed};
use super::layout::{DeclaredColumn, Delimited, Format, Layout};
use crate::lake::delimited::{BatchBuilder, Reject};
use crate::lake::guess::{Guess, Numbers};
use crate::lake::value::Column;
use crate::lake::{LakeError, LakeResult, storable};

/// A bucket for batches; an error stops the reading.
pub type Emit<'a> = &'a mut dyn FnMut(RecordBatch) -> LakeResult<()>;

/// One file being read.
pub struct FileReading<'a> {
    pub layout: &'a Layout,
    /// The file's columns, declared or inferred, without partitions.
    pub columns: &'a [DeclaredColumn],
    pub file: &'a SourceFile,
    schema: SchemaRef,
    type_names: Vec<String>,
    partition_values: Vec<Option<String>>,
    rejects: Vec<Reject>,
}

impl<'a> FileReading<'a> {
    pub fn new(layout: &'a Layout, columns: &'a [DeclaredColumn], file: &'a SourceFile) -> LakeResult<Self> {
        let type_names = columns.iter().chain(&layout.partitions).map(|column| column.type_name.clone()).collect();
        let schema = Arc::new(layout.schema(columns));
        let partition_values = partition_values(layout, file)?;
        Ok(Self { layout, columns, file, schema, type_names, partition_values, rejects: Vec::new() })
    }

    /// Reads all rows into `emit`; gives back the rows that did not fit, or fails at the first if they are not wanted.
    pub fn read(mut self, raw: Box<dyn Read + Send>, emit: Emit<'_>) -> LakeResult<Vec<Reject>> {
        let content = BufReader::with_capacity(1 << 20, decompressed(&self.file.name, raw)?);
        match &self.layout.format {
            Format::Delimited(format) => self.read_delimited(format, content, emit)?,
            Format::Json => self.read_json(content, emit)?,
            Format::Avro => self.read_avro(content, emit)?,
            Format::Parquet | Format::Delta => {}
        }
        Ok(self.rejects)
    }

    fn reject(&mut self, line: u64, reason: String, row: String) -> LakeResult<()> {
        let reject = Reject { file: self.file.name.clone(), line, reason, row };
        if !self.layout.quarantine {
            return Err(reject.into_error());
        }
        self.rejects.push(reject);
        Ok(())
    }

    fn read_delimited(&mut self, format: &Delimited, content: impl Read, emit: Emit<'_>) -> LakeResult<()> {
        let (type_names, partitions) = (self.type_names.clone(), self.partition_values.clone());
        let mut builder = BatchBuilder::new(Arc::clone(&self.schema), &type_names)?;
        let mut reader = delimited_reader(format, content);
        let mut bytes = csv::ByteRecord::new();
        let mut to_skip = format.skip;
        let expected = self.columns.len();
        while reader.read_byte_record(&mut bytes).map_err(|error| self.broken(&error))? {
            if to_skip > 0 {
                to_skip -= 1;
                continue;
            }
            let line = bytes.position().map_or(0, csv::Position::line);
            let row = match csv::StringRecord::from_byte_record(std::mem::take(&mut bytes)) {
                Ok(row) => unescaped(row, format),
                Err(error) => {
                    bytes = error.into_byte_record();
                    let text = String::from_utf8_lossy(bytes.as_slice()).into_owned();
                    self.reject(line, "the row is not valid UTF-8".into(), text)?;
                    continue;
                }
            };
            let pushed = match field_count_problem(&row, expected) {
                Some(problem) => Err(problem),
                None => {
                    let fields = row.iter().take(expected).map(|text| Some(text).filter(|text| !is_null(text, format)));
                    builder.push(fields.chain(partitions.iter().map(Option::as_deref)))
                }
            };
            if let Err(reason) = pushed {
                let separator = char::from(format.separator).to_string();
                self.reject(line, reason, row.iter().collect::<Vec<_>>().join(&separator))?;
            }
            bytes = row.into_byte_record();
            if builder.is_full() {
                emit(builder.finish()?)?;
            }
        }
        emit(builder.finish()?)
    }

    fn broken(&self, error: &csv::Error) -> LakeError {
        let line = error.position().map_or(1, csv::Position::line);
        LakeError::new("external-read", format!("{}:{line}: {error}", self.file.name))
    }

    fn read_json(&mut self, content: impl BufRead, emit: Emit<'_>) -> LakeResult<()> {
        let (type_names, partitions) = (self.type_names.clone(), self.partition_values.clone());
        let mut builder = BatchBuilder::new(Arc::clone(&self.schema), &type_names)?;
        for row in json_rows(content)? {
            let (line, text, parsed) = row.map_err(|error| error.context(&self.file.name))?;
            let object = match parsed {
                Ok(object) => object,
                Err(problem) => {
                    self.reject(line, problem, text)?;
                    continue;
                }
            };
            let values: Vec<Option<String>> = self.columns.iter().map(|column| json_text(&object, &column.name)).collect();
            let all = values.iter().chain(&partitions).map(Option::as_deref);
            if let Err(reason) = builder.push(all) {
                self.reject(line, reason, text)?;
            }
            if builder.is_full() {
                emit(builder.finish()?)?;
            }
        }
        emit(builder.finish()?)
    }

    fn read_avro(&mut self, content: impl BufRead, emit: Emit<'_>) -> LakeResult<()> {
        let file = self.file.name.clone();
        let failed = |error: arrow::error::ArrowError| LakeError::new("external-read", format!("{file}: {error}"));
        let reader = arrow_avro::reader::ReaderBuilder::new().with_batch_size(8192).build(content).map_err(failed)?;
        let mut first_row = 1;
        for batch in reader {
            let batch = batch.map_err(failed)?;
            let rows = batch.num_rows();
            let fitted = self.fit(&batch, first_row)?;
            emit(fitted)?;
            first_row += rows as u64;
        }
        Ok(())
    }

    /// A typed batch in the declared columns; rows with a value that cannot be converted are rejected.
    fn fit(&mut self, batch: &RecordBatch, first_row: u64) -> LakeResult<RecordBatch> {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let mut good = vec![true; batch.num_rows()];
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for column in self.columns {
            let source =
                named_column(batch, &column.name).ok_or_else(|| self.column_missing(&column.name, batch.schema_ref()))?;
            let cast = cast_with_options(source, &column.data_type, &options)?;
            if cast.null_count() > source.null_count() {
                for row in (0..cast.len()).filter(|row| cast.is_null(*row) && source.is_valid(*row)) {
                    if std::mem::replace(&mut good[row], false) {
                        let shown = arrow::util::display::array_value_to_string(source, row)?;
                        let reason = format!("column \"{}\": `{shown}` is not of type {}", column.name, column.type_name);
                        self.reject(first_row + row as u64, reason, row_text(batch, row)?)?;
                    }
                }
            }
            arrays.push(cast);
        }
        for (partition, value) in self.layout.partitions.iter().zip(&self.partition_values) {
            arrays.push(constant(&partition.data_type, value.as_deref(), batch.num_rows())?);
        }
        let fitted = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        if good.iter().all(|good| *good) {
            return Ok(fitted);
        }
        Ok(filter_record_batch(&fitted, &BooleanArray::from(good))?)
    }

    fn column_missing(&self, name: &str, schema: &Schema) -> LakeError {
        let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        LakeError::new("external-column", format!("{}: there is no column \"{name}\"", self.file.name))
            .help(format!("the file's columns are {}", found.join(", ")))
    }
}

fn row_text(batch: &RecordBatch, row: usize) -> LakeResult<String> {
    let values = batch.columns().iter().map(|column| arrow::util::display::array_value_to_string(column, row));
    Ok(values.collect::<Result<Vec<_>, _>>()?.join("|"))
}

fn named_column<'b>(batch: &'b RecordBatch, name: &str) -> Option<&'b ArrayRef> {
    let schema = batch.schema_ref();
    let exact = schema.fields().iter().position(|field| field.name() == name);
    let index = exact.or_else(|| schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name)))?;
    Some(batch.column(index))
}

fn constant(data_type: &DataType, value: Option<&str>, rows: usize) -> LakeResult<ArrayRef> {
    let mut column =
        Column::new(data_type).ok_or_else(|| LakeError::new("type-unsupported", format!("a partition cannot be {data_type}")))?;
    for _ in 0..rows {
        match value {
            Some(text) => {
                column.push(text).map_err(|_| LakeError::new("external-partition", format!("`{text}` is not {data_type}")))?
            }
            None => column.push_null(),
        }
    }
    Ok(column.finish())
}

fn delimited_reader<R: Read>(format: &Delimited, content: R) -> csv::Reader<R> {
    csv::ReaderBuilder::new()
        .delimiter(format.separator)
        .quoting(format.quote.is_some())
        .quote(format.quote.unwrap_or(b'"'))
        .escape(format.escape)
        .flexible(true)
        .has_headers(false)
        .buffer_capacity(1 << 16)
        .from_reader(content)
}

/// Hive's escapes in rows without quotes: an escaped separator belongs to its field, and `\N` stays as it is. (Within quotes
/// the reader has resolved them.)
fn unescaped(row: csv::StringRecord, format: &Delimited) -> csv::StringRecord {
    let Some(escape) = format.escape.map(char::from).filter(|_| format.quote.is_none()) else { return row };
    if !row.as_slice().contains(escape) {
        return row;
    }
    let mut fields = csv::StringRecord::new();
    let mut field = String::new();
    let last = row.len().saturating_sub(1);
    for (index, text) in row.iter().enumerate() {
        field.push_str(text);
        let escapes = text.chars().rev().take_while(|c| *c == escape).count();
        if escapes % 2 == 1 && index < last {
            field.push(char::from(format.separator));
            continue;
        }
        if is_null(&field, format) {
            fields.push_field(&field);
        } else {
            fields.push_field(&without_escapes(&field, escape));
        }
        field.clear();
    }
    fields
}

/// Each escape character gone, and what stands after it kept.
fn without_escapes(text: &str, escape: char) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(if character == escape { characters.next().unwrap_or(escape) } else { character });
    }
    plain
}

fn is_null(text: &str, format: &Delimited) -> bool {
    text == "\\N" || format.null.as_deref() == Some(text)
}

/// A separator after the last field is fine; other surplus or missing fields are not.
fn field_count_problem(row: &csv::StringRecord, expected: usize) -> Option<String> {
    let fits = row.len() == expected || (row.len() > expected && row.iter().skip(expected).all(str::is_empty));
    (!fits).then(|| format!("the row has {} fields, {expected} are declared", row.len()))
}

/// The values of `k=v/` folders, in the order of the declared partitions.
fn partition_values(layout: &Layout, file: &SourceFile) -> LakeResult<Vec<Option<String>>> {
    let folders: Vec<(String, String)> = file
        .below
        .split('/')
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.to_lowercase(), percent_decoded(value)))
        .collect();
    let value = |partition: &DeclaredColumn| {
        let found = folders.iter().find(|(key, _)| *key == partition.name.to_lowercase());
        let (_, text) = found.ok_or_else(|| {
            LakeError::new("external-partition", format!("{}: no `{}=…` folder in the path", file.name, partition.name))
                .help("partitions are folders named `column=value` below the location")
        })?;
        Ok(Some(text.clone()).filter(|text| text != "__HIVE_DEFAULT_PARTITION__"))
    };
    layout.partitions.iter().map(value).collect()
}

/// The values of a file's partition folders, typed.
pub fn partition_scalars(layout: &Layout, file: &SourceFile) -> LakeResult<Vec<ScalarValue>> {
    let values = partition_values(layout, file)?;
    let typed = layout.partitions.iter().zip(values).map(|(partition, value)| {
        let array = constant(&partition.data_type, value.as_deref(), 1).map_err(|error| error.context(&file.name))?;
        Ok(ScalarValue::try_from_array(&array, 0)?)
    });
    typed.collect()
}

fn percent_decoded(text: &str) -> String {
    // A path segment is decoded the way a query string is, but for `+`.
    let protected = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("v={protected}").as_bytes())
        .next()
        .map_or_else(|| text.to_string(), |(_, value)| value.into_owned())
}

type JsonRow = (u64, String, Result<Map<String, Json>, String>);

/// The objects of a file: one a line, or one array of them.
fn json_rows<'c>(mut content: impl BufRead + 'c) -> LakeResult<Box<dyn Iterator<Item = LakeResult<JsonRow>> + 'c>> {
    skip_blanks(&mut content)?;
    if content.fill_buf()?.first() == Some(&b'[') {
        let rows: Vec<Json> = serde_json::from_reader(content)
            .map_err(|error| LakeError::new("external-read", format!("not valid JSON: {error}")))?;
        return Ok(Box::new((1_u64..).zip(rows).map(|(row, value)| Ok((row, value.to_string(), object(value))))));
    }
    let rows = (1_u64..).zip(content.lines()).filter_map(|(number, line)| {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(Err(LakeError::from(error))),
        };
        if line.trim().is_empty() {
            return None;
        }
        let parsed = serde_json::from_str::<Json>(&line).map_err(|error| format!("not valid JSON: {error}")).and_then(object);
        Some(Ok((number, line, parsed)))
    });
    Ok(Box::new(rows))
}

/// Skips a byte order mark and spaces before the first value, but no line break: lines are counted.
fn skip_blanks(content: &mut impl BufRead) -> LakeResult<()> {
    let start = content.fill_buf()?;
    let mark = if start.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let blanks = start[mark..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    content.consume(mark + blanks);
    Ok(())
}

fn object(value: Json) -> Result<Map<String, Json>, String> {
    match value {
        Json::Object(map) => Ok(map),
        _ => Err("the row is not a JSON object".into()),
    }
}

/// A member's value as text; nested values as JSON. Names match in any case if not exactly.
fn json_text(object: &Map<String, Json>, name: &str) -> Option<String> {
    let value =
        object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))?;
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The columns of files that declare none: names from the header, the objects' members or the schema, types by content.
pub fn infer(layout: &Layout, file: &SourceFile, raw: Box<dyn Read + Send>) -> LakeResult<Vec<DeclaredColumn>> {
    let content = BufReader::new(decompressed(&file.name, raw)?);
    match &layout.format {
        Format::Delimited(format) => infer_delimited(format, file, content),
        Format::Json => infer_json(content),
        Format::Avro => infer_avro(file, content),
        Format::Parquet | Format::Delta => Ok(Vec::new()),
    }
}

fn infer_delimited(format: &Delimited, file: &SourceFile, content: impl Read) -> LakeResult<Vec<DeclaredColumn>> {
    let failed = |error: csv::Error| LakeError::new("external-read", format!("{}: {error}", file.name));
    let mut reader = delimited_reader(format, content);
    let mut rows = reader.records();
    // The header is the last of the skipped lines; without any, it is the first line.
    let header = rows.by_ref().nth(format.skip.saturating_sub(1)).transpose().map_err(failed)?;
    let header = header.ok_or_else(|| {
        LakeError::new("external-column", format!("{}: the file is empty and no columns are declared", file.name))
    })?;
    let mut guesses = vec![Guess::new(Numbers::Plain); header.len()];
    for row in rows {
        let row = row.map_err(failed)?;
        let values = row.iter().zip(&mut guesses).filter(|(text, _)| !text.is_empty() && !is_null(text, format));
        values.for_each(|(text, guess)| guess.observe(text));
    }
    Ok(header.iter().zip(&guesses).map(|(name, guess)| guessed(name.trim(), guess)).collect())
}

fn guessed(name: &str, guess: &Guess) -> DeclaredColumn {
    let (data_type, type_name) = guess.finish();
    DeclaredColumn { name: name.to_string(), type_name: type_name.to_string(), data_type }
}

fn infer_json(content: impl BufRead) -> LakeResult<Vec<DeclaredColumn>> {
    let mut guesses: indexmap::IndexMap<String, Guess> = indexmap::IndexMap::new();
    for row in json_rows(content)? {
        let Ok(object) = row?.2 else { continue };
        for (name, value) in object {
            let guess = guesses.entry(name).or_insert_with(|| Guess::new(Numbers::Plain));
            match value {
                Json::Null => {}
                // A quoted number was meant as text.
                Json::String(text) if text.parse::<f64>().is_ok() => guess.observe("text"),
                Json::String(text) => guess.observe(if text.is_empty() { "text" } else { &text }),
                other => guess.observe(&other.to_string()),
            }
        }
    }
    Ok(guesses.iter().map(|(name, guess)| guessed(name, guess)).collect())
}

fn infer_avro(file: &SourceFile, content: impl BufRead) -> LakeResult<Vec<DeclaredColumn>> {
    let failed = |error: arrow::error::ArrowError| LakeError::new("external-read", format!("{}: {error}", file.name));
    let reader = arrow_avro::reader::ReaderBuilder::new().build(content).map_err(failed)?;
    let schema = storable(&reader.schema())?;
    let column = |field: &Arc<arrow::datatypes::Field>| DeclaredColumn {
        name: field.name().clone(),
        type_name: crate::sql::type_name(field.data_type()),
        data_type: field.data_type().clone(),
    };
    Ok(schema.fields().iter().map(column).collect())
}
