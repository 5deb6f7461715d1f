//! What can go wrong in the lake.

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;

pub type LakeResult<T> = Result<T, LakeError>;

/// A failure outside the project's text: storage, table format, or a row of somebody's file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct LakeError {
    /// Stable kebab-case name, such as `external-row`.
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
}

impl LakeError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same failure with what was being done in front: `reading sale_2020.txt: …`.
    pub fn context(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl From<object_store::Error> for LakeError {
    fn from(error: object_store::Error) -> Self {
        Self::new("io", error.to_string())
    }
}

impl From<std::io::Error> for LakeError {
    fn from(error: std::io::Error) -> Self {
        Self::new("io", error.to_string())
    }
}

impl From<arrow::error::ArrowError> for LakeError {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::ExternalError(source) => from_boxed(source, "sql-run"),
            arrow::error::ArrowError::OffsetOverflowError(_) => too_much_text(),
            other => Self::new("sql-run", other.to_string()),
        }
    }
}

impl From<DeltaTableError> for LakeError {
    fn from(error: DeltaTableError) -> Self {
        match error {
            DeltaTableError::Arrow { source } => source.into(),
            other => Self::new("delta", other.to_string()),
        }
    }
}

impl From<deltalake::kernel::Error> for LakeError {
    fn from(error: deltalake::kernel::Error) -> Self {
        Self::new("delta", error.to_string())
    }
}

impl From<parquet::errors::ParquetError> for LakeError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::new("io", error.to_string())
    }
}

impl From<DataFusionError> for LakeError {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(source) => from_boxed(source, "sql-run"),
            DataFusionError::ArrowError(source, _) => (*source).into(),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => (*inner).into(),
            DataFusionError::Shared(shared) => match shared.find_root() {
                DataFusionError::External(source) => from_dyn(source.as_ref(), "sql-run"),
                DataFusionError::ArrowError(source, _) => from_dyn(source.as_ref(), "sql-run"),
                root => Self::new("sql-run", plain(root)),
            },
            other => Self::new(code_of(&other), plain(&other)),
        }
    }
}

fn code_of(error: &DataFusionError) -> &'static str {
    match error {
        DataFusionError::SQL(..) => "sql-parse",
        DataFusionError::Plan(_) | DataFusionError::SchemaError(..) | DataFusionError::NotImplemented(_) => "sql-plan",
        _ => "sql-run",
    }
}

/// The engine's message without its "Error during planning:" prefixes and back traces.
fn plain(error: &DataFusionError) -> String {
    error.strip_backtrace()
}

fn from_boxed(source: Box<dyn std::error::Error + Send + Sync>, code: &'static str) -> LakeError {
    match source.downcast::<LakeError>() {
        Ok(error) => *error,
        Err(other) => match other.downcast::<DataFusionError>() {
            Ok(error) => (*error).into(),
            Err(other) => from_dyn(other.as_ref(), code),
        },
    }
}

fn from_dyn(source: &(dyn std::error::Error + Send + Sync + 'static), code: &'static str) -> LakeError {
    if let Some(error) = source.downcast_ref::<LakeError>() {
        return error.clone();
    }
    if let Some(arrow::error::ArrowError::OffsetOverflowError(_)) = source.downcast_ref() {
        return too_much_text();
    }
    LakeError::new(code, source.to_string())
}

/// Text of a column that was to be held in one piece passed the 2 GB that its 32-bit offsets can address. Operators that keep
/// their input whole (the build side of a join, a sort, a grouping) do so, each partition for itself.
fn too_much_text() -> LakeError {
    LakeError::new("text-too-large", "a join, sort or grouping holds more than 2 GB of text of one column in one partition").help(
        "carry fewer or shorter text columns into it (join on keys first, add the long text afterwards), filter before it, \
         or split the work over more partitions with a greater `threads` in the profile",
    )
}

impl From<LakeError> for DataFusionError {
    fn from(error: LakeError) -> Self {
        Self::External(Box::new(error))
    }
}
