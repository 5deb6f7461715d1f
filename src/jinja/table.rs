//! Query results as template values, after agate's `Table`: columns and rows by number and by name.

use std::fmt;
use std::sync::{Arc, Weak};

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::Arguments;
use super::collection::{dict, list, pair};
use super::context::Root;
use super::moment;
use crate::rows::{Cell, ColumnType, Rows};

/// A table of results. Rows are shared by every view of it.
pub(super) struct Table {
    names: Arc<Vec<String>>,
    types: Vec<String>,
    rows: Arc<Vec<Arc<Vec<Value>>>>,
    /// What it prints through. Not its owner: the context keeps the results of statements.
    root: Weak<Root>,
}

/// A sequence whose items go by number and by name: a row, the columns of a table, the rows of a table, one column.
struct Mapped {
    kind: &'static str,
    /// A column's name and type.
    title: Option<(String, String, usize)>,
    names: Arc<Vec<String>>,
    values: Arc<Vec<Value>>,
}

/// `rows` as a table that prints through `root`.
pub(super) fn of(rows: &Rows, root: &Arc<Root>) -> Value {
    Value::from_object(Table {
        names: Arc::new(rows.columns.iter().map(|column| column.name.clone()).collect()),
        types: rows.columns.iter().map(|column| column.data_type.clone()).collect(),
        rows: Arc::new(rows.rows.iter().map(|row| Arc::new(row.iter().map(cell).collect())).collect()),
        root: Arc::downgrade(root),
    })
}

/// A table's rows as plain data; none for anything else.
pub(super) fn rows(table: &Value) -> Rows {
    let Some(table) = table.downcast_object_ref::<Table>() else { return Rows::default() };
    let column = |(name, data_type): (&String, &String)| ColumnType { name: name.clone(), data_type: data_type.clone() };
    Rows {
        columns: table.names.iter().zip(&table.types).map(column).collect(),
        rows: table.rows.iter().map(|row| row.iter().map(plain).collect()).collect(),
        rows_affected: None,
    }
}

fn plain(value: &Value) -> Cell {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Cell::Null,
        ValueKind::Bool => Cell::Boolean(value.is_true()),
        ValueKind::Number => match i64::try_from(value.clone()) {
            Ok(whole) if value.is_integer() => Cell::Integer(whole),
            _ => f64::try_from(value.clone()).map_or_else(|_| Cell::Decimal(value.to_string()), Cell::Float),
        },
        _ => Cell::Text(value.to_string()),
    }
}

/// Rows of text as agate prints a table.
pub(super) fn printed<const N: usize>(names: &[&str; N], rows: &[[&str; N]]) -> String {
    let table = Table {
        names: Arc::new(names.iter().map(ToString::to_string).collect()),
        types: Vec::new(),
        rows: Arc::new(rows.iter().map(|row| Arc::new(row.iter().map(|text| Value::from(*text)).collect())).collect()),
        root: Weak::new(),
    };
    table.text(usize::MAX).trim_end().to_string()
}

/// A table without columns.
pub(super) fn empty() -> Value {
    Value::from_object(Table { names: Arc::default(), types: Vec::new(), rows: Arc::default(), root: Weak::new() })
}

/// A table's rows as a list of lists: a result's `data`.
pub(super) fn matrix(table: &Value) -> Value {
    match table.downcast_object_ref::<Table>() {
        Some(table) => list(table.rows.iter().map(|row| Value::from(Tuple::from(row.as_slice()))).collect()),
        None => list(Vec::new()),
    }
}

fn cell(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::from(()),
        Cell::Boolean(value) => Value::from(*value),
        Cell::Integer(value) => Value::from(*value),
        Cell::Float(value) => Value::from(*value),
        Cell::Decimal(text) => number(text),
        Cell::Date(text) | Cell::Timestamp(text) => moment::parse(text).unwrap_or_else(|| Value::from(text.as_str())),
        Cell::Text(text) => Value::from(text.as_str()),
    }
}

/// A decimal as a number where that loses nothing, else its digits.
fn number(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        return Value::from(integer);
    }
    match text.parse::<f64>() {
        Ok(value) if text.bytes().filter(u8::is_ascii_digit).count() <= 15 => Value::from(value),
        _ => Value::from(text),
    }
}

