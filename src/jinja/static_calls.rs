//! What can be read off a template's syntax tree without rendering it.

use indexmap::IndexSet;
use minijinja::Value;
use minijinja::machinery::ast::{Call, CallArg, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use serde_json::Value as Json;

use super::collection::to_json;
use super::registry::MacroTable;
use super::syntax_tree::{self, Part};
use crate::manifest::{JsonMap, RefArgs};
use crate::name::UniqueId;

/// The calls of a template that has no Jinja but these, with literal arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StaticCalls {
    /// In order of mention, repeats included.
    pub refs: Vec<RefArgs>,
    /// `[source name, table name]`.
    pub sources: Vec<[String; 2]>,
    /// Every `config(…)` call, later ones over earlier ones key by key; none where there is a call that sets a key twice that
    /// merges (`tags`, `meta`, hooks): those are left to a real render.
    pub config: JsonMap,
}

/// Keys that a second `config(…)` call adds to instead of replacing.
const MERGING: &[&str] = &["tags", "meta", "pre_hook", "post_hook", "pre-hook", "post-hook", "grants", "packages", "docs"];

/// The static calls of `source`; none where it holds anything else, or does not parse.
pub(super) fn read(source: &str) -> Option<StaticCalls> {
    let mut found = StaticCalls::default();
    if !source.contains("{{") && !source.contains("{%") {
        return Some(found);
    }
    let tree = parse(source, "", SyntaxConfig::default()).ok()?;
    let Stmt::Template(template) = &tree else { return None };
    for stmt in &template.children {
        match stmt {
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(node) => match &node.expr {
                Expr::Call(call) => take(call, &mut found)?,
                _ => return None,
            },
            Stmt::Do(node) if called(&node.call) == Some("config") => take(&node.call, &mut found)?,
            _ => return None,
        }
    }
    Some(found)
}

fn called<'s>(call: &Call<'s>) -> Option<&'s str> {
    match &call.expr {
        Expr::Var(name) => Some(name.id),
        _ => None,
    }
}

fn take(call: &Call<'_>, found: &mut StaticCalls) -> Option<()> {
    let mut positional = Vec::new();
    let mut named = JsonMap::new();
    for arg in &call.args {
        match arg {
            CallArg::Pos(expr) => positional.push(literal(expr)?),
            CallArg::Kwarg(name, expr) => {
                named.insert((*name).to_string(), literal(expr)?);
            }
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => return None,
        }
    }
    match (called(call)?, positional.as_slice()) {
        ("ref", names) => found.refs.push(reference(names, &named)?),
        ("source", [Json::String(source), Json::String(table)]) if named.is_empty() => {
            found.sources.push([source.clone(), table.clone()]);
        }
        ("config", []) if !named.is_empty() => merge(&mut found.config, named)?,
        ("config", [Json::Object(entries)]) if named.is_empty() => merge(&mut found.config, entries.clone())?,
        _ => return None,
    }
    Some(())
}

fn merge(config: &mut JsonMap, entries: JsonMap) -> Option<()> {
    for (key, value) in entries {
        let twice = config.contains_key(&key);
        if twice && MERGING.contains(&key.as_str()) {
            return None;
        }
        config.insert(key, value);
    }
    Some(())
}

fn reference(names: &[Json], named: &JsonMap) -> Option<RefArgs> {
    let (package, name) = match names {
        [Json::String(name)] => (None, name),
        [Json::String(package), Json::String(name)] => (Some(package.clone()), name),
        _ => return None,
    };
    if named.keys().any(|key| key != "version" && key != "v") {
        return None;
    }
    let version = named.values().find(|version| !version.is_null()).cloned();
    Some(RefArgs { name: name.clone(), package, version })
}

fn literal(expr: &Expr<'_>) -> Option<Json> {
    match expr {
        Expr::Const(node) => plain(&node.value),
        Expr::List(node) => node.items.iter().map(literal).collect::<Option<Vec<_>>>().map(Json::Array),
        Expr::Tuple(node) => node.items.iter().map(literal).collect::<Option<Vec<_>>>().map(Json::Array),
        Expr::Map(node) => {
            let entries = node.keys.iter().zip(&node.values).map(|(key, value)| match literal(key)? {
                Json::String(key) => Some((key, literal(value)?)),
                _ => None,
            });
            entries.collect::<Option<JsonMap>>().map(Json::Object)
        }
        Expr::UnaryOp(_) => expr.as_const().as_ref().and_then(plain),
        _ => None,
    }
}

fn plain(value: &Value) -> Option<Json> {
    matches!(value.kind(), ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String).then(|| to_json(value))
}

/// The macros that the text of a macro calls, as dbt reads them off it: by name; by package and name, where an object's method
/// counts too if a macro has its name; through `adapter.dispatch`, both the name it is given and the macro that is found.
pub(super) fn macro_dependencies(table: &MacroTable, macro_id: &UniqueId) -> Vec<UniqueId> {
    let Some(entry) = table.by_id(macro_id.as_str()) else { return Vec::new() };
    let Ok(compiled) = entry.compiled() else { return Vec::new() };
    let Ok(tree) = parse(&compiled.rewritten.text, "", SyntaxConfig::default()) else { return Vec::new() };
    let (package, own) = (entry.source.package.as_str(), entry.source.name.as_str());
    let mut found = IndexSet::new();
    syntax_tree::walk(&tree, &mut |part| {
        let Part::Call(call) = part else { return };
        let named = |package: &str, name: &str| if name == own { None } else { table.named(package, name) };
        match &call.expr {
            Expr::Var(name) if !super::context::names().any(|known| known == name.id) => found.extend(named(package, name.id)),
            Expr::GetAttr(node) => match &node.expr {
                Expr::Var(owner) if owner.id == "adapter" && node.name == "dispatch" => {
                    let (name, index) = dispatched(table, package, call);
                    found.extend(name.and_then(|name| named(package, &name)));
                    found.extend(index);
                }
                Expr::Var(owner) if owner.id == "adapter" => {}
                Expr::Var(owner) => found.extend(table.named(owner.id, node.name)),
                _ => {}
            },
            _ => {}
        }
    });
    found.into_iter().map(|index| table.entry(index).source.unique_id.clone()).collect()
}

/// The literal name that a dispatch is given, and the macro it finds.
fn dispatched(table: &MacroTable, package: &str, call: &Call<'_>) -> (Option<String>, Option<usize>) {
    let text = |index: usize, name: &str| {
        let arg = call.args.iter().enumerate().find_map(|(at, arg)| match arg {
            CallArg::Pos(expr) if at == index => Some(expr),
            CallArg::Kwarg(key, expr) if *key == name => Some(expr),
            _ => None,
        });
        arg.and_then(literal).and_then(|json| json.as_str().map(str::to_string))
    };
    let Some(name) = text(0, "macro_name") else { return (None, None) };
    let index = table.dispatch(package, &name, text(1, "macro_namespace").as_deref()).ok();
    (Some(name), index)
}
