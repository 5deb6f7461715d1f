//! Calling macros. A macro is a template included in its caller's state (see [`rewrite`](super::rewrite)), so a call costs no new
//! state, and `caller()` and macro values work across macros.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::Arguments;
use super::collection::{dict, owned};
use super::context::{Overridden, Root};
use super::error::carry;
use crate::diagnostic::Diagnostic;

/// Where the state keeps the function that includes a macro's template.
pub(super) const INVOKER: &str = "headwater.invoke";

/// Macros that may be under way at once in one render.
const MAX_DEPTH: usize = 200;

/// The engine's own recursion budget, wide enough for [`MAX_DEPTH`] macros with their blocks.
pub(super) const RECURSION_LIMIT: usize = MAX_DEPTH * 60;

/// A reference to a macro, as a template value.
pub(super) struct MacroReference {
    pub root: Arc<Root>,
    pub index: usize,
}

/// What `return(value)` raises; the macro it stands in catches it.
#[derive(Debug)]
struct Returned(Value);

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`return` outside of a macro")
    }
}

impl std::error::Error for Returned {}

/// The error that carries `value` out of the macro.
pub(super) fn returning(value: Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, "`return` outside of a macro").with_source(Returned(value))
}

pub(super) fn returned(error: &Error) -> Option<Value> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(Returned(value)) = current.downcast_ref::<Returned>() {
            return Some(value.clone());
        }
        next = current.source();
    }
    None
}

/// How many macros are under way in a state.
#[derive(Default)]
struct Depth(usize);

impl fmt::Debug for MacroReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}>", self.root.engine.macros.entry(self.index).source.name)
    }
}

impl Object for MacroReference {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let source = &self.root.engine.macros.entry(self.index).source;
        match key.as_str()? {
            "name" => Some(Value::from(source.name.as_str())),
            "package_name" => Some(Value::from(source.package.as_str())),
            _ => None,
        }
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let entry = self.root.engine.macros.entry(self.index);
        let compiled = entry.compiled().map_err(|error| self.root.engine.syntax_error(&entry.source, error))?;
        let name = entry.source.name.as_str();
        let bound = Bound::new(name, &compiled.signature, &Arguments::new(name, args))?;
        let depth = state.get_or_insert_extension(Depth::default()).0;
        if depth == self.root.counted_depth {
            self.root.scope.macro_called(&entry.source.unique_id);
        }
        if depth >= MAX_DEPTH {
            return Err(carry(too_deep(name)));
        }
        state.get_or_insert_extension(Depth::default()).0 = depth + 1;
        let invoker =
            state.get_temp(INVOKER).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "macros cannot be called here"))?;
        let result = invoker.call(state, &[Value::from(entry.source.unique_id.as_str()), Value::from_object(bound)]);
        state.get_or_insert_extension(Depth::default()).0 = depth;
        result.or_else(|error| match returned(&error) {
            Some(value) => Ok(value),
            None => Err(Error::new(ErrorKind::EvalBlock, format!("in macro {name}")).with_source(error)),
        })
    }
}

fn too_deep(name: &str) -> Diagnostic {
    Diagnostic::error("jinja-recursion", format!("macro `{name}` is called more than {MAX_DEPTH} macros deep"))
        .help("a macro calls itself without an end; check the condition that should stop it")
}

/// The arguments of one call, bound to the macro's parameters.
#[derive(Debug)]
struct Bound {
    values: IndexMap<String, Value>,
    caller: Option<Value>,
    varargs: Value,
    kwargs: Value,
}

impl Bound {
    fn new(name: &str, signature: &super::rewrite::Signature, args: &Arguments<'_>) -> Result<Self, Error> {
        let mut bound = Self { values: IndexMap::new(), caller: None, varargs: Value::UNDEFINED, kwargs: Value::UNDEFINED };
        let count = signature.parameters.len();
        for (parameter, value) in signature.parameters.iter().zip(args.positional) {
            bound.values.insert(parameter.clone(), owned(value.clone()));
        }
        if args.positional.len() > count && !signature.takes_varargs {
            return Err(carry(too_many(name, count, args.positional.len())));
        }
        bound.varargs = Value::from(Tuple::from(args.positional.get(count..).unwrap_or_default().to_vec()));
        let mut rest = Vec::new();
        for (key, value) in &args.named {
            if signature.parameters.contains(key) {
                if bound.values.insert(key.clone(), owned(value.clone())).is_some() {
                    return Err(carry(twice(name, key)));
                }
            } else if key == "caller" {
                bound.caller = Some(value.clone());
            } else if signature.takes_kwargs {
                rest.push((Value::from(key.as_str()), value.clone()));
            } else {
                return Err(carry(unknown_argument(name, key, &signature.parameters)));
            }
        }
        bound.kwargs = dict(rest);
        Ok(bound)
    }
}

impl Object for Bound {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "=caller" => self.caller.clone(),
            "=varargs" => Some(self.varargs.clone()),
            "=kwargs" => Some(self.kwargs.clone()),
            _ => match key.strip_prefix('?') {
                Some(name) => Some(Value::from(self.values.contains_key(name))),
                None => self.values.get(key).cloned(),
            },
        }
    }
}

fn too_many(name: &str, takes: usize, given: usize) -> Diagnostic {
    Diagnostic::error("jinja-arguments", format!("macro `{name}` takes not more than {takes} argument(s), {given} were given"))
}

fn twice(name: &str, argument: &str) -> Diagnostic {
    Diagnostic::error("jinja-arguments", format!("macro `{name}` got two values for the argument `{argument}`"))
}

fn unknown_argument(name: &str, argument: &str, parameters: &[String]) -> Diagnostic {
    let known = match parameters {
        [] => "it takes no arguments".to_string(),
        names => format!("it takes {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::error("jinja-arguments", format!("macro `{name}` takes no keyword argument `{argument}`"))
        .suggest(argument, parameters.iter().map(String::as_str))
        .help(known)
}

/// `dbt_utils`: a package's macros by name.
pub(super) struct PackageReference {
    pub root: Arc<Root>,
    pub package: String,
}

impl fmt::Debug for PackageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<package {}>", self.package)
    }
}

impl Object for PackageReference {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let index = self.root.engine.macros.in_package(&self.package, key)?;
        if let Some(value) = self.root.scope.override_of(Some(&self.package), key) {
            return Some(Value::from_object(Overridden(value)));
        }
        Some(Value::from_object(MacroReference { root: self.root.clone(), index }))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        if let Some(reference) = self.get_value_by_str(method) {
            return reference.call(state, args);
        }
        if method == "get" {
            let args = Arguments::new(method, args);
            let found = self.get_value_by_str(&args.text(0, "name")?);
            return Ok(found.or_else(|| args.get(1, "default").cloned()).unwrap_or(Value::from(())));
        }
        let names = self.root.engine.macros.names_in(&self.package);
        Err(carry(
            Diagnostic::error("macro-not-found", format!("package `{}` has no macro `{method}`", self.package))
                .suggest(method, names),
        ))
    }
}
