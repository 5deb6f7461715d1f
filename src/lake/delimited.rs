//! Rows to batches: typed columns filled row by row, with the rows that do not fit kept apart.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;

use super::value::{Column, Misfit};
use super::{LakeError, LakeResult};

/// Rows in a batch.
const BATCH_ROWS: usize = 16 * 1024;

/// A row that did not fit: where it stands, why, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    pub file: String,
    /// From 1; for files without lines, the row's number.
    pub line: u64,
    pub reason: String,
    pub row: String,
}

impl Reject {
    /// The rejected row as an error.
    pub fn into_error(self) -> LakeError {
        LakeError::new("external-row", format!("{}:{}: {}", self.file, self.line, self.reason)).help(format!(
            "the row is `{}`; correct the file or the declared type, or set `on_bad_row: quarantine` in the `external:` block",
            shortened(&self.row)
        ))
    }
}

/// Text cut to a length people read.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Fills columns row by row and hands out batches.
pub struct BatchBuilder<'a> {
    schema: SchemaRef,
    /// Each column's type as declared, for messages.
    type_names: &'a [String],
    columns: Vec<Column>,
    good: Vec<bool>,
}

impl<'a> BatchBuilder<'a> {
    /// `schema` holds types that text can give.
    pub fn new(schema: SchemaRef, type_names: &'a [String]) -> LakeResult<Self> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                Column::new(field.data_type()).ok_or_else(|| {
                    let message =
                        format!("column \"{}\": values of {} cannot be read from text", field.name(), field.data_type());
                    LakeError::new("type-unsupported", message)
                })
            })
            .collect::<LakeResult<_>>()?;
        Ok(Self { schema, type_names, columns, good: Vec::with_capacity(BATCH_ROWS) })
    }

    pub fn is_full(&self) -> bool {
        self.good.len() >= BATCH_ROWS
    }

    /// Adds a row; `None` is null. On a value that does not fit, the row counts as bad and the reason is given.
    pub fn push<'t>(&mut self, values: impl Iterator<Item = Option<&'t str>>) -> Result<(), String> {
        let mut misfit = None;
        for (index, (column, value)) in self.columns.iter_mut().zip(values).enumerate() {
            match value {
                Some(text) if misfit.is_none() && (column.is_text() || !text.is_empty()) => {
                    if let Err(Misfit) = column.push(text) {
                        column.push_null();
                        misfit = Some((index, text.to_string()));
                    }
                }
                _ => column.push_null(),
            }
        }
        self.good.push(misfit.is_none());
        match misfit {
            None => Ok(()),
            Some((index, text)) => {
                let name = self.schema.field(index).name();
                Err(format!("column \"{name}\": `{}` is not {}", shortened(&text), with_article(&self.type_names[index])))
            }
        }
    }

    /// The good rows so far; empty afterwards.
    pub fn finish(&mut self) -> LakeResult<RecordBatch> {
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        let good = std::mem::take(&mut self.good);
        if good.iter().all(|good| *good) {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(good))?)
    }
}

fn with_article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {type_name}")
}
