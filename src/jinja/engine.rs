//! The engine behind [`Jinja`]: two minijinja environments over one macro table.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::collection::from_json;
use super::context::Root;
use super::error::{RENDERED, Source};
use super::invoke::{MacroReference, RECURSION_LIMIT};
use super::reads::Reads;
use super::registry::{MacroSource, MacroTable};
use super::rendered::Rendered;
use super::rewrite::{self, Rewritten};
use super::static_calls::{self, StaticCalls};
use super::{NodeScope, language, output};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::name::UniqueId;
use crate::source::Location;

/// How many steps one render may take: a template that asks for more does not end in anybody's time.
const MOST_STEPS: u64 = 10_000_000;

/// Reads an environment variable.
pub type ReadEnv = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the template engine needs to know of a run, once.
#[derive(Clone)]
pub struct JinjaSettings {
    pub project_name: String,
    /// Macros of the project and its packages. headwater's own are added where missing.
    pub macros: Vec<MacroSource>,
    /// `dispatch:` of `dbt_project.yml`: for a namespace, the packages to search, in order.
    pub dispatch: BTreeMap<String, Vec<String>>,
    /// Whether a package's materialization counts more than the built-in one of its name.
    pub package_materializations: bool,
    /// `datafusion`, `postgres` …: `adapter.type()` and the first prefix `adapter.dispatch` tries.
    pub adapter_type: String,
    /// What does the work, under whatever name: its own macros come next.
    pub engine: String,
    /// `target`, without secrets.
    pub target: JsonMap,
    pub env: ReadEnv,
    pub invocation_id: String,
    pub run_started_at: DateTime<Utc>,
    /// `flags`, keys in upper case.
    pub flags: JsonMap,
    pub dbt_version: String,
    /// `invocation_args_dict`.
    pub invocation_args: JsonMap,
    /// `builtins.ref.config`: the project, its packages and the target as a dictionary, without secrets.
    pub runtime_config: JsonMap,
    /// `dbt_metadata_envs`: variables that begin with `DBT_ENV_CUSTOM_ENV_`, without that prefix.
    pub metadata_env: JsonMap,
}

impl JinjaSettings {
    /// Settings of a project without macros, flags or target; for the version of dbt whose behaviour headwater follows.
    pub fn new(project_name: impl Into<String>, adapter_type: impl Into<String>) -> Self {
        let adapter_type = adapter_type.into();
        Self {
            project_name: project_name.into(),
            macros: Vec::new(),
            dispatch: BTreeMap::new(),
            package_materializations: false,
            engine: adapter_type.clone(),
            adapter_type,
            target: JsonMap::new(),
            env: Arc::new(|_| None),
            invocation_id: String::new(),
            run_started_at: DateTime::UNIX_EPOCH,
            flags: JsonMap::new(),
            dbt_version: "1.12.6".to_string(),
            invocation_args: JsonMap::new(),
            metadata_env: JsonMap::new(),
            runtime_config: JsonMap::new(),
        }
    }
}

/// A text to render: a model, a test, a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateText {
    /// What it is called in traces: `model orders`.
    pub name: String,
    pub source: String,
    /// Where `source` begins.
    pub location: Location,
}

/// What does not change during a run.
pub(super) struct Engine {
    pub settings: JinjaSettings,
    pub macros: MacroTable,
    pub target: Value,
    pub flags: Value,
    pub invocation_args: Value,
    pub metadata_env: Value,
    /// What was read while parsing.
    reads: Mutex<Reads>,
}

