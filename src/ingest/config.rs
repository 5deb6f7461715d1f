//! The `ingest:` block of a source's table.

use serde_json::{Map, Value as Json};

use super::connector;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::lake::TableName;
use crate::source::Location;

const KEYS: &[&str] = &["connection", "connector", "deletes", "exclude", "history", "key", "on_truncate", "table", "types"];

/// What becomes of a row that the source deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    /// It goes.
    Hard,
    /// It stays with `_deleted` and `_deleted_at`.
    Soft,
    /// It stays as it was.
    Ignore,
}

/// What becomes of the rows when the source truncates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTruncate {
    Apply,
    Ignore,
    Fail,
}

/// The block, read.
#[derive(Clone, Debug)]
pub struct Spec {
    pub connector: String,
    pub connection: String,
    /// The table's name in the source.
    pub table: String,
    pub deletes: Deletes,
    pub on_truncate: OnTruncate,
    /// Whether every change is kept in `<table>__history` too.
    pub history: bool,
    /// Columns that tell rows apart, where the source has no key of its own for the table.
    pub key: Vec<String>,
    /// Types in the lake, by column, where the usual one does not do.
    pub types: Vec<(String, String)>,
    /// Columns that stay in the source.
    pub exclude: Vec<String>,
}

/// One source's table and where it goes.
#[derive(Clone, Debug)]
pub struct Feed {
    /// `shop.sales`, as in `source('shop', 'sales')`.
    pub source: String,
    /// The table of the current rows.
    pub table: TableName,
    pub spec: Spec,
    pub location: Location,
}

impl Feed {
    /// The names of the tables it goes to.
    pub fn tables(&self) -> Vec<String> {
        std::iter::once(self.table.clone())
            .chain(self.spec.history.then(|| self.history()))
            .map(|name| name.to_string())
            .collect()
    }

    /// The table of all changes.
    pub fn history(&self) -> TableName {
        TableName::new(self.table.schema.clone(), format!("{}__history", self.table.table))
    }
}

/// Reads the `ingest:` block of the source `name`, whose rows go to `table`.
///
/// # Errors
/// `ingest-value`, `ingest-key`, `connector-not-found`
pub fn feed(name: &str, table: TableName, block: &Map<String, Json>, location: &Location) -> Outcome<Feed> {
    let block = Block { name, block, location };
    block.check_keys()?;
    let connector = block.required("connector", &format!("one of {}", connector::names().join(", ")))?;
    if !connector::names().contains(&connector.as_str()) {
        return Diagnostic::error("connector-not-found", format!("`{name}`: there is no connector `{connector}`"))
            .at(location.clone())
            .suggest(&connector, connector::names())
            .help(format!("connectors are {}", connector::names().join(", ")))
            .fail();
    }
    let spec = Spec {
        connection: block.required("connection", "a name among the profile's `connections`")?,
        table: block.text("table")?.unwrap_or_else(|| table.table.clone()),
        deletes: block.choice("deletes", &[("hard", Deletes::Hard), ("soft", Deletes::Soft), ("ignore", Deletes::Ignore)])?,
        on_truncate: block
            .choice("on_truncate", &[("apply", OnTruncate::Apply), ("ignore", OnTruncate::Ignore), ("fail", OnTruncate::Fail)])?,
        history: block.flag("history")?,
        key: block.list("key")?,
        types: block.mapping("types")?,
        exclude: block.list("exclude")?,
        connector,
    };
    Ok(Feed { source: name.to_string(), table, spec, location: location.clone() })
}

struct Block<'a> {
    name: &'a str,
    block: &'a Map<String, Json>,
    location: &'a Location,
}

impl Block<'_> {
    fn check_keys(&self) -> Outcome<()> {
        match self.block.keys().find(|key| !KEYS.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Diagnostic::error("ingest-key", format!("`{}`: `ingest` knows no `{key}`", self.name))
                .at(self.location.clone())
                .suggest(key, KEYS.iter().copied())
                .help(format!("its keys are {}", KEYS.join(", ")))
                .fail(),
        }
    }

    fn wrong<T>(&self, key: &str, wanted: &str, found: &Json) -> Outcome<T> {
        Diagnostic::error("ingest-value", format!("`{}`: `ingest.{key}` is {wanted}, not {found}", self.name))
            .at(self.location.clone())
            .fail()
    }

    fn value(&self, key: &str) -> Option<&Json> {
        self.block.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Outcome<Option<String>> {
        match self.value(key) {
            None => Ok(None),
            Some(Json::String(text)) if !text.trim().is_empty() => Ok(Some(text.trim().to_string())),
            Some(other) => self.wrong(key, "a text", other),
        }
    }

    fn required(&self, key: &str, meaning: &str) -> Outcome<String> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => Diagnostic::error("ingest-value", format!("`{}`: `ingest.{key}` is missing", self.name))
                .at(self.location.clone())
                .help(format!("`{key}` is {meaning}"))
                .fail(),
        }
    }

    fn flag(&self, key: &str) -> Outcome<bool> {
        match self.value(key) {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(other) => self.wrong(key, "true or false", other),
        }
    }

    /// One of several words; the first where nothing is said.
    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Outcome<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let Some(value) = self.value(key) else { return Ok(choices[0].1) };
        match choices.iter().find(|(word, _)| value.as_str() == Some(word)) {
            Some((_, choice)) => Ok(*choice),
            None => self.wrong(key, &format!("one of {}", words().collect::<Vec<_>>().join(", ")), value),
        }
    }

    /// A list of names; a single one may stand alone.
    fn list(&self, key: &str) -> Outcome<Vec<String>> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let one = std::slice::from_ref(value);
        let items = value.as_array().map_or(one, Vec::as_slice);
        let names: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_string)).collect();
        names.map_or_else(|| self.wrong(key, "a list of column names", value), Ok)
    }

    fn mapping(&self, key: &str) -> Outcome<Vec<(String, String)>> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let Some(map) = value.as_object() else { return self.wrong(key, "a mapping of columns to types", value) };
        let pairs: Option<Vec<_>> = map.iter().map(|(name, kind)| Some((name.clone(), kind.as_str()?.to_string()))).collect();
        pairs.map_or_else(|| self.wrong(key, "a mapping of columns to types", value), Ok)
    }
}
