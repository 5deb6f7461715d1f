//! Lists and dictionaries as Python has them: mutable and shared by reference. minijinja's own are immutable.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use super::arguments::Arguments;

/// A mutable list.
#[derive(Default)]
pub(super) struct List(RwLock<Vec<Value>>);

/// A mutable dictionary, in insertion order.
#[derive(Default)]
pub(super) struct Dict(RwLock<IndexMap<Value, Value>>);

/// A list of these items.
pub(super) fn list(items: Vec<Value>) -> Value {
    Value::from_object(List(RwLock::new(items)))
}

/// A dictionary of these entries.
pub(super) fn dict(entries: impl IntoIterator<Item = (Value, Value)>) -> Value {
    Value::from_object(Dict(RwLock::new(entries.into_iter().collect())))
}

/// A dictionary with text keys.
pub(super) fn record<const N: usize>(entries: [(&str, Value); N]) -> Value {
    dict(entries.into_iter().map(|(key, value)| (Value::from(key), value)))
}

/// `value` with minijinja's own sequences and maps turned into mutable ones; everything else as it is.
pub(super) fn owned(value: Value) -> Value {
    let Some(object) = value.as_object() else { return value };
    if value.is_tuple() || object.downcast_ref::<List>().is_some() || object.downcast_ref::<Dict>().is_some() {
        return value;
    }
    let plain = object.type_name();
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if is_engine_type(plain) => list(object.try_iter().into_iter().flatten().collect()),
        ValueKind::Map if is_engine_type(plain) && !plain.ends_with("Namespace") => {
            dict(object.try_iter_pairs().into_iter().flatten())
        }
        _ => value,
    }
}

/// Types of the engine itself, not of headwater's objects (relations, tables), which keep their identity.
fn is_engine_type(name: &str) -> bool {
    !name.contains("headwater::jinja::") && !name.ends_with("::Loop")
}

/// JSON as template values, mutable.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => list(items.iter().map(from_json).collect()),
        Json::Object(map) => dict(map.iter().map(|(key, value)| (Value::from(key.as_str()), from_json(value)))),
    }
}

/// A template value as JSON; objects that JSON has no form for become their text. Undefined becomes null.
pub(super) fn to_json(value: &Value) -> Json {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => number_to_json(value),
        ValueKind::Seq | ValueKind::Iterable => match value.try_iter() {
            Ok(items) => Json::Array(items.map(|item| to_json(&item)).collect()),
            Err(_) => Json::String(value.to_string()),
        },
        ValueKind::Map => {
            let pairs = value.as_object().and_then(|map| map.try_iter_pairs());
            Json::Object(pairs.into_iter().flatten().map(|(key, value)| (json_key(&key), to_json(&value))).collect())
        }
        _ => Json::String(value.to_string()),
    }
}

fn json_key(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".to_string(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_string(),
        _ => key.to_string(),
    }
}

fn number_to_json(value: &Value) -> Json {
    if value.is_integer() {
        return i64::try_from(value.clone()).map_or_else(|_| Json::from(value.to_string()), Json::from);
    }
    f64::try_from(value.clone()).ok().and_then(serde_json::Number::from_f64).map_or(Json::Null, Json::Number)
}

impl List {
    fn read(&self) -> RwLockReadGuard<'_, Vec<Value>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Value>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self, wanted: &Value) -> Option<usize> {
        let items = self.read().clone();
        items.iter().position(|item| item == wanted)
    }
}

impl Dict {
    fn read(&self) -> RwLockReadGuard<'_, IndexMap<Value, Value>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, IndexMap<Value, Value>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read().clone()).finish()
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.read().clone()).finish()
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read().get(key.as_usize()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, _key: &str) -> Option<Value> {
        None
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.read().clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().len())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        list_method(self, method, &Arguments::new(method, args))
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read().get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.read().keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().len())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        dict_method(self, method, &Arguments::new(method, args))
    }
}

/// A method of `str`, `list` or `dict` on a value that has no methods of its own.
pub(super) fn plain_method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => super::text::method(state, value, method, args),
        ValueKind::Map if !MUTATING.contains(&method) => {
            let pairs = value.as_object().and_then(|map| map.try_iter_pairs());
            let copy = Arc::new(Dict(RwLock::new(pairs.into_iter().flatten().collect())));
            dict_method(&copy, method, &Arguments::new(method, args))
        }
        ValueKind::Seq | ValueKind::Iterable if !MUTATING.contains(&method) => {
            let copy = Arc::new(List(RwLock::new(value.try_iter()?.collect())));
            list_method(&copy, method, &Arguments::new(method, args))
        }
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("`{method}` would change a value that cannot be changed; copy it first (`value | list`, `dict(value)`)"),
        )),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

const MUTATING: &[&str] =
    &["append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault", "popitem"];

fn sequence(value: &Value) -> Result<Vec<Value>, Error> {
    Ok(value.try_iter()?.collect())
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

/// `index` as Python counts it, from the end where negative.
fn python_index(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i64 } else { index };
    usize::try_from(index).ok()
}

