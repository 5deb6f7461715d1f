//! Where a node lives: database, schema and alias, by the project's `generate_…_name` macros or dbt's own rules.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::diagnostic::Outcome;
use crate::jinja::{Jinja, MacroCall};
use crate::manifest::Node;
use crate::name::{Relation, ResourceType};
use crate::parse::python_text::str_of;
use crate::parse::{MacroLookup, NodeIdentity, ParseScope, value_of};
use crate::project::Project;

/// What of a relation's name a macro may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Database,
    Schema,
    Alias,
}

impl Part {
    const ALL: [Self; 3] = [Self::Database, Self::Schema, Self::Alias];

    fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Alias => "alias",
        }
    }
}

/// What naming needs to know besides the node.
pub(crate) struct Naming<'a> {
    pub project: &'a Arc<Project>,
    pub jinja: &'a Jinja,
    pub deciding: &'a Deciding,
}

/// The package whose macro decides a part of the names of a package's nodes, where it is not the built-in one.
#[derive(Default)]
pub(crate) struct Deciding {
    by_package: HashMap<String, [Option<String>; 3]>,
    /// For nodes of packages that the project does not list.
    others: [Option<String>; 3],
}

impl Deciding {
    pub fn new(project: &Project, macros: &MacroLookup) -> Self {
        let of = |package: &str| Part::ALL.map(|part| overriding(part, package, project, macros));
        let packages = project.packages.iter().map(|package| package.name.as_str());
        Self { by_package: packages.map(|package| (package.to_string(), of(package))).collect(), others: of(&project.name) }
    }

    fn package(&self, part: Part, package: &str) -> Option<&str> {
        self.by_package.get(package).unwrap_or(&self.others)[part as usize].as_deref()
    }
}

impl Naming<'_> {
    /// Sets the node's database, schema, alias and relation name from its config.
    pub fn name(&self, node: &mut Node) -> Outcome<()> {
        let custom = |key: &str| node.config.get(key).filter(|value| !value.is_null()).cloned();
        let (database, schema, alias) = (custom("database"), custom("schema"), custom("alias"));
        node.database = self.part(Part::Database, database, node)?;
        node.schema = self.part(Part::Schema, schema, node)?;
        node.alias = self.part(Part::Alias, alias, node)?.unwrap_or_else(|| node.name.clone());
        if node.resource_type == ResourceType::Snapshot {
            for (key, part) in [("target_database", &mut node.database), ("target_schema", &mut node.schema)] {
                if let Some(Json::String(text)) = node.config.get(key)
                    && !text.is_empty()
                {
                    *part = Some(text.clone());
                }
            }
        }
        node.relation_name = is_relational(node).then(|| render(&node.relation(), &self.project.packages[0].quoting));
        Ok(())
    }

    fn part(&self, part: Part, custom: Option<Json>, node: &Node) -> Outcome<Option<String>> {
        match self.deciding.package(part, &node.package_name) {
            None => Ok(self.standard(part, custom.as_ref(), node)),
            Some(package) => self.call(part, package, custom, node),
        }
    }

    /// dbt's own rules, for projects that do not override them.
    fn standard(&self, part: Part, custom: Option<&Json>, node: &Node) -> Option<String> {
        let custom = custom.map(|value| str_of(value).trim().to_string());
        let target = &self.project.target;
        match part {
            Part::Database => Some(custom.unwrap_or_else(|| target.database.clone())),
            Part::Schema => Some(match custom {
                Some(custom) => format!("{}_{custom}", target.schema),
                None => target.schema.clone(),
            }),
            Part::Alias => {
                let version = node.model.as_ref().and_then(|model| model.version.as_ref());
                Some(match (custom.filter(|alias| !alias.is_empty()), version) {
                    (Some(alias), _) => alias,
                    (None, Some(version)) => format!("{}_v{}", node.name, str_of(version).replace('.', "_")),
                    (None, None) => node.name.clone(),
                })
            }
        }
    }

    fn call(&self, part: Part, package: &str, custom: Option<Json>, node: &Node) -> Outcome<Option<String>> {
        let name = format!("generate_{}_name", part.word());
        // The arguments go by place, so a project's macro may give them other names.
        let args = [value_of(&custom.unwrap_or_default()), value_of(&as_dict(node))];
        let scope = Arc::new(ParseScope::new(self.project.clone(), identity(node)));
        let call = MacroCall { name: &name, package: Some(package), args: &args, kwargs: &[] };
        let value = self.jinja.call_macro(&call, scope)?;
        if value.is_none() || value.is_undefined() {
            return Ok(None);
        }
        Ok(Some(value.to_string().trim().to_string()))
    }
}

