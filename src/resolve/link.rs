//! References become edges: `depends_on.nodes` of every node and exposure, with a diagnostic where a name leads nowhere.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::diagnostic::Diagnostic;
use crate::manifest::{DependsOn, Node, RefArgs};
use crate::name::{ResourceType, UniqueId};
use crate::parse::python_text::str_of;
use crate::source::Location;

use super::Resolver;
use super::lookup::{Found, SourceLookup, packages_to_search};

/// Who refers to something.
pub(super) struct Asker {
    id: UniqueId,
    pub(super) kind: ResourceType,
    pub(super) name: String,
    pub(super) package: String,
    group: Option<String>,
    pub(super) location: Location,
}

impl Asker {
    fn of_node(node: &Node) -> Self {
        Self {
            id: node.unique_id.clone(),
            kind: node.resource_type,
            name: node.name.clone(),
            package: node.package_name.clone(),
            group: node.group.clone(),
            location: node.location.clone(),
        }
    }
}

impl Resolver<'_> {
    /// Sets `depends_on.nodes` everywhere: sources first, then refs, as dbt orders them.
    pub(super) fn link(&mut self) {
        let sources = SourceLookup::new(&self.manifest);
        let ids: Vec<UniqueId> = self.manifest.nodes.keys().cloned().collect();
        for id in ids {
            let Some(node) = self.manifest.nodes.get(&id) else { continue };
            if node.resource_type == ResourceType::Seed || (node.refs.is_empty() && node.sources.is_empty()) {
                continue;
            }
            let (refs, called) = (node.refs.clone(), node.sources.clone());
            let asker = Asker::of_node(node);
            let (targets, broken) = self.targets(&asker, &refs, &called, &sources);
            if let Some(node) = self.manifest.nodes.get_mut(&id) {
                add(&mut node.depends_on, targets);
                if broken {
                    node.config.insert("enabled".to_string(), Json::Bool(false));
                }
            }
        }
        self.link_functions();
        self.link_exposures(&sources);
    }

    /// Calls of functions come after refs.
    fn link_functions(&mut self) {
        let callers = self.manifest.nodes.values().filter(|node| !node.functions.is_empty());
        let callers: Vec<(Asker, Vec<Vec<String>>)> =
            callers.map(|node| (Asker::of_node(node), node.functions.clone())).collect();
        if callers.is_empty() {
            return;
        }
        let mut by_name = BTreeMap::new();
        for function in self.manifest.functions() {
            by_name.entry(function.name.clone()).or_insert_with(|| function.unique_id.clone());
        }
        for (caller, calls) in callers {
            let mut targets = Vec::new();
            for call in &calls {
                targets.extend(self.function_id(call, &caller, &by_name));
            }
            if let Some(node) = self.manifest.nodes.get_mut(&caller.id) {
                add(&mut node.depends_on, targets);
            }
        }
    }

    /// Where the call stands: the first one of this function that has the name among its arguments.
    fn place_of(&self, asker: &Asker, function: &str, name: &str) -> Location {
        let node = self.manifest.nodes.get(&asker.id).filter(|node| node.test.is_none());
        let code = node.map_or("", |node| node.raw_code.as_str());
        let pattern = format!(r#"\b{function}\s*\([^)]*['"]{}['"]"#, regex::escape(name));
        let found = regex::Regex::new(&pattern).ok().and_then(|pattern| pattern.find(code).map(|found| found.start()));
        let Some(at) = found else { return asker.location.clone() };
        let before = &code[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        // A file has fewer than 2^32 lines and columns.
        asker.location.offset_by(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    fn link_exposures(&mut self, sources: &SourceLookup) {
        let ids: Vec<UniqueId> = self.manifest.exposures.keys().cloned().collect();
        for id in ids {
            let Some(exposure) = self.manifest.exposures.get(&id) else { continue };
            let asker = Asker {
                id: id.clone(),
                kind: ResourceType::Exposure,
                name: exposure.name.clone(),
                package: exposure.package_name.clone(),
                group: None,
                location: exposure.location.clone(),
            };
            let (refs, called, metrics) = (exposure.refs.clone(), exposure.sources.clone(), exposure.metrics.clone());
            let (mut targets, _) = self.targets(&asker, &refs, &called, sources);
            targets.extend(metrics.iter().filter_map(|metric| self.metric_id(metric, &asker.package)));
            if let Some(exposure) = self.manifest.exposures.get_mut(&id) {
                add(&mut exposure.depends_on, targets);
            }
        }
    }

    fn metric_id(&self, metric: &[String], package: &str) -> Option<UniqueId> {
        let name = metric.last()?;
        let named = (metric.len() == 2).then(|| metric[0].as_str());
        let own = [named, Some(package), Some(&self.project.name)].into_iter().flatten();
        let mut ids = own.map(|package| UniqueId::from(format!("metric.{package}.{name}")));
        ids.find(|id| self.manifest.metrics.contains_key(id))
    }

    /// The ids of what is referred to, and whether something was missing.
    fn targets(
        &mut self,
        asker: &Asker,
        refs: &[RefArgs],
        called: &[[String; 2]],
        sources: &SourceLookup,
    ) -> (Vec<UniqueId>, bool) {
        let (mut targets, mut broken) = (Vec::new(), false);
        let root = self.project.name.clone();
        for [source, table] in called {
            let searched = packages_to_search(&root, &asker.package, None);
            match sources.resolve(source, table, &searched) {
                Found::One(id) => targets.push(id),
                found => {
                    broken = true;
                    let diagnostic = missing_source(asker, &format!("{source}.{table}"), &found, sources)
                        .at(self.place_of(asker, "source", table));
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        let own_first = crate::parse::is_flag_set(self.project, "require_ref_searches_node_package_before_root");
        for args in refs {
            let mut searched = packages_to_search(&root, &asker.package, args.package.as_deref());
            if own_first && searched.len() == 3 {
                searched.swap(0, 1);
            }
            match self.refs.resolve(&args.name, args.version.as_ref(), &searched) {
                Found::One(id) => match self.refused(asker, &id) {
                    None => targets.push(id),
                    Some(diagnostic) => self.diagnostics.push(diagnostic),
                },
                found => {
                    broken = true;
                    let diagnostic = self.missing_ref(asker, args, &found);
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        (targets, broken)
    }

    /// Access rules: a private model is for its group, a restricted package's models only if public.
    fn refused(&self, asker: &Asker, id: &UniqueId) -> Option<Diagnostic> {
        let target = self.manifest.nodes.get(id)?;
        let access = target.model.as_ref()?.access.as_str();
        let package = self.project.packages.iter().find(|package| package.name == target.package_name)?;
        let is_foreign = asker.package != target.package_name && package.restrict_access;
        let reason = match access {
            "private" if asker.group.is_none() || asker.group != target.group => match &target.group {
                Some(group) => format!("it is private to the group `{group}`"),
                None => "it is private, and belongs to no group".to_string(),
            },
            "private" | "protected" if is_foreign => format!("it is {access} in the package `{}`", target.package_name),
            _ => return None,
        };
        let message = format!("`{}` may not refer to `{}`: {reason}", asker.name, target.name);
        Some(Diagnostic::error("ref-not-allowed", message).at(self.place_of(asker, "ref", &target.name)))
    }

    fn missing_ref(&self, asker: &Asker, args: &RefArgs, found: &Found) -> Diagnostic {
        let version = args.version.as_ref().map(|version| format!(" version {}", str_of(version))).unwrap_or_default();
        let package = args.package.as_ref().map(|package| format!(" in package `{package}`")).unwrap_or_default();
        let what = format!("`{}`{version}{package}", args.name);
        let who = format!("{} `{}`", asker.kind, asker.name);
        let place = self.place_of(asker, "ref", &args.name);
        match found {
            Found::Disabled(id) => {
                let message = format!("{who} refers to {what}, which is disabled");
                missing(asker, "ref-disabled", message).at(place).help(format!("enable `{id}` or remove the reference"))
            }
            Found::Ambiguous(ids) => {
                let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
                Diagnostic::error("ref-ambiguous", format!("{who} refers to {what}, which more than one package has"))
                    .at(place)
                    .help(format!("name the package: {}", ids.join(", ")))
            }
            _ => missing(asker, "ref-not-found", format!("{who} refers to {what}, which does not exist"))
                .at(place)
                .suggest(&args.name, self.refs.names()),
        }
    }
}

/// A test without its target is switched off with a warning; anything else cannot be built.
fn missing(asker: &Asker, code: &'static str, message: String) -> Diagnostic {
    if asker.kind == ResourceType::Test { Diagnostic::warning(code, message) } else { Diagnostic::error(code, message) }
}

fn missing_source(asker: &Asker, name: &str, found: &Found, sources: &SourceLookup) -> Diagnostic {
    let who = format!("{} `{}`", asker.kind, asker.name);
    match found {
        Found::Disabled(id) => missing(asker, "source-disabled", format!("{who} reads the source `{name}`, which is disabled"))
            .help(format!("enable `{id}` or remove the call")),
        _ => missing(asker, "source-not-found", format!("{who} reads the source `{name}`, which does not exist"))
            .suggest(name, sources.names()),
    }
}

fn add(depends_on: &mut DependsOn, targets: Vec<UniqueId>) {
    let mut known: std::collections::HashSet<UniqueId> = depends_on.nodes.iter().cloned().collect();
    for id in targets {
        if known.insert(id.clone()) {
            depends_on.nodes.push(id);
        }
    }
}
