//! Names: what kinds of resources a project has, how they are identified, and how a database names a relation.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// dbt's `unique_id`: `<resource type>.<package>.<name>[.<more>]`, such as `model.shop.orders`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UniqueId(Arc<str>);

impl UniqueId {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource type, the text before the first dot.
    pub fn kind(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::borrow::Borrow<str> for UniqueId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UniqueId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for UniqueId {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// dbt's resource types, spelt as in its artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceType {
    Model,
    Analysis,
    Test,
    Snapshot,
    Operation,
    Seed,
    SqlOperation,
    Source,
    Macro,
    Doc,
    Exposure,
    Metric,
    Group,
    SavedQuery,
    SemanticModel,
    UnitTest,
    Function,
}

impl ResourceType {
    /// Every type, in the order of their declaration.
    pub const ALL: [Self; 17] = [
        Self::Model,
        Self::Analysis,
        Self::Test,
        Self::Snapshot,
        Self::Operation,
        Self::Seed,
        Self::SqlOperation,
        Self::Source,
        Self::Macro,
        Self::Doc,
        Self::Exposure,
        Self::Metric,
        Self::Group,
        Self::SavedQuery,
        Self::SemanticModel,
        Self::UnitTest,
        Self::Function,
    ];

    /// The type spelt so in artifacts and on the command line.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource_type| resource_type.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Analysis => "analysis",
            Self::Test => "test",
            Self::Snapshot => "snapshot",
            Self::Operation => "operation",
            Self::Seed => "seed",
            Self::SqlOperation => "sql_operation",
            Self::Source => "source",
            Self::Macro => "macro",
            Self::Doc => "doc",
            Self::Exposure => "exposure",
            Self::Metric => "metric",
            Self::Group => "group",
            Self::SavedQuery => "saved_query",
            Self::SemanticModel => "semantic_model",
            Self::UnitTest => "unit_test",
            Self::Function => "function",
        }
    }

    /// Whether `ref()` can name it.
    pub fn is_refable(self) -> bool {
        matches!(self, Self::Model | Self::Seed | Self::Snapshot)
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a relation is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationType {
    Table,
    View,
    Cte,
    MaterializedView,
    Ephemeral,
    External,
}

impl RelationType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Cte => "cte",
            Self::MaterializedView => "materialized_view",
            Self::Ephemeral => "ephemeral",
            Self::External => "external",
        }
    }
}

/// A relation's full name: `database.schema.identifier`, each part as the database stores it (no quotes).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Relation {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub identifier: String,
}

impl Relation {
    pub fn new(database: Option<&str>, schema: Option<&str>, identifier: &str) -> Self {
        Self {
            database: database.filter(|d| !d.is_empty()).map(str::to_string),
            schema: schema.filter(|s| !s.is_empty()).map(str::to_string),
            identifier: identifier.to_string(),
        }
    }

    /// The name as SQL writes it: every part in double quotes, inner quotes doubled.
    pub fn render(&self) -> String {
        [self.database.as_deref(), self.schema.as_deref(), Some(&self.identifier)]
            .into_iter()
            .flatten()
            .map(quote_identifier)
            .collect::<Vec<_>>()
            .join(".")
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

/// `"name"`, with inner double quotes doubled (SQL standard, section on delimited identifiers).
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