/// The package whose macro decides, if it is not the built-in one: the node's own, else the root project.
fn overriding(part: Part, package: &str, project: &Project, macros: &MacroLookup) -> Option<String> {
    let name = format!("generate_{}_name", part.word());
    let root = project.name.as_str();
    let by_name = [package, root].into_iter().find(|package| macros.in_package(package, &name).is_some());
    if let Some(package) = by_name {
        return Some(package.to_string());
    }
    let dispatched = ["default", project.target.adapter_type.as_str()]
        .iter()
        .any(|prefix| macros.in_package(root, &format!("{prefix}__{name}")).is_some());
    dispatched.then(|| "dbt".to_string())
}

/// What a template may know of the node.
pub(crate) fn identity(node: &Node) -> NodeIdentity {
    NodeIdentity {
        unique_id: node.unique_id.clone(),
        resource_type: node.resource_type,
        name: node.name.clone(),
        package: node.package_name.clone(),
        path: node.path.clone(),
        original_file_path: node.original_file_path.clone(),
        fqn: node.fqn.clone(),
        raw_code: node.raw_code.clone(),
        relation: node.relation(),
    }
}

/// The node as the dictionary that name macros read (`node.name`, `node.config`, `node.fqn` …).
fn as_dict(node: &Node) -> Json {
    let (version, latest) =
        node.model.as_ref().map_or((None, None), |model| (model.version.clone(), model.latest_version.clone()));
    json!({
        "unique_id": node.unique_id,
        "resource_type": node.resource_type,
        "name": node.name,
        "package_name": node.package_name,
        "path": node.path,
        "original_file_path": node.original_file_path,
        "fqn": node.fqn,
        "alias": node.alias,
        "database": node.database,
        "schema": node.schema,
        "config": node.config,
        "unrendered_config": node.unrendered_config,
        "tags": node.tags,
        "meta": node.meta,
        "description": node.description,
        "raw_code": node.raw_code,
        "language": node.language,
        "version": version,
        "latest_version": latest,
        "group": node.group,
        "access": node.model.as_ref().map(|model| model.access.clone()),
        "checksum": node.checksum,
        "docs": node.docs,
        "patch_path": node.patch_path,
    })
}

/// Whether dbt gives the node a relation name.
fn is_relational(node: &Node) -> bool {
    match node.resource_type {
        ResourceType::Model => !node.is_ephemeral(),
        ResourceType::Seed | ResourceType::Snapshot | ResourceType::Function => true,
        ResourceType::Test => node.config_bool("store_failures").unwrap_or(false),
        _ => false,
    }
}

/// The relation as SQL writes it under a quoting policy: parts are quoted unless the policy says `false`.
pub(crate) fn render(relation: &Relation, quoting: &crate::manifest::JsonMap) -> String {
    let quoted = |key: &str, name: &str| match quoting.get(key) {
        Some(Json::Bool(false)) => name.to_string(),
        _ => crate::name::quote_identifier(name),
    };
    let parts = [
        relation.database.as_deref().map(|name| quoted("database", name)),
        relation.schema.as_deref().map(|name| quoted("schema", name)),
        Some(quoted("identifier", &relation.identifier)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(".")
}
