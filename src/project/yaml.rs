//! YAML with places: every value knows its line and column. Scalars resolve as PyYAML's safe loader resolves them (YAML 1.1).

use indexmap::IndexMap;

use crate::source::Location;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    pub value: YamlValue,
    pub location: Location,
}

#[derive(Clone, Debug, PartialEq)]
pub enum YamlValue {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// Text, and dates, which dbt keeps as they are written.
    Text(String),
    Sequence(Vec<Yaml>),
    /// Keys in order; each with the place of the key and its value. Of a key given twice the last counts (dbt warns).
    Mapping(IndexMap<String, (Location, Yaml)>),
}
