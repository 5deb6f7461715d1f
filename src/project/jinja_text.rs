//! Jinja in YAML: the small context that project files, profiles and property files render with. No node, no macros.
//!
//! Follows dbt's native rendering: a template that is one expression keeps that value's type, any other becomes text, and text
//! that an expression gave stays text unless `as_number`, `as_bool` or `as_native` says otherwise.

use minijinja::machinery::parse_expr;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, context};
use serde_json::Value as Json;

use super::yaml::{Yaml, YamlValue};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::source::Location;
use crate::world::World;

/// Environment variables with this prefix are secrets: profiles and package lists may read them, no message shows their value.
pub const SECRET_PREFIX: &str = "DBT_ENV_SECRET";
/// The dbt version whose behaviour headwater follows: `dbt_version` in Jinja, and what `require-dbt-version` is held against.
pub const DBT_VERSION: &str = "1.12.6";
/// The context's own entry that holds the environment variables looked up so far.
const KNOWN_ENVIRONMENT: &str = "__environment";
const NAMES: [&str; 4] = ["dbt_version", "env_var", "target", "var"];

/// What Jinja in YAML can see: `env_var`, `var`, `target`, `dbt_version` and the `as_…` filters.
pub struct BaseContext<'world> {
    world: &'world dyn World,
    environment: Environment<'static>,
    secrets_allowed: bool,
}

impl<'world> BaseContext<'world> {
    /// `vars` are what `var()` finds; `target` is [`Target::context`](super::Target::context), none where it is not known yet.
    pub fn new(world: &'world dyn World, vars: JsonMap, target: Option<JsonMap>) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(record_and_write);
        environment.add_function("env_var", env_var);
        environment.add_function("var", move |state: &State, name: String, rest: Rest<Value>, kwargs: Kwargs| {
            let default = default_argument(&rest, &kwargs)?;
            match vars.get(&name) {
                // A variable may be a template itself: it is rendered where it is read.
                Some(Json::String(text)) if has_jinja(text) => {
                    let known = state.lookup(KNOWN_ENVIRONMENT).unwrap_or_default();
                    state.env().render_str(text, context! { __environment => known }).map(Value::from)
                }
                _ => var(&vars, &name, default),
            }
        });
        environment.add_global("dbt_version", DBT_VERSION);
        if let Some(target) = target {
            environment.add_global("target", from_map(&target));
        }
        environment.add_filter("as_text", |value: Value| value);
        environment.add_filter("as_native", |value: Value| literal(&value).unwrap_or(value));
        environment.add_filter("as_bool", as_bool);
        environment.add_filter("as_number", as_number);
        Self { world, environment, secrets_allowed: false }
    }

    /// The same context where `env_var` may read secrets: profiles and `packages.yml`.
    #[must_use]
    pub fn with_secrets(mut self) -> Self {
        self.secrets_allowed = true;
        self
    }

    /// The value as JSON, with every text that holds Jinja rendered, except where `skip` answers yes to the path of keys that
    /// leads to it (list positions are decimal text: `["columns", "0", "description"]`).
    ///
    /// # Errors
    /// At the place of the text that does not render: `jinja`, `env-var-missing`, `var-missing`, `secret-env-var`.
    pub fn render_yaml(&self, yaml: &Yaml, skip: &dyn Fn(&[&str]) -> bool) -> Outcome<Json> {
        self.render_at(yaml, skip, &mut Vec::new())
    }

