//! Descriptions: `{{ doc('…') }}` and other Jinja in them, rendered once everything is known.

use std::sync::{Arc, LazyLock};

use minijinja::Value;
use regex::Regex;

use crate::diagnostic::{Diagnostic, Outcome};
use crate::jinja::TemplateText;
use crate::manifest::Doc;
use crate::name::{Relation, ResourceType, UniqueId};
use crate::parse::{NodeIdentity, ParseScope};
use crate::source::Location;

use super::Resolver;
use super::lookup::{find_doc, packages_to_search};

/// `{{ doc('name') }}` and `{{ doc("package", "name") }}`.
static DOC_CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\{\{-?\s*doc\(\s*(?:['"]([^'"]*)['"]\s*,\s*)?['"]([^'"]*)['"]\s*\)\s*-?\}\}"#).expect("the pattern is valid")
});

/// Whose description it is.
struct Owner<'a> {
    id: &'a UniqueId,
    package: &'a str,
    location: &'a Location,
}

impl Resolver<'_> {
    /// The text a docs site opens with where the project has none of its own, under dbt's name for it.
    pub(super) fn add_overview(&mut self) {
        let unique_id = UniqueId::from("doc.dbt.__overview__");
        self.manifest.docs.entry(unique_id.clone()).or_insert_with(|| Doc {
            name: "__overview__".to_string(),
            resource_type: "doc".to_string(),
            package_name: "dbt".to_string(),
            path: "overview.md".to_string(),
            original_file_path: "docs/overview.md".to_string(),
            unique_id,
            block_contents: "### What this project holds\n\nPick a model on the left, or follow the lineage.".to_string(),
        });
    }

    /// Renders all descriptions and notes which docs blocks they use.
    pub(super) fn render_descriptions(&mut self) {
        self.describe_nodes();
        self.describe_sources();
        let mut macros = std::mem::take(&mut self.macro_descriptions());
        for (id, description, arguments) in macros.drain(..) {
            if let Some(found) = self.manifest.macros.get_mut(&id) {
                found.description = description;
                found.arguments = arguments;
            }
        }
        let mut exposures = std::mem::take(&mut self.manifest.exposures);
        for exposure in exposures.values_mut() {
            let owner = Owner { id: &exposure.unique_id, package: &exposure.package_name, location: &exposure.location };
            let (text, _) = self.described(&exposure.description, &owner);
            exposure.description = text;
        }
        self.manifest.exposures = exposures;
    }

    fn describe_nodes(&mut self) {
        let mut nodes = std::mem::take(&mut self.manifest.nodes);
        for node in nodes.values_mut() {
            let owner = Owner { id: &node.unique_id, package: &node.package_name, location: &node.location };
            let (text, blocks) = self.described(&node.description, &owner);
            for column in node.columns.values_mut() {
                (column.description, column.doc_blocks) = self.described(&column.description, &owner);
            }
            (node.description, node.doc_blocks) = (text, blocks);
        }
        self.manifest.nodes = nodes;
    }

    fn describe_sources(&mut self) {
        let mut sources = std::mem::take(&mut self.manifest.sources);
        for source in sources.values_mut() {
            let owner = Owner { id: &source.unique_id, package: &source.package_name, location: &source.location };
            let (text, blocks) = self.described(&source.description, &owner);
            let (above, _) = self.described(&source.source_description, &owner);
            for column in source.columns.values_mut() {
                (column.description, column.doc_blocks) = self.described(&column.description, &owner);
            }
            (source.description, source.doc_blocks, source.source_description) = (text, blocks, above);
        }
        self.manifest.sources = sources;
    }

    fn macro_descriptions(&mut self) -> Vec<(UniqueId, String, Vec<serde_json::Value>)> {
        let patched: Vec<_> = self.manifest.macros.values().filter(|found| found.patch_path.is_some()).cloned().collect();
        let mut described = Vec::with_capacity(patched.len());
        for found in patched {
            let owner = Owner { id: &found.unique_id, package: &found.package_name, location: &found.location };
            let (text, _) = self.described(&found.description, &owner);
            let mut arguments = found.arguments.clone();
            for argument in &mut arguments {
                let given = argument["description"].as_str().unwrap_or_default().to_string();
                argument["description"] = serde_json::Value::String(self.described(&given, &owner).0);
            }
            described.push((found.unique_id.clone(), text, arguments));
        }
        described
    }

    fn described(&mut self, description: &str, owner: &Owner<'_>) -> (String, Vec<String>) {
        if !description.contains("{{") && !description.contains("{%") {
            return (description.to_string(), Vec::new());
        }
        let outcome = self.describe(description, owner);
        crate::parse::keep(outcome, &mut self.diagnostics).unwrap_or_else(|| (description.to_string(), Vec::new()))
    }

    fn describe(&self, description: &str, owner: &Owner<'_>) -> Outcome<(String, Vec<String>)> {
        let mut blocks = Vec::new();
        let mut text = String::with_capacity(description.len());
        let mut at = 0;
        for call in DOC_CALL.captures_iter(description) {
            let Some(whole) = call.get(0) else { continue };
            let (id, contents) = self.doc(call.get(1).map(|package| package.as_str()), &call[2], owner)?;
            blocks.push(id.to_string());
            text.push_str(&description[at..whole.start()]);
            text.push_str(&contents);
            at = whole.end();
        }
        let rest = &description[at..];
        let others = DOC_CALL.replace_all(description, "");
        if others.contains("{{") || others.contains("{%") {
            return Ok((self.rendered(description, owner)?, blocks));
        }
        text.push_str(rest.strip_suffix('\n').unwrap_or(rest));
        Ok((text, blocks))
    }

    fn doc(&self, package: Option<&str>, name: &str, owner: &Owner<'_>) -> Outcome<(UniqueId, String)> {
        let searched = packages_to_search(&self.project.name, owner.package, package);
        match find_doc(&self.manifest, name, &searched).and_then(|id| self.manifest.docs.get(&id)) {
            Some(doc) => Ok((doc.unique_id.clone(), doc.block_contents.clone())),
            None => {
                Diagnostic::error("doc-not-found", format!("`{}` uses the docs block `{name}`, which does not exist", owner.id))
                    .at(owner.location.clone())
                    .help("a docs block is `{% docs name %}` in a Markdown file")
                    .suggest(name, self.manifest.docs.values().map(|doc| doc.name.as_str()))
                    .fail()
            }
        }
    }

    /// Any other Jinja in a description: rendered in full, with `doc` in its context.
    fn rendered(&self, description: &str, owner: &Owner<'_>) -> Outcome<String> {
        let identity = NodeIdentity {
            unique_id: owner.id.clone(),
            resource_type: ResourceType::Doc,
            name: owner.id.to_string(),
            package: owner.package.to_string(),
            path: String::new(),
            original_file_path: String::new(),
            fqn: Vec::new(),
            raw_code: String::new(),
            relation: Relation::new(None, None, owner.id.as_str()),
        };
        let docs: Vec<(String, String, String)> = self
            .manifest
            .docs
            .values()
            .map(|doc| (doc.package_name.clone(), doc.name.clone(), doc.block_contents.clone()))
            .collect();
        let doc = Value::from_function(move |first: String, second: Option<String>| {
            let found = match &second {
                Some(name) => docs.iter().find(|(package, other, _)| *package == first && other == name),
                None => docs.iter().find(|(_, other, _)| *other == first),
            };
            found.map(|(_, _, contents)| contents.clone()).ok_or_else(|| {
                let message = format!("there is no docs block `{}`", second.unwrap_or(first));
                minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message)
            })
        });
        let scope = ParseScope::new(self.shared.clone(), identity).with("doc", doc);
        let text = TemplateText {
            name: format!("the description of {}", owner.id),
            source: description.to_string(),
            location: owner.location.clone(),
        };
        self.jinja.render(&text, Arc::new(scope))
    }
}
