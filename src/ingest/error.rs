//! What stops an ingest.

use crate::lake::LakeError;
use crate::wire::WireError;

/// A failure outside the project's text: the source, the lake, or a value that cannot be kept as it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct IngestError {
    /// Stable kebab-case name, such as `ingest-gap`.
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
    /// Whether to connect again and go on from the last commit may help.
    pub passing: bool,
}

impl IngestError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, passing: false }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// One that goes by itself: a server that restarts, a network that was away.
    pub fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// On its way through the writer of files.
    pub fn within(self) -> datafusion::error::DataFusionError {
        let lake = LakeError { code: self.code, message: self.message, help: self.help };
        datafusion::error::DataFusionError::External(Box::new(lake))
    }

    /// The same failure with what was being done in front.
    pub fn context(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl From<LakeError> for IngestError {
    fn from(error: LakeError) -> Self {
        Self { code: error.code, message: error.message, help: error.help, passing: false }
    }
}

impl From<WireError> for IngestError {
    fn from(error: WireError) -> Self {
        let passing = matches!(error.code, "connection" | "connect");
        Self { code: error.code, message: error.message, help: error.help, passing }
    }
}

impl From<arrow::error::ArrowError> for IngestError {
    fn from(error: arrow::error::ArrowError) -> Self {
        LakeError::from(error).into()
    }
}

impl From<std::io::Error> for IngestError {
    fn from(error: std::io::Error) -> Self {
        Self::new("io", error.to_string())
    }
}