    fn render_at<'yaml>(&self, yaml: &'yaml Yaml, skip: &dyn Fn(&[&str]) -> bool, path: &mut Vec<Step<'yaml>>) -> Outcome<Json> {
        match &yaml.value {
            YamlValue::Text(text) if has_jinja(text) && !is_skipped(path, skip) => self.render_text(text, &yaml.location),
            YamlValue::Sequence(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push(Step::Index(index));
                    rendered.push(self.render_at(item, skip, path)?);
                    path.pop();
                }
                Ok(Json::Array(rendered))
            }
            YamlValue::Mapping(map) => {
                let mut rendered = JsonMap::with_capacity(map.len());
                for (key, (_, value)) in map.iter() {
                    path.push(Step::Key(key));
                    rendered.insert(key.clone(), self.render_at(value, skip, path)?);
                    path.pop();
                }
                Ok(Json::Object(rendered))
            }
            _ => Ok(yaml.to_json()),
        }
    }

    /// One text, rendered; text without Jinja stays as it is.
    pub fn render_text(&self, text: &str, location: &Location) -> Outcome<Json> {
        if !has_jinja(text) {
            return Ok(Json::String(text.to_string()));
        }
        let mut known = Known::default();
        loop {
            let error = match self.render_once(text, &known) {
                Ok(value) => return Ok(known.reveal(value)),
                Err(error) => error,
            };
            match wanted_variable(&error) {
                Some(name) if !known.values.contains_key(name) => self.look_up(name, &mut known, location)?,
                _ => return Err(Box::new(render_error(&error, location))),
            }
        }
    }

    fn render_once(&self, text: &str, known: &Known) -> Result<Json, Error> {
        let template = self.environment.template_from_str(text)?;
        let rendered = template.render_captured(context! { __environment => from_map(&known.values) })?;
        let emitted = rendered.state().get_extension::<Emitted>();
        if let Some(Emitted { count: 1, last: Some(value), written }) = emitted
            && written == rendered.output()
        {
            let unconverted = rendered.state().get_extension::<Unconverted>();
            let wanted = unconverted.and_then(|found| found.0.iter().find(|(text, _)| Some(text.as_str()) == value.as_str()));
            if let Some((_, wanted)) = wanted {
                return Err(not_convertible(value, wanted));
            }
            return to_json(value);
        }
        Ok(Json::String(rendered.into_output()))
    }

    /// Looks a wanted environment variable up. The render starts again with it: templates are pure, functions in them must not
    /// borrow the world, and most texts ask for one variable only.
    fn look_up(&self, name: &str, known: &mut Known, location: &Location) -> Outcome<()> {
        let value = self.world.env(name);
        if !name.starts_with(SECRET_PREFIX) {
            known.values.insert(name.to_string(), value.map_or(Json::Null, Json::String));
            return Ok(());
        }
        if !self.secrets_allowed {
            return Diagnostic::error(
                "secret-env-var",
                format!("the secret `{name}` may be read in profiles.yml and packages.yml only"),
            )
            .at(location.clone())
            .help(format!("give the variable a name that does not begin with `{SECRET_PREFIX}` if it is no secret"))
            .fail();
        }
        let shown = value.map_or(Json::Null, |value| {
            let placeholder = format!("$$$DBT_SECRET_START$$${name}$$$DBT_SECRET_END$$$");
            known.secrets.push((placeholder.clone(), value));
            Json::String(placeholder)
        });
        known.values.insert(name.to_string(), shown);
        Ok(())
    }
}

/// Environment variables found for one text. Jinja sees placeholders for secrets: neither filters nor messages touch them.
#[derive(Default)]
struct Known {
    values: JsonMap,
    secrets: Vec<(String, String)>,
}

impl Known {
    fn reveal(&self, value: Json) -> Json {
        match value {
            Json::String(text) => {
                Json::String(self.secrets.iter().fold(text, |text, (placeholder, secret)| text.replace(placeholder, secret)))
            }
            other => other,
        }
    }
}

enum Step<'yaml> {
    Key(&'yaml str),
    Index(usize),
}

fn is_skipped(path: &[Step<'_>], skip: &dyn Fn(&[&str]) -> bool) -> bool {
    let numbers: Vec<String> =
        path.iter().map(|step| if let Step::Index(index) = step { index.to_string() } else { String::new() }).collect();
    let steps: Vec<&str> = path
        .iter()
        .zip(&numbers)
        .map(|(step, number)| match step {
            Step::Key(key) => *key,
            Step::Index(_) => number,
        })
        .collect();
    skip(&steps)
}

/// Whether the text holds anything for Jinja to do.
pub fn has_jinja(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

/// Texts that `as_bool` or `as_number` could not convert, with what was wanted. Only where one is the whole result is that a
/// mistake: within an expression it is text like any other, as in dbt.
struct Unconverted(Vec<(String, &'static str)>);

/// What the template's expressions gave: with one of them alone, its value keeps its type.
struct Emitted {
    count: usize,
    last: Option<Value>,
    written: String,
}

/// Writes values as Python spells them.
fn record_and_write(out: &mut minijinja::Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let written = match value {
        _ if value.is_undefined() => return Err(Error::from(ErrorKind::UndefinedError)),
        _ if value.is_none() => "None".to_string(),
        _ if value.kind() == ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_string(),
        _ => value.to_string(),
    };
    out.write_str(&written).map_err(|_| Error::from(ErrorKind::WriteFailure))?;
    let emitted = state.get_or_insert_extension_with(|| Emitted { count: 0, last: None, written: String::new() });
    emitted.count += 1;
    emitted.last = Some(value.clone());
    emitted.written = written;
    Ok(())
}

fn from_map(map: &JsonMap) -> Value {
    Value::from_pairs(map.iter().map(|(key, value)| (key.as_str(), from_json(value))))
}

fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(map) => from_map(map),
    }
}

fn to_json(value: &Value) -> Result<Json, Error> {
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => value.as_i64().map_or_else(|| Json::String(value.to_string()), Json::from),
        ValueKind::Number => f64::try_from(value.clone()).map(Json::from)?,
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter()?.map(|item| to_json(&item)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = JsonMap::new();
            for key in value.try_iter()? {
                map.insert(key.to_string(), to_json(&value.get_item(&key)?)?);
            }
            Json::Object(map)
        }
        _ => Json::String(value.to_string()),
    })
}

