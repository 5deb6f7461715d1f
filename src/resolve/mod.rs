//! From parsed resources to the manifest: config inheritance, names, properties, tests, sources, and every reference resolved.
//!
//! Order matters and is dbt's: nodes get their own config, property files change it, then tests and sources come from those
//! files, and only when everything is known are references followed. Mistakes are collected; the manifest is as complete as
//! they allow.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::invocation::Invocation;
use crate::jinja::{Jinja, JinjaSettings, builtin_macros};
use crate::manifest::{Interner, JsonMap, Manifest};
use crate::parse::{self, MacroLookup, ParsedProject};
use crate::project::{Package, Project};
use crate::world::World;

mod check;
mod color;
mod columns;
mod config;
mod contract;
mod deprecation;
mod docs;
mod exposures;
mod functions;
mod generic_tests;
mod legacy;
mod link;
mod lookup;
mod microbatch;
mod names;
mod node;
mod patch;
mod semantic;
mod semantic_form;
mod sources;
mod test_definition;
mod unit_tests;
mod versions;

/// What resolving works on; the manifest grows in it.
pub(crate) struct Resolver<'a> {
    project: &'a Project,
    /// The same project, for scopes that outlive a call.
    shared: Arc<Project>,
    jinja: &'a Jinja,
    world: &'a dyn World,
    manifest: Manifest,
    macros: MacroLookup,
    deciding: names::Deciding,
    refs: lookup::RefLookup,
    calls: node::CallsById,
    shared_maps: Interner,
    diagnostics: Vec<Diagnostic>,
    /// Unix seconds, for `created_at`.
    now: f64,
}

/// Resolves a parsed project. `jinja` must know the same macros as `parsed`.
pub fn resolve(parsed: ParsedProject, project: &Project, jinja: &Jinja, world: &dyn World) -> (Manifest, Vec<Diagnostic>) {
    let ParsedProject { macros, docs, nodes, properties, fixtures } = parsed;
    let lookup = MacroLookup::new(project, &macros);
    let mut resolver = Resolver {
        project,
        shared: node::shared_project(project),
        jinja,
        world,
        manifest: Manifest {
            project_name: project.name.clone(),
            project_id: parse::md5_hex(&project.name),
            adapter_type: project.target.adapter_type.clone(),
            selectors: project.selectors.clone(),
            macros,
            docs,
            ..Manifest::default()
        },
        deciding: names::Deciding::new(project, &lookup),
        macros: lookup,
        refs: lookup::RefLookup::default(),
        calls: node::CallsById::new(),
        shared_maps: Interner::default(),
        diagnostics: Vec::new(),
        now: parse::seconds(world),
    };
    resolver.add_nodes(nodes);
    resolver.refs = lookup::RefLookup::new(&resolver.manifest);
    resolver.apply_patches(&properties);
    resolver.calls = node::CallsById::new();
    // Entries are let go as soon as nothing asks for them: those of models and sources are most of what a project's files hold.
    let properties = resolver.add_generic_tests(properties);
    resolver.add_groups(&properties);
    let properties = resolver.add_sources(properties);
    resolver.add_semantics(&properties);
    resolver.add_exposures(&properties);
    resolver.link();
    resolver.add_unit_tests(&properties, &fixtures);
    resolver.render_descriptions();
    resolver.add_overview();
    resolver.check_deprecations(world.now());
    resolver.check();
    (resolver.manifest, resolver.diagnostics)
}

/// The whole way from a loaded project: files, macros, template engine, parsing, resolving.
///
/// # Errors
/// Only what leaves nothing to go on with: a folder that cannot be listed, macros the template engine refuses. All other
/// mistakes are among the diagnostics, in the order they were found.
pub fn load_manifest(
    world: &dyn World,
    project: &Project,
    invocation: &Invocation,
) -> Outcome<(Manifest, Jinja, Vec<Diagnostic>)> {
    let (mut loaded, mut diagnostics) = parse::read_all(world, project)?;
    let jinja = template_engine(world, project, invocation, &loaded.macros)?;
    for source in builtin_macros() {
        let found = parse::built_in(source, world);
        loaded.macros.entry(found.unique_id.clone()).or_insert(found);
    }
    let (parsed, found) = parse::parse(loaded, project, &jinja, world);
    diagnostics.extend(found);
    let (manifest, found) = resolve(parsed, project, &jinja, world);
    diagnostics.extend(found);
    Ok((manifest, jinja, diagnostics))
}

/// The template engine over a project's macros; the built-in ones among them are left to the engine itself.
pub fn template_engine(
    world: &dyn World,
    project: &Project,
    invocation: &Invocation,
    macros: &indexmap::IndexMap<crate::name::UniqueId, crate::manifest::Macro>,
) -> Outcome<Jinja> {
    Jinja::new(JinjaSettings {
        invocation_id: invocation.id.clone(),
        run_started_at: invocation.started_at,
        flags: invocation.flags.clone(),
        invocation_args: invocation.args.clone(),
        runtime_config: runtime_config(project, invocation),
        ..settings(project, macros, world)
    })
}

/// dbt's `RuntimeConfig` as far as templates read it.
fn runtime_config(project: &Project, invocation: &Invocation) -> JsonMap {
    let target = &project.target;
    let dependencies = project.packages.iter().map(|package| (package.name.clone(), Json::Object(described(package))));
    let mut config = described(project.own_package());
    config.extend([
        ("profile_name".to_string(), json!(target.profile_name)),
        ("target_name".to_string(), json!(target.target_name)),
        ("threads".to_string(), json!(target.threads)),
        ("credentials".to_string(), Json::Object(target.context())),
        ("cli_vars".to_string(), Json::Object(project.cli_vars.clone())),
        ("args".to_string(), Json::Object(invocation.args.clone())),
        ("dependencies".to_string(), Json::Object(dependencies.collect())),
    ]);
    config
}

/// A package as `RuntimeConfig` holds one: what its `dbt_project.yml` says, by its attributes' names.
fn described(package: &Package) -> JsonMap {
    let mut config: JsonMap = package.raw.iter().map(|(key, value)| (key.replace('-', "_"), value.clone())).collect();
    config.insert("project_name".to_string(), json!(package.name));
    config.insert("project_root".to_string(), json!(package.root));
    config.insert("version".to_string(), json!(package.version));
    config.insert("vars".to_string(), Json::Object(package.vars.clone()));
    config
}

fn settings(
    project: &Project,
    macros: &indexmap::IndexMap<crate::name::UniqueId, crate::manifest::Macro>,
    world: &dyn World,
) -> JinjaSettings {
    let mut settings = JinjaSettings::new(&project.name, &project.target.adapter_type);
    settings.engine.clone_from(&project.target.engine);
    settings.macros = parse::macro_sources(macros);
    settings.target = project.target.context();
    let environment = world.environment();
    let overrides = project.flags.get("require_explicit_package_overrides_for_builtin_materializations");
    settings.package_materializations = overrides.and_then(serde_json::Value::as_bool) == Some(false);
    settings.env = Arc::new(move |name| environment.get(name).cloned());
    for rule in &project.own_package().dispatch {
        if let Some(namespace) = rule.get("macro_namespace").and_then(Json::as_str) {
            settings.dispatch.insert(namespace.to_string(), columns::texts(rule.get("search_order")));
        }
    }
    settings
}