fn list_method(this: &Arc<List>, method: &str, args: &Arguments<'_>) -> Result<Value, Error> {
    let none = Value::from(());
    match method {
        "append" => {
            let item = args.require(0, "object")?.clone();
            args.at_most(1)?;
            if item.downcast_object_ref::<List>().is_some_and(|other| std::ptr::eq(other, this.as_ref())) {
                return Err(invalid("a list cannot be appended to itself"));
            }
            this.write().push(item);
        }
        "extend" => {
            let items = sequence(args.require(0, "iterable")?)?;
            this.write().extend(items);
        }
        "insert" => {
            let index = integer(args, 0, "index")?;
            let item = args.require(1, "object")?.clone();
            let mut items = this.write();
            let at = python_index(index, items.len()).unwrap_or(0).min(items.len());
            items.insert(at, item);
        }
        "remove" => {
            let wanted = args.require(0, "value")?;
            let at = this.position(wanted).ok_or_else(|| invalid(format!("remove: {wanted:?} is not in the list")))?;
            this.write().remove(at);
        }
        "pop" => {
            let index = if args.get(0, "index").is_some() { integer(args, 0, "index")? } else { -1 };
            let mut items = this.write();
            let at = python_index(index, items.len()).filter(|at| *at < items.len());
            return Ok(items.remove(at.ok_or_else(|| invalid("pop: the list has no such item"))?));
        }
        "clear" => this.write().clear(),
        "reverse" => this.write().reverse(),
        "sort" => {
            let mut items = this.read().clone();
            items.sort();
            if args.flag(1, "reverse", false) {
                items.reverse();
            }
            *this.write() = items;
        }
        "copy" => return Ok(list(this.read().clone())),
        "count" => {
            let wanted = args.require(0, "value")?;
            let items = this.read().clone();
            return Ok(Value::from(items.iter().filter(|item| *item == wanted).count()));
        }
        "index" => {
            let wanted = args.require(0, "value")?;
            return this
                .position(wanted)
                .map(Value::from)
                .ok_or_else(|| invalid(format!("index: {wanted:?} is not in the list")));
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    }
    Ok(none)
}

fn integer(args: &Arguments<'_>, index: usize, name: &str) -> Result<i64, Error> {
    let value = args.require(index, name)?;
    value.as_i64().ok_or_else(|| args.wrong(name, "an integer", value))
}

fn dict_method(this: &Arc<Dict>, method: &str, args: &Arguments<'_>) -> Result<Value, Error> {
    match method {
        "get" => {
            let found = this.read().get(args.require(0, "key")?).cloned();
            Ok(found.or_else(|| args.get(1, "default").cloned()).unwrap_or(Value::from(())))
        }
        "items" => Ok(list(this.read().iter().map(|(key, value)| pair(key.clone(), value.clone())).collect())),
        "keys" => Ok(list(this.read().keys().cloned().collect())),
        "values" => Ok(list(this.read().values().cloned().collect())),
        // Configurations in dbt are objects that give their dictionary so.
        "copy" | "to_dict" => Ok(dict(this.read().clone())),
        "update" => {
            let mut entries = match args.positional.first() {
                Some(other) => dict_entries(other)?,
                None => Vec::new(),
            };
            entries.extend(args.named.iter().map(|(key, value)| (Value::from(key.as_str()), value.clone())));
            this.write().extend(entries);
            Ok(Value::from(()))
        }
        "setdefault" => {
            let key = args.require(0, "key")?.clone();
            let default = args.get(1, "default").cloned().unwrap_or(Value::from(()));
            Ok(this.write().entry(key).or_insert(default).clone())
        }
        "pop" => {
            let key = args.require(0, "key")?;
            let removed = this.write().shift_remove(key);
            let missing = || invalid(format!("pop: the dictionary has no key {key:?}"));
            removed.or_else(|| args.get(1, "default").cloned()).ok_or_else(missing)
        }
        "popitem" => {
            let last = this.write().pop().ok_or_else(|| invalid("popitem: the dictionary is empty"))?;
            Ok(pair(last.0, last.1))
        }
        "clear" => {
            this.write().clear();
            Ok(Value::from(()))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

pub(super) fn pair(key: Value, value: Value) -> Value {
    Value::from(Tuple::from([key, value]))
}

/// The entries of a mapping, or of a sequence of pairs.
pub(super) fn dict_entries(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() == ValueKind::Map {
        let pairs = value.as_object().and_then(|map| map.try_iter_pairs());
        return Ok(pairs.into_iter().flatten().collect());
    }
    let mut entries = Vec::new();
    for item in value.try_iter()? {
        let parts = sequence(&item)?;
        let [key, value] = parts.as_slice() else {
            return Err(invalid("expected a mapping or a sequence of pairs"));
        };
        entries.push((key.clone(), value.clone()));
    }
    Ok(entries)
}
