//! Arguments of a call, positional and by name, as Python functions take them.

use minijinja::{Error, ErrorKind, Value};

/// The arguments of one call of `function`.
pub(super) struct Arguments<'a> {
    function: &'a str,
    pub positional: &'a [Value],
    pub named: Vec<(String, Value)>,
}

impl<'a> Arguments<'a> {
    pub fn new(function: &'a str, args: &'a [Value]) -> Self {
        let Some((last, before)) = args.split_last().filter(|(last, _)| last.is_kwargs()) else {
            return Self { function, positional: args, named: Vec::new() };
        };
        Self { function, positional: before, named: named(last) }
    }

    /// The argument at `index` or called `name`; none if not given.
    pub fn get(&self, index: usize, name: &str) -> Option<&'_ Value> {
        self.positional.get(index).or_else(|| self.named.iter().find(|(key, _)| key == name).map(|(_, value)| value))
    }

    pub fn require(&self, index: usize, name: &str) -> Result<&'_ Value, Error> {
        self.get(index, name)
            .ok_or_else(|| Error::new(ErrorKind::MissingArgument, format!("`{}` needs the argument `{name}`", self.function)))
    }

    /// A text argument.
    pub fn text(&self, index: usize, name: &str) -> Result<String, Error> {
        let value = self.require(index, name)?;
        value.as_str().map(str::to_string).ok_or_else(|| self.wrong(name, "text", value))
    }

    /// A text argument that may be absent or none.
    pub fn optional_text(&self, index: usize, name: &str) -> Result<Option<String>, Error> {
        match self.get(index, name) {
            None => Ok(None),
            Some(value) if value.is_none() || value.is_undefined() => Ok(None),
            Some(value) => value.as_str().map(|text| Some(text.to_string())).ok_or_else(|| self.wrong(name, "text", value)),
        }
    }

    pub fn flag(&self, index: usize, name: &str, default: bool) -> bool {
        self.get(index, name).map_or(default, Value::is_true)
    }

    pub fn wrong(&self, name: &str, expected: &str, value: &Value) -> Error {
        let kind = value.kind();
        Error::new(ErrorKind::InvalidOperation, format!("`{}`: `{name}` must be {expected}, not {kind}", self.function))
    }

    pub fn at_most(&self, count: usize) -> Result<(), Error> {
        if self.positional.len() <= count {
            return Ok(());
        }
        let given = self.positional.len();
        Err(Error::new(
            ErrorKind::TooManyArguments,
            format!("`{}` takes at most {count} arguments, {given} were given", self.function),
        ))
    }
}

fn named(value: &Value) -> Vec<(String, Value)> {
    let pairs = value.as_object().and_then(|map| map.try_iter_pairs());
    pairs.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str()?.to_string(), value))).collect()
}