impl Table {
    fn row(&self, index: usize) -> Option<Value> {
        let values = self.rows.get(index)?.clone();
        Some(Value::from_object(Mapped { kind: "Row", title: None, names: self.names.clone(), values }))
    }

    fn all_rows(&self) -> Vec<Value> {
        (0..self.rows.len()).filter_map(|index| self.row(index)).collect()
    }

    fn column(&self, index: usize) -> Value {
        let values = self.rows.iter().map(|row| row.get(index).cloned().unwrap_or_default()).collect();
        let title = (self.names[index].clone(), self.types.get(index).cloned().unwrap_or_default(), index);
        Value::from_object(Mapped { kind: "Column", title: Some(title), names: Arc::default(), values: Arc::new(values) })
    }

    fn columns(&self) -> Value {
        let values = (0..self.names.len()).map(|index| self.column(index)).collect();
        Value::from_object(Mapped { kind: "MappedSequence", title: None, names: self.names.clone(), values: Arc::new(values) })
    }

    fn column_names(&self) -> Value {
        Value::from(Tuple::from(self.names.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>()))
    }

    /// This table with only the columns at `kept`.
    fn picked(&self, kept: &[usize]) -> Value {
        let pick = |row: &Arc<Vec<Value>>| Arc::new(kept.iter().map(|index| row[*index].clone()).collect());
        Value::from_object(Self {
            names: Arc::new(kept.iter().map(|index| self.names[*index].clone()).collect()),
            types: kept.iter().map(|index| self.types[*index].clone()).collect(),
            rows: Arc::new(self.rows.iter().map(pick).collect()),
            root: self.root.clone(),
        })
    }

    fn with_rows(&self, rows: Vec<Arc<Vec<Value>>>) -> Value {
        Value::from_object(Self {
            names: self.names.clone(),
            types: self.types.clone(),
            rows: Arc::new(rows),
            root: self.root.clone(),
        })
    }

    fn position(&self, name: &Value) -> Result<usize, Error> {
        let found = match name.as_usize() {
            Some(index) => Some(index).filter(|index| *index < self.names.len()),
            None => self.names.iter().position(|known| Some(known.as_str()) == name.as_str()),
        };
        found.ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, format!("the result has no column {name:?}; it has {:?}", self.names))
        })
    }

    fn positions(&self, names: &Value) -> Result<Vec<usize>, Error> {
        match names.kind() {
            ValueKind::Seq | ValueKind::Iterable => names.try_iter()?.map(|name| self.position(&name)).collect(),
            _ => Ok(vec![self.position(names)?]),
        }
    }

    fn renamed(&self, args: &Arguments<'_>) -> Result<Value, Error> {
        let names = args.require(0, "column_names")?;
        let new: Vec<String> = match names.kind() {
            ValueKind::Map => {
                let entries = super::collection::dict_entries(names)?;
                let new_name =
                    |old: &String| entries.iter().find(|(key, _)| key.as_str() == Some(old)).map(|(_, name)| name.to_string());
                self.names.iter().map(|old| new_name(old).unwrap_or_else(|| old.clone())).collect()
            }
            _ => names.try_iter()?.map(|name| name.to_string()).collect(),
        };
        if new.len() != self.names.len() {
            return Err(Error::new(ErrorKind::InvalidOperation, "rename: a name for every column is needed"));
        }
        let (types, rows, root) = (self.types.clone(), self.rows.clone(), self.root.clone());
        Ok(Value::from_object(Self { names: Arc::new(new), types, rows, root }))
    }

    fn print(&self, args: &Arguments<'_>) -> Result<Value, Error> {
        let limit = args.get(0, "max_rows").and_then(Value::as_usize).unwrap_or(20);
        if let Some(root) = self.root.upgrade() {
            let text = self.text(limit);
            root.scope.message(text.trim_end_matches('\n'), true);
        }
        Ok(Value::from(()))
    }

    /// The table with `|` between columns, as agate prints it.
    fn text(&self, limit: usize) -> String {
        let shown = |value: &Value| if value.is_none() { String::new() } else { value.to_string() };
        let rows: Vec<Vec<String>> = self.rows.iter().take(limit).map(|row| row.iter().map(shown).collect()).collect();
        let widths: Vec<usize> = (0..self.names.len())
            .map(|index| {
                rows.iter().map(|row| row[index].chars().count()).chain([self.names[index].chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).zip(0..).map(|((cell, width), index)| {
                let right = self.rows.iter().any(|row| row.get(index).is_some_and(Value::is_number));
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
        };
        let mut text = line(&self.names);
        text.push_str(&format!("| {} |\n", widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join(" | ")));
        rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(20))
    }
}

impl Object for Table {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "columns" => self.columns(),
            "rows" => Value::from_object(Mapped {
                kind: "MappedSequence",
                title: None,
                names: Arc::default(),
                values: Arc::new(self.all_rows()),
            }),
            "column_names" => self.column_names(),
            "column_types" => {
                Value::from(Tuple::from(self.types.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>()))
            }
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.all_rows())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.rows.len())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Arguments::new(method, args);
        Ok(match method {
            "print_table" | "print_json" | "print_csv" => self.print(&args)?,
            "rename" => self.renamed(&args)?,
            "select" => self.picked(&self.positions(args.require(0, "key")?)?),
            "exclude" => {
                let dropped = self.positions(args.require(0, "key")?)?;
                self.picked(&(0..self.names.len()).filter(|index| !dropped.contains(index)).collect::<Vec<_>>())
            }
            "limit" => {
                let count = args.require(0, "start_or_stop")?.as_usize().unwrap_or(0);
                self.with_rows(self.rows.iter().take(count).cloned().collect())
            }
            "order_by" => {
                let keys = self.positions(args.require(0, "key")?)?;
                let mut rows = self.rows.as_ref().clone();
                rows.sort_by(|a, b| {
                    keys.iter().map(|key| a[*key].cmp(&b[*key])).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
                });
                if args.flag(1, "reverse", false) {
                    rows.reverse();
                }
                self.with_rows(rows)
            }
            _ => return Err(Error::new(ErrorKind::UnknownMethod, format!("a query result has no method `{method}`"))),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(20))
    }
}

