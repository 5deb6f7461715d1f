//! SHIM until the template engine lands.
#![allow(missing_docs)]
use super::*;
use crate::source::Location;
use chrono::{DateTime, Utc};
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::collections::BTreeMap;
pub type ReadEnv = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
#[derive(Clone, Debug, PartialEq)]
pub struct MacroSource { pub unique_id: UniqueId, pub name: String, pub package: String, pub source: String, pub location: Location }
pub fn builtin_macros() -> &'static [MacroSource] {
    static M: std::sync::LazyLock<Vec<MacroSource>> = std::sync::LazyLock::new(|| ["test_unique","test_not_null","test_accepted_values","test_relationships","get_where_subquery","is_incremental","current_timestamp"].iter().map(|n| MacroSource{unique_id: format!("macro.dbt.{n}").into(), name: n.to_string(), package: "dbt".into(), source: format!("{{% macro {n}(a) %}}{{% endmacro %}}"), location: Location::file("macros/x.sql")}).collect());
    &M
}
#[derive(Clone)]
pub struct JinjaSettings { pub project_name: String, pub macros: Vec<MacroSource>, pub dispatch: BTreeMap<String, Vec<String>>, pub adapter_type: String, pub target: JsonMap, pub env: ReadEnv, pub invocation_id: String, pub run_started_at: DateTime<Utc> }
impl JinjaSettings { pub fn new(p: impl Into<String>, a: impl Into<String>) -> Self { Self { project_name: p.into(), macros: vec![], dispatch: BTreeMap::new(), adapter_type: a.into(), target: JsonMap::new(), env: Arc::new(|_| None), invocation_id: String::new(), run_started_at: DateTime::UNIX_EPOCH } } }
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateText { pub name: String, pub source: String, pub location: Location }
#[derive(Default)]
pub struct StaticCalls { pub refs: Vec<RefArgs>, pub sources: Vec<[String; 2]>, pub config: Vec<JsonMap> }
pub struct Jinja { macros: Vec<MacroSource> }
impl Jinja {
    pub fn new(s: JinjaSettings) -> Outcome<Self> { Ok(Self { macros: s.macros }) }
    pub fn render(&self, t: &TemplateText, scope: Arc<dyn NodeScope>) -> Outcome<String> {
        let toks: Vec<Token<'_>> = tokenize(&t.source, false, SyntaxConfig::default()).map_while(Result::ok).map(|x| x.0).collect();
        for i in 0..toks.len().saturating_sub(1) {
            if let (Token::Ident(n), Token::ParenOpen) = (&toks[i], &toks[i + 1]) {
                match (*n, crate::parse::shim_args(&toks[i + 2..])) {
                    ("ref", Some((p, k))) if !p.is_empty() => { scope.resolve_ref(RefArgs { name: p[p.len()-1].as_str().unwrap_or("").into(), package: (p.len()>1).then(|| p[0].as_str().unwrap_or("").to_string()), version: k.get("v").or(k.get("version")).cloned() })?; }
                    ("source", Some((p, _))) if p.len() == 2 => { scope.resolve_source(p[0].as_str().unwrap_or(""), p[1].as_str().unwrap_or(""))?; }
                    ("config", Some((_, k))) => scope.set_config(k)?,
                    (n, _) => { if let Some(m) = self.macros.iter().chain(builtin_macros()).find(|m| m.name == n) { scope.macro_called(&m.unique_id); } }
                }
            }
        }
        Ok(t.source.clone())
    }
    pub fn call_macro(&self, _n: &str, _p: Option<&str>, _a: &[Value], _k: &[(String, Value)], _s: Arc<dyn NodeScope>) -> Outcome<Value> { Ok(Value::from("x")) }
    pub fn macro_dependencies(&self, _m: &UniqueId) -> Vec<UniqueId> { vec![] }
    pub fn static_calls(&self, t: &TemplateText) -> Option<StaticCalls> {
        let toks: Vec<Token<'_>> = tokenize(&t.source, false, SyntaxConfig::default()).map_while(Result::ok).map(|x| x.0).collect();
        let mut s = StaticCalls::default();
        let mut i = 0;
        while i < toks.len() {
            match &toks[i] {
                Token::TemplateData(_) => i += 1,
                Token::VariableStart => {
                    let (Token::Ident(n), Token::ParenOpen) = (&toks[i+1], &toks[i+2]) else { return None };
                    let (p, k) = crate::parse::shim_args(&toks[i + 3..])?;
                    let end = toks[i..].iter().position(|t| matches!(t, Token::VariableEnd))?;
                    if !matches!(toks[i+end-1], Token::ParenClose) { return None }
                    match *n { "ref" => s.refs.push(RefArgs { name: p.last()?.as_str()?.into(), package: (p.len()>1).then(|| p[0].as_str().unwrap_or("").to_string()), version: k.get("v").or(k.get("version")).cloned() }), "source" => s.sources.push([p[0].as_str()?.into(), p[1].as_str()?.into()]), "config" => s.config.push(k), _ => return None }
                    i += end + 1;
                }
                _ => return None,
            }
        }
        Some(s)
    }
}
