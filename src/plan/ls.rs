//! The lines of `ls`.

use std::io;

use indexmap::IndexSet;
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::ser::{Formatter, Serializer};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::graph::Member;
use crate::manifest::{JsonMap, Manifest};
use crate::name::{ResourceType, UniqueId};

/// How `ls` writes a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LsOutput {
    /// What `--select` finds it by: `shop.marts.orders`, `source:shop.raw.users`, `exposure:shop.weekly`.
    #[default]
    Selector,
    /// `orders`, `orders.v2`, `raw.users`.
    Name,
    /// `models/marts/orders.sql`.
    Path,
    /// One JSON object a line.
    Json,
}

impl LsOutput {
    const NAMES: [&'static str; 4] = ["selector", "name", "path", "json"];

    /// Reads the value of `--output`.
    pub fn parse(text: &str) -> Outcome<Self> {
        match text {
            "selector" => Ok(Self::Selector),
            "name" => Ok(Self::Name),
            "path" => Ok(Self::Path),
            "json" => Ok(Self::Json),
            other => Diagnostic::error("ls-output-unknown", format!("`{other}` is not an output of `ls`"))
                .help("expected `selector`, `name`, `path` or `json`")
                .suggest(other, Self::NAMES)
                .fail(),
        }
    }
}

/// The keys of the JSON form where none are asked for, as dbt has them.
const DEFAULT_KEYS: [&str; 11] = [
    "alias",
    "name",
    "package_name",
    "depends_on",
    "direct_parents",
    "tags",
    "config",
    "resource_type",
    "source_name",
    "original_file_path",
    "unique_id",
];

/// One line for each selected resource, in the order of their ids. `keys` (`--output-keys`) are for the JSON form: keys of the
/// manifest's entry, with dots to reach inside (`config.materialized`); unknown ones are left out.
pub fn ls(manifest: &Manifest, selected: &IndexSet<UniqueId>, output: LsOutput, keys: &[String]) -> Vec<String> {
    let mut ids: Vec<&UniqueId> = selected.iter().collect();
    ids.sort_unstable();
    let members = ids.into_iter().filter_map(|id| Member::find(manifest, id));
    members
        .map(|member| match output {
            LsOutput::Selector => selector(&member),
            LsOutput::Name => member.search_name(),
            LsOutput::Path => member.original_file_path().to_string(),
            LsOutput::Json => spaced(&object(&member, keys)),
        })
        .collect()
}

fn selector(member: &Member<'_>) -> String {
    let (package, name) = (member.package_name(), member.name());
    match member {
        Member::Node(_) => member.fqn().join("."),
        Member::Source(source) => format!("source:{package}.{}.{name}", source.source_name),
        Member::Exposure(_) => format!("exposure:{package}.{name}"),
        Member::Other(other) => {
            // A unit test of one version of a model carries that version in its name.
            let version = other.json.get("version").filter(|version| !version.is_null());
            let version = version.map(|version| format!("_v{}", version.to_string().trim_matches('"')));
            format!("{}:{package}.{name}{}", member.resource_type(), version.unwrap_or_default())
        }
    }
}

fn object(member: &Member<'_>, keys: &[String]) -> JsonMap {
    let mut whole = whole(member);
    if let (Member::Node(node), ResourceType::Model) = (member, member.resource_type()) {
        let parents = node.depends_on.nodes.iter().map(|id| Json::from(id.as_str())).collect();
        whole.insert("direct_parents".to_string(), Json::Array(parents));
    }
    if let Member::Node(node) = member
        && let Some(lineage) = node.lineage.as_deref().and_then(|lineage| serde_json::to_value(lineage).ok())
    {
        whole.insert("column_lineage".to_string(), lineage);
    }
    if keys.is_empty() {
        whole.retain(|key, _| DEFAULT_KEYS.contains(&key.as_str()));
        return whole;
    }
    keys.iter().filter_map(|key| Some((key.clone(), asked_for(&whole, key)?))).collect()
}

/// The manifest's entry of the resource.
fn whole(member: &Member<'_>) -> JsonMap {
    let entry = match member {
        Member::Node(node) => serde_json::to_value(node),
        Member::Source(source) => serde_json::to_value(source),
        Member::Exposure(exposure) => serde_json::to_value(exposure),
        Member::Other(other) => return other.json.clone(),
    };
    match entry {
        Ok(Json::Object(entry)) => entry,
        _ => unreachable!("a resource is written as an object with text keys"),
    }
}

/// A key's value; one with dots is left out where nothing or null stands there, as in dbt.
fn asked_for(whole: &JsonMap, key: &str) -> Option<Json> {
    let Some((first, rest)) = key.split_once('.') else { return whole.get(key).cloned() };
    let inside = rest.split('.').try_fold(whole.get(first)?, |value, key| value.get(key))?;
    (!inside.is_null()).then(|| inside.clone())
}

/// JSON on one line with a space after `,` and `:`, as Python writes it.
fn spaced(object: &JsonMap) -> String {
    let mut line = Vec::new();
    object
        .serialize(&mut Serializer::with_formatter(&mut line, Spaced))
        .expect("an object with text keys can be written to memory");
    String::from_utf8(line).expect("JSON is UTF-8")
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
