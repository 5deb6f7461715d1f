//! Query results as the compiler wing sees them: named, typed columns and rows of plain cells.
//!
//! Jinja's `run_query`, `show`, test outcomes and the catalog read these; the engine wing turns its Arrow batches into
//! them at the door.

use serde_json::Value as Json;

/// A column's name and its type as the database's catalog spells it (`integer`, `character varying(20)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    pub name: String,
    pub data_type: String,
}

/// One value. Decimals, dates and timestamps stay text, so that nothing is rounded on the way to a person.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// Digits exactly as stored, such as `12.50`.
    Decimal(String),
    /// `YYYY-MM-DD`.
    Date(String),
    /// `YYYY-MM-DD HH:MM:SS[.ffffff][+00:00]`.
    Timestamp(String),
    Text(String),
}

impl Cell {
    /// The cell as people read it; null is empty.
    pub fn display(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Decimal(text) | Self::Date(text) | Self::Timestamp(text) | Self::Text(text) => text.clone(),
        }
    }

    /// The cell as JSON; as dbt's `show` prints it: a decimal is a number, a timestamp in ISO 8601 with a `T`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Boolean(value) => Json::from(*value),
            Self::Integer(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::Decimal(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(whole), _) => Json::from(whole),
                (Err(_), Ok(number)) => Json::from(number),
                (Err(_), Err(_)) => Json::from(text.as_str()),
            },
            Self::Timestamp(text) => Json::from(text.replacen(' ', "T", 1)),
            Self::Date(text) | Self::Text(text) => Json::from(text.as_str()),
        }
    }
}

/// What one statement gave back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<ColumnType>,
    pub rows: Vec<Vec<Cell>>,
    /// Rows written, for statements that write.
    pub rows_affected: Option<u64>,
}

/// What the database said of a statement, and the rows it gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The database's own word: `SELECT 5`, `CREATE VIEW`, `INSERT 0 7`.
    pub message: String,
    pub rows: Rows,
}

impl Answer {
    /// The message's words without its numbers: dbt's `code`.
    pub fn code(&self) -> String {
        let words = self.message.split_whitespace().filter(|word| word.parse::<u64>().is_err());
        words.collect::<Vec<_>>().join(" ")
    }
}