impl Engine {
    /// Notes what a template reads, if it is only being parsed.
    pub fn note(&self, scope: &dyn NodeScope, note: impl FnOnce(&mut Reads)) {
        if !scope.executes() {
            note(&mut self.reads.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// A macro to call, and what with.
#[derive(Clone, Copy)]
pub struct MacroCall<'a> {
    pub name: &'a str,
    /// Where to look for it; without one, in the root project, then among the built-in ones, then in any package.
    pub package: Option<&'a str>,
    pub args: &'a [Value],
    pub kwargs: &'a [(String, Value)],
}

/// The template engine of one run. Shared by threads; templates of macros are made on first use and kept.
pub struct Jinja {
    engine: Arc<Engine>,
    /// While compiling: an attribute of something undefined is a mistake.
    strict: Environment<'static>,
    /// While parsing, where there is no database to ask: whatever comes of an unanswered question is undefined, and harmless.
    lenient: Environment<'static>,
}

impl Jinja {
    pub fn new(mut settings: JinjaSettings) -> Outcome<Self> {
        let macros = std::mem::take(&mut settings.macros);
        let dispatch = std::mem::take(&mut settings.dispatch);
        let macros = MacroTable::new(macros, &settings.project_name, (&settings.adapter_type, &settings.engine), dispatch);
        let object = |map: &JsonMap| from_json(&serde_json::Value::Object(map.clone()));
        let engine = Arc::new(Engine {
            target: object(&settings.target),
            flags: object(&settings.flags),
            invocation_args: object(&settings.invocation_args),
            metadata_env: object(&settings.metadata_env),
            settings,
            macros,
            reads: Mutex::default(),
        });
        let strict = environment(&engine, UndefinedBehavior::Lenient);
        let lenient = environment(&engine, UndefinedBehavior::Chainable);
        Ok(Self { engine, strict, lenient })
    }

    /// What templates read while they were parsed.
    pub fn reads(&self) -> Reads {
        self.engine.reads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text a template gives. A text without Jinja comes back as it is, less one newline at its end, as Jinja has it.
    pub fn render(&self, template: &TemplateText, scope: Arc<dyn NodeScope>) -> Outcome<String> {
        let template = &with_newlines(template);
        if !template.source.contains(['{']) {
            return Ok(without_last_newline(&template.source).to_string());
        }
        self.rendering(template, &scope, |compiled, root| compiled.render(root)).map(|(text, _)| text)
    }

    /// As [`render`](Self::render), where the text may end with `return(value)` as the body of a macro does.
    pub fn render_returning(&self, template: &TemplateText, scope: Arc<dyn NodeScope>) -> Outcome<String> {
        let template = &with_newlines(template);
        let text = |compiled: minijinja::Template<'_, '_>, root: Value| {
            compiled.render(root).or_else(|error| match super::invoke::returned(&error) {
                Some(value) => Ok(value.to_string()),
                None => Err(error),
            })
        };
        self.rendering(template, &scope, text).map(|(text, _)| text)
    }

    /// As [`render`](Self::render), with the place in the template that each stretch of the text came from.
    pub fn render_traced(&self, template: &TemplateText, scope: Arc<dyn NodeScope>) -> Outcome<Rendered> {
        let template = &with_newlines(template);
        if !template.source.contains(['{']) {
            return Ok(Rendered::verbatim(template, without_last_newline(&template.source).to_string()));
        }
        let ((text, spans), rewritten) = self.rendering(template, &scope, |compiled, root| compiled.render_with_spans(root))?;
        Ok(Rendered::new(template, &rewritten, text, &spans))
    }

    fn rendering<T>(
        &self,
        template: &TemplateText,
        scope: &Arc<dyn NodeScope>,
        work: impl FnOnce(minijinja::Template<'_, '_>, Value) -> Result<T, Error>,
    ) -> Outcome<(T, Rewritten)> {
        let rewritten = rewrite::template(&template.source).map_err(|error| self.unreadable(&error, template))?;
        let absent = if scope.executes() { HashSet::new() } else { rewrite::called_names(&template.source) };
        let root = Root::tolerating(self.engine.clone(), scope.clone(), absent);
        let compiled = self.environment(scope.as_ref()).template_from_named_str(RENDERED, &rewritten.text);
        let outcome = compiled.and_then(|compiled| work(compiled, Value::from_dyn_object(root.clone())));
        root.clear();
        match outcome {
            Ok(value) => Ok((value, rewritten)),
            Err(error) => {
                let source = Source { template, rewritten: &rewritten };
                Err(self.engine.diagnose(&error, &source, scope.as_ref()))
            }
        }
    }

    /// Calls a macro and gives what it returns: its text, or the value of its `return(…)`.
    pub fn call_macro(&self, call: &MacroCall<'_>, scope: Arc<dyn NodeScope>) -> Outcome<Value> {
        let MacroCall { name, package, args, kwargs } = *call;
        let Some(index) = self.index(name, package, scope.package()) else {
            return Err(Box::new(self.macro_missing(name, package, scope.as_ref())));
        };
        let mut all = args.to_vec();
        if !kwargs.is_empty() {
            all.push(Value::from(kwargs.iter().cloned().collect::<minijinja::value::Kwargs>()));
        }
        let root = Root::new(self.engine.clone(), scope);
        let outcome = self.call_index(index, &all, &root);
        root.clear();
        outcome
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Calls the macro at `index` of the table in the context `root`.
    pub(super) fn call_index(&self, index: usize, args: &[Value], root: &Arc<Root>) -> Outcome<Value> {
        let environment = self.environment(root.scope.as_ref());
        let name = &self.engine.macros.entry(index).source.name;
        let place = self.engine.macros.entry(index).source.location.clone();
        let template = TemplateText { name: format!("macro {name}"), source: String::new(), location: place };
        environment
            .template_from_named_str(RENDERED, rewrite::bare())
            .and_then(|compiled| compiled.render_captured(Value::from_dyn_object(root.clone())))
            .and_then(|mut captured| {
                let reference = Value::from_object(MacroReference { root: root.clone(), index });
                captured.with_state_mut(|state| reference.call(state, args))
            })
            .map_err(|error| {
                let source = Source { template: &template, rewritten: &Rewritten::default() };
                self.engine.diagnose(&error, &source, root.scope.as_ref())
            })
    }

    /// The macro that `name` means in `package`; without one, in the root project, then among the built-in ones, then in any
    /// package.
    pub fn find_macro(&self, name: &str, package: Option<&str>) -> Option<UniqueId> {
        let index = self.index(name, package, &self.engine.settings.project_name)?;
        Some(self.engine.macros.entry(index).source.unique_id.clone())
    }

    /// The macro that `adapter.dispatch(name, namespace)` finds from `package`.
    pub fn find_dispatched(&self, name: &str, namespace: Option<&str>, package: &str) -> Option<UniqueId> {
        let index = self.engine.macros.dispatch(package, name, namespace).ok()?;
        Some(self.engine.macros.entry(index).source.unique_id.clone())
    }

    /// The parameters of a macro, in order.
    pub fn parameters(&self, macro_id: &UniqueId) -> Option<Vec<String>> {
        self.engine.macros.by_id(macro_id.as_str())?.compiled().ok().map(|compiled| compiled.signature.parameters.clone())
    }

    /// The macros a macro's text calls by name or through `adapter.dispatch`, in order of mention: `depends_on.macros`.
    pub fn macro_dependencies(&self, macro_id: &UniqueId) -> Vec<UniqueId> {
        static_calls::macro_dependencies(&self.engine.macros, macro_id)
    }

    /// Checks a macro's text without calling it.
    pub fn check_macro(&self, macro_id: &UniqueId) -> Outcome<()> {
        let Some(entry) = self.engine.macros.by_id(macro_id.as_str()) else { return Ok(()) };
        match self.strict.get_template(macro_id.as_str()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let carrier = TemplateText {
                    name: entry.source.name.clone(),
                    source: entry.source.source.clone(),
                    location: entry.source.location.clone(),
                };
                let rewritten = entry.compiled().map(|compiled| compiled.rewritten.clone()).unwrap_or_default();
                Err(self.unreadable_at(&error, &carrier, &rewritten))
            }
        }
    }

    /// What a template asks for, where all its Jinja is `ref`, `source` and `config` calls with literal arguments.
    pub fn static_calls(&self, template: &TemplateText) -> Option<StaticCalls> {
        for name in ["ref", "source", "config"] {
            if self.engine.macros.visible(&self.engine.settings.project_name, name).is_some() {
                return None;
            }
        }
        static_calls::read(&template.source)
    }

    fn index(&self, name: &str, package: Option<&str>, scope_package: &str) -> Option<usize> {
        match package {
            Some(package) => self.engine.macros.in_package(package, name),
            None => match name.split_once('.') {
                Some((package, name)) => self.engine.macros.in_package(package, name),
                None => self.engine.macros.visible(scope_package, name).or_else(|| self.engine.macros.anywhere(name)),
            },
        }
    }

    fn environment(&self, scope: &dyn NodeScope) -> &Environment<'static> {
        if scope.executes() { &self.strict } else { &self.lenient }
    }

    fn macro_missing(&self, name: &str, package: Option<&str>, scope: &dyn NodeScope) -> Diagnostic {
        let diagnostic = match package {
            Some(package) => Diagnostic::error("macro-not-found", format!("package `{package}` has no macro `{name}`")),
            None => Diagnostic::error("macro-not-found", format!("no macro is called `{name}`")),
        };
        match package {
            Some(package) => diagnostic.suggest(name, self.engine.macros.names_in(package)),
            None => diagnostic.suggest(name, self.engine.macros.visible_names(scope.package())),
        }
    }

    /// A template whose tags cannot be told apart; the error counts in the text as written.
    fn unreadable(&self, error: &Error, template: &TemplateText) -> Box<Diagnostic> {
        let offset = error.range().map_or(0, |range| range.start);
        let (line, column) = super::blocks::line_and_column(&template.source, offset);
        let text = error.detail().unwrap_or("the template cannot be read").trim_end_matches('.').to_string();
        Box::new(Diagnostic::error("jinja-syntax", text).at(template.location.offset_by(line, column)))
    }

    fn unreadable_at(&self, error: &Error, template: &TemplateText, rewritten: &Rewritten) -> Box<Diagnostic> {
        let offset = error.range().map_or(0, |range| rewritten.original_offset(range.start));
        let (line, column) = super::blocks::line_and_column(&template.source, offset);
        let text = error.detail().unwrap_or("the template cannot be read").trim_end_matches('.').to_string();
        Box::new(Diagnostic::error("jinja-syntax", text).at(template.location.offset_by(line, column)))
    }
}

/// Line ends as templates have them, whatever the file was written on.
fn with_newlines(template: &TemplateText) -> Cow<'_, TemplateText> {
    if !template.source.contains('\r') {
        return Cow::Borrowed(template);
    }
    let source = template.source.replace("\r\n", "\n").replace('\r', "\n");
    Cow::Owned(TemplateText { source, ..template.clone() })
}

fn without_last_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn environment(engine: &Arc<Engine>, undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_auto_reload(false);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(undefined);
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_fuel(Some(MOST_STEPS));
    let lenient = undefined == UndefinedBehavior::Chainable;
    environment.set_unknown_method_callback(move |state, value, method, args| {
        if value.is_undefined() {
            return if lenient { Ok(Value::UNDEFINED) } else { Err(Error::from(ErrorKind::UndefinedError)) };
        }
        super::collection::plain_method(state, value, method, args)
    });
    language::install(&mut environment);
    output::install(&mut environment);
    let engine = engine.clone();
    environment.set_loader(move |name| {
        let Some(entry) = engine.macros.by_id(name) else { return Ok(None) };
        match entry.compiled() {
            Ok(compiled) => Ok(Some(compiled.rewritten.text.clone())),
            Err(error) => Err(engine.syntax_error(&entry.source, error)),
        }
    });
    environment
}
