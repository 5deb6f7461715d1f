//! `deps --add-package`: one more entry in `packages.yml`. The file is edited, not written anew, so that comments stay.

use std::path::Path;

use super::list;
use crate::diagnostic::{Diagnostic, Outcome};
use crate::event::{Event, EventSink};
use crate::project::yaml::Yaml;
use crate::project::{LoadOptions, project_root};
use crate::world::World;

/// Where an added package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedFrom {
    Hub,
    Git,
    Local,
}

/// What to add: `name@version`.
#[derive(Clone, Debug)]
pub struct Addition {
    pub name: String,
    /// Several bounds are separated by commas.
    pub version: Option<String>,
    pub from: AddedFrom,
}

impl Addition {
    /// Reads `name@version`. In a Git address only what follows the last `@` beyond the host is a version.
    pub fn parse(text: &str, from: AddedFrom) -> Outcome<Self> {
        let (name, version) = match text.rsplit_once('@') {
            Some((name, version)) if !version.contains(['/', ':']) => (name, Some(version.to_string())),
            _ => (text, None),
        };
        if from == AddedFrom::Hub && version.is_none() {
            return Diagnostic::error("bad-argument", format!("`--add-package {text}` names no version"))
                .help("a package of the hub needs one: `--add-package dbt-labs/dbt_utils@1.3.0`")
                .fail();
        }
        Ok(Self { name: name.to_string(), version, from })
    }

    fn entry(&self) -> String {
        let (kind, version) = match self.from {
            AddedFrom::Hub => ("package", "version"),
            AddedFrom::Git => ("git", "revision"),
            AddedFrom::Local => ("local", "version"),
        };
        let mut entry = format!("  - {kind}: {}\n", quoted(&self.name));
        match self.version.as_deref().map(|version| version.split(',').map(quoted).collect::<Vec<_>>()) {
            Some(one) if one.len() == 1 && self.from != AddedFrom::Local => entry += &format!("    {version}: {}\n", one[0]),
            Some(many) if self.from != AddedFrom::Local => entry += &format!("    {version}: [{}]\n", many.join(", ")),
            _ => {}
        }
        entry
    }
}

/// JSON's quotes are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.trim()).to_string()
}

/// Adds the package to the project's list; an entry for the same package goes away.
///
/// # Errors
/// A file that cannot be read or written, or is no list of packages.
pub fn add(world: &dyn World, options: &LoadOptions, addition: &Addition, events: &dyn EventSink) -> Outcome<()> {
    let say = |text: String| events.emit(Event::Message { text, info: true });
    let root = project_root(world, options)?;
    let file = if world.exists(&root.join("dependencies.yml")) && !world.exists(&root.join("packages.yml")) {
        "dependencies.yml"
    } else {
        "packages.yml"
    };
    let path = root.join(file);
    if !world.exists(&path) {
        write(&path, "packages:\n")?;
        say(format!("Created {file}"));
    }
    let yaml = list::read(world, &root, file)?;
    let bytes = world.read(&path).map_err(|error| super::io(&format!("{file} cannot be read"), &error))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let edited = edit(&text, yaml.as_ref(), addition, &say)?;
    write(&path, &edited)?;
    let version = addition.version.as_deref().unwrap_or("None");
    say(format!("Added new package {}@{version} to {}", addition.name, path.display()));
    Ok(())
}

fn edit(text: &str, yaml: Option<&Yaml>, addition: &Addition, say: &dyn Fn(String)) -> Outcome<String> {
    let packages = yaml.and_then(|yaml| yaml.get("packages"));
    let items = packages.and_then(Yaml::as_sequence).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = items.iter().map(|item| item_line(&lines, item)).collect();
    let own_line = |index: usize| lines.get(starts[index]).is_some_and(|line| line.trim_start().starts_with("- "));
    if !(0..items.len()).all(own_line) {
        return Diagnostic::error("packages-value", "the list is written in one line, so that nothing can be added to it")
            .help("write each package as an entry of its own: `- package: org/name`")
            .fail();
    }
    let end = starts.last().map_or_else(|| key_line(&lines) + 1, |start| end_of(&lines, *start));
    let mut kept: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate().take(end) {
        let owner = starts.iter().rposition(|start| *start <= index);
        let goes = owner.is_some_and(|owner| index < end_of(&lines, starts[owner]) && same_package(&items[owner], addition));
        if !goes {
            kept.push((*line).to_string());
        } else if starts.contains(&index) {
            say(format!("Found duplicate package in packages.yml, removing: {}", line.trim_start().trim_start_matches("- ")));
        }
    }
    if kept.is_empty() || (items.is_empty() && packages.is_none()) {
        kept.push("packages:".to_string());
    } else if items.is_empty() {
        // `packages: []` and `packages:` alike.
        kept.pop();
        kept.push("packages:".to_string());
    }
    let indent = starts.first().and_then(|start| lines[*start].find('-')).unwrap_or(2);
    let entry: Vec<String> = addition
        .entry()
        .lines()
        .map(|line| format!("{}{}", " ".repeat(indent), line.strip_prefix("  ").unwrap_or(line)))
        .collect();
    kept.extend(entry);
    kept.extend(lines.iter().skip(end).map(|line| (*line).to_string()));
    Ok(kept.join("\n") + "\n")
}

/// The line, from 0, on which an entry begins: that of its dash.
fn item_line(lines: &[&str], item: &Yaml) -> usize {
    let line = (item.location.line as usize).saturating_sub(1);
    let dashed = |index: &usize| lines.get(*index).is_some_and(|line| line.trim_start().starts_with('-'));
    (0..=line).rev().find(dashed).unwrap_or(line)
}

fn key_line(lines: &[&str]) -> usize {
    lines.iter().position(|line| line.starts_with("packages:")).unwrap_or_else(|| lines.len().saturating_sub(1))
}

/// One past an entry's last line: the lines that follow deeper than its dash.
fn end_of(lines: &[&str], start: usize) -> usize {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let own = lines.get(start).map_or(0, |line| depth(line));
    let deeper = |line: &&&str| !line.trim().is_empty() && depth(line) > own && !line.trim_start().starts_with('#');
    start + 1 + lines.iter().skip(start + 1).take_while(|line| deeper(line)).count()
}

/// Whether an entry names the package, whatever its source: hyphens and underscores are alike, as is a trailing `.git`.
fn same_package(item: &Yaml, addition: &Addition) -> bool {
    let short = |text: &str| {
        let last = text.trim_end_matches('/').trim_end_matches(".git").rsplit('/').next().unwrap_or_default();
        last.replace('-', "_").to_lowercase()
    };
    let named = ["package", "git", "local", "tarball"].iter().find_map(|key| item.get(key)?.as_str());
    named.is_some_and(|named| short(named) == short(&addition.name))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    std::fs::write(path, text).map_err(|error| super::io(&format!("{} cannot be written", path.display()), &error))
}