/// The second argument of `env_var` and `var`; `none` is a default too.
fn default_argument(rest: &Rest<Value>, kwargs: &Kwargs) -> Result<Option<Value>, Error> {
    let named = if kwargs.has("default") { Some(kwargs.get::<Value>("default")?) } else { None };
    kwargs.assert_all_used()?;
    match rest.len() {
        0 | 1 => Ok(rest.first().cloned().or(named)),
        _ => Err(Error::from(ErrorKind::TooManyArguments)),
    }
}

/// The name of a variable that [`env_var`] needs and [`BaseContext::look_up`] has not found yet.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WantedVariable(String);

fn wanted_variable(error: &Error) -> Option<&str> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<WantedVariable>().map(|wanted| wanted.0.as_str())
}

fn env_var(state: &State, name: String, rest: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = default_argument(&rest, &kwargs)?.filter(|value| !value.is_none());
    let known = state.lookup(KNOWN_ENVIRONMENT).and_then(|known| known.get_attr(&name).ok()).unwrap_or_default();
    if known.is_undefined() {
        let wanted = Error::new(ErrorKind::InvalidOperation, "environment variable not looked up yet");
        return Err(wanted.with_source(WantedVariable(name)));
    }
    if !known.is_none() {
        return Ok(known);
    }
    default.ok_or_else(|| {
        from_diagnostic(
            Diagnostic::error("env-var-missing", format!("the environment variable `{name}` is not set"))
                .help(format!("set it, or give a default: `env_var('{name}', '…')`")),
        )
    })
}

fn var(vars: &JsonMap, name: &str, default: Option<Value>) -> Result<Value, Error> {
    match (vars.get(name), default) {
        (Some(value), _) => Ok(from_json(value)),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(from_diagnostic(
            Diagnostic::error("var-missing", format!("the variable `{name}` is not set"))
                .suggest(name, vars.keys().map(String::as_str))
                .help(format!("pass it with `--vars '{{{name}: …}}'`, or give a default: `var('{name}', …)`")),
        )),
    }
}

fn from_diagnostic(diagnostic: Diagnostic) -> Error {
    Error::new(ErrorKind::InvalidOperation, diagnostic.message.clone()).with_source(diagnostic)
}

fn as_bool(state: &mut State, value: Value) -> Value {
    let found = match value.as_str() {
        Some("true") => Some(Value::from(true)),
        Some("false") => Some(Value::from(false)),
        _ => literal(&value).filter(|found| found.kind() == ValueKind::Bool),
    };
    found.unwrap_or_else(|| unconverted(state, value, "a boolean"))
}

fn as_number(state: &mut State, value: Value) -> Value {
    literal(&value).filter(Value::is_number).unwrap_or_else(|| unconverted(state, value, "a number"))
}

fn unconverted(state: &mut State, value: Value, wanted: &'static str) -> Value {
    let text = value.to_string();
    state.get_or_insert_extension_with(|| Unconverted(Vec::new())).0.push((text.clone(), wanted));
    Value::from(text)
}

fn not_convertible(value: &Value, wanted: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("`{value}` is not {wanted}"))
}

/// The value of a Python literal (`ast.literal_eval`); none for any other text. Values that are no text stay as they are.
fn literal(value: &Value) -> Option<Value> {
    let Some(text) = value.as_str() else {
        return Some(value.clone());
    };
    match text.trim() {
        "true" | "false" | "none" => None,
        "None" => Some(Value::from(())),
        "True" => Some(Value::from(true)),
        "False" => Some(Value::from(false)),
        trimmed => parse_expr(trimmed).ok()?.as_const(),
    }
}

fn render_error(error: &Error, location: &Location) -> Diagnostic {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Diagnostic>());
    if let Some(diagnostic) = source {
        return diagnostic.clone().at(location.clone());
    }
    let detail = error.detail().unwrap_or_default();
    let message = format!("this value does not render: {}{}{detail}", error.kind(), if detail.is_empty() { "" } else { ": " });
    let diagnostic = Diagnostic::error("jinja", message).at(location.clone());
    match error.kind() {
        ErrorKind::UnknownFunction => {
            let wrong = detail.split_whitespace().next().unwrap_or_default();
            diagnostic.suggest(wrong, NAMES).help(format!("Jinja in YAML knows {}", NAMES.join(", ")))
        }
        _ => diagnostic,
    }
}
