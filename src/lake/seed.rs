//! Seeds: small CSV files of the project, loaded whole, with the types dbt would give them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::delimited::BatchBuilder;
use super::guess::{Guess, Numbers, bare_number, whole_number};
use super::{LakeError, LakeResult, storable};
use crate::sql::arrow_type;

/// How to read a seed.
#[derive(Clone, Debug)]
pub struct SeedOptions {
    pub delimiter: char,
    /// Types given by the project, by column; others are guessed.
    pub column_types: Vec<(String, String)>,
    /// Whether column names keep their case, as quoted names do.
    pub quote_columns: bool,
}

/// A seed's rows.
#[derive(Clone, Debug)]
pub struct Seed {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

struct SeedColumn {
    name: String,
    data_type: DataType,
    type_name: String,
    /// Whether numbers are written agate's loose way (a guessed type) or must be plain (a given type).
    guessed: bool,
}

/// The columns that [`read_seed`] would give.
pub fn seed_schema(file: &Path, options: &SeedOptions) -> LakeResult<SchemaRef> {
    let (content, delimiter) = content(file, options)?;
    let columns = columns(file, reader(&content, delimiter), options)?;
    schema(file, &columns)
}

fn schema(file: &Path, columns: &[SeedColumn]) -> LakeResult<SchemaRef> {
    let fields: Vec<Field> = columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect();
    storable(&Schema::new(fields)).map_err(|error| error.context(&file.display().to_string()))
}

fn content(file: &Path, options: &SeedOptions) -> LakeResult<(Vec<u8>, u8)> {
    let content = std::fs::read(file).map_err(|error| LakeError::from(error).context(&file.display().to_string()))?;
    let delimiter = u8::try_from(options.delimiter)
        .map_err(|_| LakeError::new("seed-invalid", format!("delimiter `{}` is not one ASCII character", options.delimiter)))?;
    Ok((content, delimiter))
}

fn reader(content: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(content)
}

/// Reads a CSV file with a header. Empty fields and `null` are null; a row longer than the header is an error, a shorter
/// one ends in nulls, as in dbt.
pub fn read_seed(file: &Path, options: &SeedOptions) -> LakeResult<Seed> {
    let (content, delimiter) = content(file, options)?;
    let columns = columns(file, reader(&content, delimiter), options)?;
    let schema = schema(file, &columns)?;
    let type_names: Vec<String> = columns.iter().map(|column| column.type_name.clone()).collect();
    let mut builder = BatchBuilder::new(Arc::clone(&schema), &type_names)?;
    let mut batches = Vec::new();
    let mut values: Vec<Option<String>> = Vec::with_capacity(columns.len());
    for row in reader(&content, delimiter).into_records().skip(1) {
        let row = row.map_err(|error| broken(file, &error))?;
        values.clear();
        values.extend(columns.iter().enumerate().map(|(index, column)| row.get(index).and_then(|text| value(column, text))));
        if let Err(reason) = builder.push(values.iter().map(Option::as_deref)) {
            let line = row.position().map_or(0, csv::Position::line);
            return Err(LakeError::new("seed-value", format!("{}:{line}: {reason}", file.display()))
                .help("correct the file, or the type under `column_types`"));
        }
        if builder.is_full() {
            batches.push(builder.finish()?);
        }
    }
    batches.push(builder.finish()?);
    Ok(Seed { schema, batches })
}

/// A seed's rows as text, for an engine that reads them itself.
#[derive(Clone, Debug)]
pub struct SeedText {
    /// Names and types.
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Reads a CSV file as [`read_seed`] does, and leaves the values text; numbers are without the signs that agate strips.
pub fn read_seed_text(file: &Path, options: &SeedOptions) -> LakeResult<SeedText> {
    let content = std::fs::read(file).map_err(|error| LakeError::from(error).context(&file.display().to_string()))?;
    let delimiter = u8::try_from(options.delimiter)
        .map_err(|_| LakeError::new("seed-invalid", format!("delimiter `{}` is not one ASCII character", options.delimiter)))?;
    let reader =
        || csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(content.as_slice());
    let columns = columns(file, reader(), options)?;
    let mut rows = Vec::new();
    for row in reader().into_records().skip(1) {
        let row = row.map_err(|error| broken(file, &error))?;
        let text = |(index, column)| row.get(index).and_then(|text| value(column, text));
        rows.push(columns.iter().enumerate().map(text).collect());
    }
    let columns = columns.into_iter().map(|column| (column.name, column.type_name)).collect();
    Ok(SeedText { columns, rows })
}

/// One value as its column's builder wants it.
fn value(column: &SeedColumn, text: &str) -> Option<String> {
    if is_null(text) {
        return None;
    }
    if !column.guessed {
        return Some(text.to_string());
    }
    match column.data_type {
        DataType::Int32 | DataType::Int64 => {
            let bare = bare_number(text)?;
            Some(whole_number(&bare).map_or(bare, |value| value.to_string()))
        }
        DataType::Float64 => bare_number(text),
        _ => Some(text.to_string()),
    }
}

fn is_null(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.eq_ignore_ascii_case("null")
}

fn broken(file: &Path, error: &csv::Error) -> LakeError {
    let line = error.position().map_or(1, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "the row is not valid UTF-8".to_string(),
        _ => error.to_string(),
    };
    LakeError::new("seed-invalid", format!("{}:{line}: {problem}", file.display()))
}

/// The header's names and each column's type, from one pass over all rows.
fn columns(file: &Path, mut reader: csv::Reader<&[u8]>, options: &SeedOptions) -> LakeResult<Vec<SeedColumn>> {
    let mut records = reader.records();
    let header = match records.next() {
        Some(header) => header.map_err(|error| broken(file, &error))?,
        None => {
            return Err(LakeError::new("seed-invalid", format!("{}: the file is empty; a seed needs a header", file.display())));
        }
    };
    let names = column_names(&header, options.quote_columns);
    let mut guesses = vec![Guess::new(Numbers::Loose); names.len()];
    for row in records {
        let row = row.map_err(|error| broken(file, &error))?;
        if row.len() > names.len() {
            let line = row.position().map_or(0, csv::Position::line);
            let message =
                format!("{}:{line}: the row has {} values, the header {} columns", file.display(), row.len(), names.len());
            return Err(LakeError::new("seed-invalid", message).help("put values that hold the delimiter in double quotes"));
        }
        row.iter().zip(&mut guesses).filter(|(text, _)| !is_null(text)).for_each(|(text, guess)| guess.observe(text));
    }
    names
        .into_iter()
        .zip(guesses)
        .enumerate()
        .map(|(index, (name, guess))| column(&header[index], name, &guess, options))
        .collect()
}

fn column(written: &str, name: String, guess: &Guess, options: &SeedOptions) -> LakeResult<SeedColumn> {
    let given = options.column_types.iter().find(|(column, _)| column == written || *column == name);
    let Some((_, type_name)) = given else {
        let (data_type, type_name) = guess.finish();
        return Ok(SeedColumn { name, data_type, type_name: type_name.into(), guessed: true });
    };
    let data_type = arrow_type(type_name)
        .ok_or_else(|| LakeError::new("type-unknown", format!("column \"{name}\": unknown data type `{type_name}`")))?;
    Ok(SeedColumn { name, data_type, type_name: type_name.to_lowercase(), guessed: false })
}

/// Names made unique and never empty, the way agate names columns: `a`, `b` … for empty ones, `name_2` for repeated ones.
fn column_names(header: &csv::StringRecord, quoted: bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (index, written) in header.iter().enumerate() {
        let written = written.trim();
        let base = if written.is_empty() { letter_name(index) } else { written.to_string() };
        let base = if quoted { base } else { base.to_lowercase() };
        let mut name = base.clone();
        let mut count = 2;
        while names.contains(&name) {
            name = format!("{base}_{count}");
            count += 1;
        }
        names.push(name);
    }
    names
}

fn letter_name(index: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or_default());
    letter.to_string().repeat(index / 26 + 1)
}