impl Mapped {
    fn by_name(&self, name: &str) -> Option<Value> {
        let index = self.names.iter().position(|known| known == name)?;
        self.values.get(index).cloned()
    }

    fn keys(&self) -> Vec<Value> {
        self.names.iter().map(|name| Value::from(name.as_str())).collect()
    }

    fn without_nulls(&self) -> Vec<Value> {
        self.values.iter().filter(|value| !value.is_none()).cloned().collect()
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.values.iter().map(|value| format!("{value:?}")).collect();
        write!(f, "<agate.{}: ({})>", self.kind, items.join(", "))
    }
}

impl Object for Mapped {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(name) => self.by_name(name),
            None => self.values.get(key.as_usize()?).cloned(),
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if let (Some((name, data_type, index)), "name" | "data_type" | "index") = (&self.title, key) {
            return Some(match key {
                "name" => Value::from(name.as_str()),
                "index" => Value::from(*index),
                _ => Value::from(data_type.as_str()),
            });
        }
        self.by_name(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.values.len())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.values.len())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Arguments::new(method, args);
        let entries = || self.names.iter().map(|name| Value::from(name.as_str())).zip(self.values.iter().cloned());
        Ok(match method {
            "values" => Value::from(Tuple::from(self.values.as_slice())),
            "keys" => Value::from(Tuple::from(self.keys())),
            "items" => list(entries().map(|(key, value)| pair(key, value)).collect()),
            "dict" => dict(entries()),
            "get" => {
                let found = self.get_value(args.require(0, "key")?);
                found.or_else(|| args.get(1, "default").cloned()).unwrap_or(Value::from(()))
            }
            "values_distinct" => {
                let distinct: indexmap::IndexSet<Value> = self.values.iter().cloned().collect();
                Value::from(Tuple::from(distinct.into_iter().collect::<Vec<_>>()))
            }
            "values_without_nulls" => Value::from(Tuple::from(self.without_nulls())),
            "values_sorted" | "values_without_nulls_sorted" => {
                let mut values = self.without_nulls();
                values.sort();
                Value::from(Tuple::from(values))
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
