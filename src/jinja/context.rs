//! What a name means in a template: the render's own names, macros, packages, then dbt's context.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use minijinja::value::Object;
use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::collection::{dict_entries, list, record};
use super::engine::Engine;
use super::invoke::{MacroReference, PackageReference};
use super::{NodeScope, call, database, exceptions, moment, relation, runtime};

/// The context of one render. Values are made when a name is asked for.
pub(super) struct Root {
    pub engine: Arc<Engine>,
    pub scope: Arc<dyn NodeScope>,
    /// Results of `statement` blocks by name; none for one that was loaded already.
    results: Mutex<HashMap<String, Option<Value>>>,
    /// What `write(…)` was given last.
    written: Mutex<Option<String>>,
    /// How deep below the render's start a call of a macro counts for `depends_on.macros`.
    pub counted_depth: usize,
    /// What `context.update({…})` added.
    added: Mutex<HashMap<String, Value>>,
    /// Names that the template calls and that may mean nothing yet; empty while compiling.
    absent: HashSet<String>,
}

/// A function of the context.
pub(super) type Native = fn(&Arc<Root>, &mut State<'_, '_>, &Arguments<'_>) -> Result<Value, Error>;

impl Root {
    pub fn new(engine: Arc<Engine>, scope: Arc<dyn NodeScope>) -> Arc<Self> {
        Self::tolerating(engine, scope, HashSet::new())
    }

    /// A context for a macro whose own calls count, as if they stood in the node's text.
    pub fn counting_within(engine: Arc<Engine>, scope: Arc<dyn NodeScope>) -> Arc<Self> {
        Arc::new(Self { counted_depth: 1, ..Self::fresh(engine, scope, HashSet::new()) })
    }

    /// A context in which calling one of `absent` gives undefined where nothing has that name.
    pub fn tolerating(engine: Arc<Engine>, scope: Arc<dyn NodeScope>, absent: HashSet<String>) -> Arc<Self> {
        Arc::new(Self::fresh(engine, scope, absent))
    }

    fn fresh(engine: Arc<Engine>, scope: Arc<dyn NodeScope>, absent: HashSet<String>) -> Self {
        let (results, written, added) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { engine, scope, results, written, added, counted_depth: 0, absent }
    }

    pub fn results(&self) -> MutexGuard<'_, HashMap<String, Option<Value>>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn added(&self) -> MutexGuard<'_, HashMap<String, Value>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what a render kept: its values may refer to this context, which would then never end.
    pub fn clear(&self) {
        let kept = (std::mem::take(&mut *self.results()), std::mem::take(&mut *self.added()));
        drop(kept);
    }

    /// Keeps a text for `target/run`.
    pub fn write(&self, text: String) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    pub fn written(&self) -> Option<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn function(self: &Arc<Self>, name: &'static str, run: Native) -> Value {
        Value::from_object(Function { name, root: self.clone(), run })
    }

    pub fn service(self: &Arc<Self>, name: &'static str, call: Option<Native>, method: fn(&str) -> Option<Native>) -> Value {
        Value::from_object(Service { name, root: self.clone(), call, method })
    }

    pub fn macro_value(self: &Arc<Self>, index: usize) -> Value {
        Value::from_object(MacroReference { root: self.clone(), index })
    }

    /// Notes that a template reads what no two calls have in common.
    pub fn passes(&self) {
        self.engine.note(self.scope.as_ref(), |reads| reads.passing = true);
    }

    /// `name` of the context proper, macros aside.
    fn built_in(self: &Arc<Self>, name: &str) -> Option<Value> {
        let (name, entry) = CONTEXT.get_key_value(name)?;
        match *name {
            "flags" => self.engine.note(self.scope.as_ref(), |reads| reads.flags = true),
            "invocation_args_dict" | "invocation_id" | "run_started_at" | "thread_id" | "dbt_metadata_envs" => self.passes(),
            _ => {}
        }
        match entry {
            Entry::Function(run) => Some(self.function(name, *run)),
            Entry::Value(make) => make(self),
        }
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<context>")
    }
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key.starts_with("__") {
            return None;
        }
        if let Some(value) = self.added().get(key).cloned().or_else(|| self.scope.extra(key)) {
            return Some(value);
        }
        let called = self.engine.macros.visible(self.scope.package(), key);
        match (self.scope.override_of(None, key), called) {
            (Some(value), Some(_)) => return Some(Value::from_object(Overridden(value))),
            (Some(value), None) if CONTEXT.contains_key(key) => return Some(value),
            (_, Some(index)) => return Some(self.macro_value(index)),
            (_, None) => {}
        }
        if self.engine.macros.has_package(key) {
            return Some(Value::from_object(PackageReference { root: self.clone(), package: key.to_string() }));
        }
        self.built_in(key).or_else(|| self.absent.contains(key).then(|| Value::from_object(Absent)))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        if method == "get" {
            let args = Arguments::new(method, args);
            let found = self.get_value_by_str(&args.text(0, "name")?);
            return Ok(found.or_else(|| args.get(1, "default").cloned()).unwrap_or(Value::from(())));
        }
        if method == "update" {
            let args = Arguments::new(method, args);
            let positional = args.positional.first().map_or(Ok(Vec::new()), dict_entries)?;
            let positional = positional.into_iter().map(|(key, value)| (key.to_string(), value));
            self.added().extend(positional.chain(args.named));
            return Ok(Value::from(()));
        }
        match self.get_value_by_str(method) {
            Some(value) => value.call(state, args),
            None => Err(Error::from(minijinja::ErrorKind::UnknownMethod)),
        }
    }
}

