//! One entry of a package list, as written and rendered; and the hash by which a lock file knows the list it was made from.

use serde_json::{Map, Value as Json, json};
use sha1::{Digest, Sha1};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::project::BaseContext;
use crate::project::yaml::Yaml;
use crate::source::Location;

/// One entry of `packages:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub kind: Kind,
    /// `name:`, which lock files and archives have.
    pub name: Option<String>,
    pub location: Location,
    /// The entry rendered, and as it is written: secrets are only in the first.
    rendered: JsonMap,
    unrendered: JsonMap,
}

/// Where a package comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `package: org/name` of the hub, with its version constraints.
    Hub { package: String, versions: Vec<String>, prerelease: bool },
    /// `git: address`. `shown` is the address before secrets were put in.
    Git { url: String, shown: String, revision: Option<String>, warn_unpinned: bool, subdirectory: Option<String> },
    /// `tarball: address`, with the `name` it needs.
    Tarball { url: String, shown: String },
    /// `local: path`, from the project's folder.
    Local { path: String },
}

const KINDS: [&str; 5] = ["package", "git", "tarball", "local", "private"];
const KEYS: [&str; 12] = [
    "package",
    "git",
    "tarball",
    "local",
    "private",
    "version",
    "revision",
    "install_prerelease",
    "install-prerelease",
    "name",
    "subdirectory",
    "warn-unpinned",
];

/// Reads one entry; `dependencies.yml` is not rendered.
pub fn read(item: &Yaml, context: &BaseContext<'_>, rendered: bool) -> Outcome<Spec> {
    let location = item.location.clone();
    let Json::Object(unrendered) = item.to_json() else {
        return malformed("an entry of `packages` is a mapping", &location);
    };
    let value = if rendered { context.render_yaml(item, &|_| false)? } else { Json::Object(unrendered.clone()) };
    let entry = value.as_object().cloned().unwrap_or_default();
    let written: Vec<&str> = KINDS.iter().copied().filter(|kind| entry.contains_key(*kind)).collect();
    let [kind] = written[..] else {
        return malformed("an entry of `packages` names one package", &location);
    };
    let text = |key: &str| entry.get(key).and_then(plain_text).filter(|text| !text.is_empty());
    let Some(place) = text(kind) else {
        return malformed(&format!("`{kind}` has no value"), &location);
    };
    let location = item.get(kind).map_or(location, |value| value.location.clone());
    check_keys(item)?;
    let shown = unrendered.get(kind).and_then(plain_text).unwrap_or_default();
    let name = text("name");
    let kind = match kind {
        "package" => hub(place, &entry, &location)?,
        "git" => Kind::Git {
            url: place,
            shown,
            revision: text("revision"),
            warn_unpinned: entry.get("warn-unpinned").or_else(|| entry.get("warn_unpinned")).and_then(Json::as_bool)
                != Some(false),
            subdirectory: text("subdirectory"),
        },
        "tarball" if name.is_none() => return malformed("a `tarball` package needs a `name`", &location),
        "tarball" => Kind::Tarball { url: place, shown },
        "local" => Kind::Local { path: place },
        _ => {
            return Diagnostic::error("private-package", format!("`private: {place}` can only be resolved by dbt's platform"))
                .at(location)
                .help("give the repository's address with `git:`, where your own git credentials apply")
                .fail();
        }
    };
    Ok(Spec { kind, name, location, rendered: entry, unrendered })
}

fn hub(package: String, entry: &JsonMap, location: &Location) -> Outcome<Kind> {
    if !package.contains('/') {
        return malformed(&format!("`{package}` has no namespace: packages of the hub have one, `dbt-labs/dbt_utils`"), location);
    }
    let versions = match entry.get("version") {
        Some(Json::Array(items)) => items.iter().filter_map(plain_text).collect(),
        Some(value) => plain_text(value).into_iter().filter(|text| !text.is_empty()).collect(),
        None => Vec::new(),
    };
    if versions.is_empty() {
        return malformed(&format!("`{package}` has no `version`, which packages of the hub need"), location);
    }
    let prerelease = ["install_prerelease", "install-prerelease"].iter().any(|key| entry.get(*key) == Some(&Json::Bool(true)));
    Ok(Kind::Hub { package, versions, prerelease })
}

fn check_keys(item: &Yaml) -> Outcome<()> {
    let known = |key: &str| KEYS.contains(&key) || matches!(key, "warn_unpinned" | "provider" | "unrendered");
    let Some((key, _)) = item.entries().find(|(key, _)| !known(key)) else { return Ok(()) };
    Diagnostic::error("packages-value", format!("`{key}` is no key of a package"))
        .at(item.key_location(key).unwrap_or(&item.location).clone())
        .suggest(key, KEYS)
        .fail()
}

fn malformed<T>(what: &str, location: &Location) -> Outcome<T> {
    Diagnostic::error("packages-value", what)
        .at(location.clone())
        .help("it has one of the keys `package` (with `version`), `git`, `tarball` (with `name`) or `local`")
        .fail()
}

/// Text, or a number as it would be written: `version: 1.0`.
fn plain_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// dbt's `sha1_hash` of a list: of each entry's fields as sorted JSON, sorted and joined by line ends.
pub fn hash(specs: &[Spec]) -> String {
    let mut entries: Vec<String> = specs.iter().map(|spec| python_json(&Json::Object(fields(spec)))).collect();
    entries.sort();
    let digest = Sha1::digest(entries.join("\n").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry's fields as dbt's classes have them: absent ones with their defaults, `name` only where it is given.
fn fields(spec: &Spec) -> JsonMap {
    let get = |key: &str| spec.rendered.get(key).cloned().unwrap_or(Json::Null);
    let mut fields = Map::new();
    match &spec.kind {
        Kind::Hub { prerelease, .. } => {
            fields.extend([("package".into(), get("package")), ("version".into(), get("version"))]);
            fields.insert("install_prerelease".into(), json!(prerelease));
        }
        Kind::Git { .. } => {
            for key in ["git", "revision", "subdirectory", "warn-unpinned"] {
                fields.insert(key.into(), get(key));
            }
        }
        Kind::Tarball { .. } => _ = fields.insert("tarball".into(), get("tarball")),
        Kind::Local { .. } => _ = fields.insert("local".into(), get("local")),
    }
    if let Some(name) = &spec.name {
        fields.insert("name".into(), json!(name));
    }
    fields.insert("unrendered".into(), Json::Object(spec.unrendered.clone()));
    fields
}

/// JSON as Python writes it with sorted keys: a blank after `,` and `:`, everything beyond ASCII escaped.
fn python_json(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let pairs: Vec<String> =
                keys.iter().map(|key| format!("{}: {}", ascii_json(&json!(key)), python_json(&map[key.as_str()]))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        scalar => ascii_json(scalar),
    }
}

fn ascii_json(scalar: &Json) -> String {
    let mut text = String::new();
    for letter in scalar.to_string().chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