/// A macro that gives a fixed value whatever it is called with.
#[derive(Debug)]
pub(super) struct Overridden(pub Value);

impl Object for Overridden {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, _args: &[Value]) -> Result<Value, Error> {
        Ok(self.0.clone())
    }
}

/// Something called that nothing is known of, while parsing.
#[derive(Debug)]
struct Absent;

impl Object for Absent {
    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, _args: &[Value]) -> Result<Value, Error> {
        Ok(Value::UNDEFINED)
    }

    fn render(self: &Arc<Self>, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// A function of the context as a value.
pub(super) struct Function {
    name: &'static str,
    root: Arc<Root>,
    run: Native,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let resolves = matches!(self.name, "ref" | "source" | "metric" | "var");
        (key == "config" && resolves).then(|| runtime::config(&self.root.engine))
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        (self.run)(&self.root, state, &Arguments::new(self.name, args))
    }
}

/// An object with methods, callable itself where it has a `call`: `config`, `var`, `adapter`, `exceptions`.
struct Service {
    name: &'static str,
    root: Arc<Root>,
    call: Option<Native>,
    method: fn(&str) -> Option<Native>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name)
    }
}

impl Object for Service {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if self.name == "adapter" && key == "Relation" {
            return Some(relation::relation_class(&self.root));
        }
        let run = (self.method)(key)?;
        Some(self.root.function(self.name, run))
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match self.call {
            Some(run) => run(&self.root, state, &Arguments::new(self.name, args)),
            None => Err(Error::new(minijinja::ErrorKind::InvalidOperation, format!("`{}` is not a function", self.name))),
        }
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (self.method)(method) {
            Some(run) => run(&self.root, state, &Arguments::new(method, args)),
            None => Err(Error::new(minijinja::ErrorKind::UnknownMethod, format!("`{}` has no method `{method}`", self.name))),
        }
    }
}

enum Entry {
    Function(Native),
    Value(fn(&Arc<Root>) -> Option<Value>),
}

/// Every name of the context that is no macro.
pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
    CONTEXT.keys().copied()
}

static CONTEXT: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut context: HashMap<&'static str, Entry> = HashMap::new();
    for (name, run) in call::FUNCTIONS {
        context.insert(name, Entry::Function(*run));
    }
    for (name, make) in VALUES {
        context.insert(name, Entry::Value(*make));
    }
    context
});

type Make = fn(&Arc<Root>) -> Option<Value>;

const VALUES: &[(&str, Make)] = &[
    ("adapter", |root| Some(database::adapter(root))),
    ("api", |root| Some(relation::api(root))),
    ("builtins", |root| Some(record(["ref", "source", "config"].map(|name| (name, root.built_in(name).unwrap_or_default()))))),
    ("column", |root| Some(relation::column_class(root))),
    ("config", |root| Some(root.service("config", Some(call::config), call::config_method))),
    ("context", |root| Some(Value::from_dyn_object(root.clone()))),
    ("database", |root| place(root, "database")),
    ("dbt_metadata_envs", |root| Some(root.engine.metadata_env.clone())),
    ("dbt_version", |root| Some(Value::from(root.engine.settings.dbt_version.as_str()))),
    ("env", |root| Some(root.engine.target.clone())),
    ("exceptions", |root| Some(root.service("exceptions", None, exceptions::method))),
    ("execute", |root| Some(Value::from(root.scope.executes()))),
    ("flags", |root| Some(root.engine.flags.clone())),
    ("invocation_args_dict", |root| Some(root.engine.invocation_args.clone())),
    ("invocation_id", |root| Some(Value::from(root.engine.settings.invocation_id.as_str()))),
    ("model", |root| Some(root.scope.model())),
    ("modules", |root| Some(moment::modules(root))),
    ("post_hooks", |_| Some(list(Vec::new()))),
    ("pre_hooks", |_| Some(list(Vec::new()))),
    ("project_name", |root| Some(Value::from(root.engine.settings.project_name.as_str()))),
    ("run_started_at", |root| Some(moment::utc(root.engine.settings.run_started_at))),
    ("schema", |root| place(root, "schema")),
    ("selected_resources", |_| Some(list(Vec::new()))),
    ("target", |root| Some(root.engine.target.clone())),
    ("this", |root| Some(root.scope.this_relation().map_or(Value::from(()), relation::answer))),
    ("thread_id", |_| Some(Value::from(std::thread::current().name().unwrap_or("MainThread")))),
    ("validation", |root| Some(record([("any", root.function("any", call::validate_any))]))),
    ("var", |root| Some(root.service("var", Some(call::var), call::var_method))),
];

/// `schema` and `database`: the node's own, else the target's.
fn place(root: &Arc<Root>, key: &str) -> Option<Value> {
    let own = root.scope.model().get_attr(key).ok().filter(|value| !value.is_undefined() && !value.is_none());
    own.or_else(|| root.engine.target.get_attr(key).ok())
}
