//! YAML with places: every value knows its line and column. Scalars resolve as PyYAML's safe loader resolves them (YAML 1.1).

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::Value as Json;

use super::scalar;
use super::yaml_1_1::{self, Rewritten};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::JsonMap;
use crate::source::Location;

/// Values nested deeper than this are refused: no real project comes near, and later stages walk values recursively.
const MAX_DEPTH: usize = 128;
/// How many values aliases and anchors may copy in one file, against documents made to explode ("billion laughs").
const MAX_COPIED_VALUES: usize = 1_000_000;

/// A value and where it begins; of a block scalar (`|`, `>`) that is its first line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Yaml {
    pub value: YamlValue,
    pub location: Location,
}

#[derive(Clone, Debug, PartialEq)]
pub enum YamlValue {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// Text, and dates, which dbt keeps as they are written.
    Text(String),
    Sequence(Vec<Yaml>),
    /// Keys in order; each with the place of the key and its value. Of a key given twice the last counts (dbt warns).
    Mapping(Box<YamlMap>),
}

/// Keys that are not text are spelt as JSON spells them (`true`, `null`, `7`), which is how dbt's artifacts show them.
pub type YamlMap = IndexMap<String, (Location, Yaml)>;

impl Yaml {
    pub fn is_null(&self) -> bool {
        matches!(self.value, YamlValue::Null)
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            YamlValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            YamlValue::Boolean(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            YamlValue::Integer(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_sequence(&self) -> Option<&[Yaml]> {
        match &self.value {
            YamlValue::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&YamlMap> {
        match &self.value {
            YamlValue::Mapping(map) => Some(map),
            _ => None,
        }
    }

    /// The value under `key`; none where this is no mapping or has no such key.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        self.as_map()?.get(key).map(|(_, value)| value)
    }

    /// Where `key` itself is written, for messages about the key rather than its value.
    pub fn key_location(&self, key: &str) -> Option<&Location> {
        self.as_map()?.get(key).map(|(location, _)| location)
    }

    /// The keys and values of a mapping, in order; nothing for other kinds.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Yaml)> {
        self.as_map().into_iter().flatten().map(|(key, (_, value))| (key.as_str(), value))
    }

    /// What kind of value it is, with its article, for messages: `a list`, `a mapping`.
    pub fn kind(&self) -> &'static str {
        match self.value {
            YamlValue::Null => "nothing",
            YamlValue::Boolean(_) => "a boolean",
            YamlValue::Integer(_) | YamlValue::Float(_) => "a number",
            YamlValue::Text(_) => "text",
            YamlValue::Sequence(_) => "a list",
            YamlValue::Mapping(_) => "a mapping",
        }
    }

    /// The same value without its places. Infinities and NaN, which JSON has not, become the texts Python prints for them.
    pub fn to_json(&self) -> Json {
        match &self.value {
            YamlValue::Null => Json::Null,
            YamlValue::Boolean(value) => Json::Bool(*value),
            YamlValue::Integer(value) => Json::from(*value),
            YamlValue::Float(value) => float_json(*value),
            YamlValue::Text(text) => Json::String(text.clone()),
            YamlValue::Sequence(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            YamlValue::Mapping(_) => Json::Object(self.to_json_map().unwrap_or_default()),
        }
    }

    /// A mapping as a JSON object; none for other kinds.
    pub fn to_json_map(&self) -> Option<JsonMap> {
        let map = self.as_map()?;
        Some(map.iter().map(|(key, (_, value))| (key.clone(), value.to_json())).collect())
    }
}

fn float_json(value: f64) -> Json {
    let spelt = || Json::String(format!("{value}").to_lowercase());
    serde_json::Number::from_f64(value).map_or_else(spelt, Json::Number)
}

/// Reads one YAML document. `path` is what its places name; an empty text is [`YamlValue::Null`].
///
/// # Errors
/// `yaml-syntax` where the text is no YAML, `yaml-alias`, `yaml-key`, `yaml-merge` and `yaml-tag` where PyYAML's safe loader
/// refuses it, `yaml-too-deep` and `yaml-too-large` beyond the limits. The warnings beside the value are `duplicate-yaml-key`.
pub fn parse(text: &str, path: &str) -> Outcome<(Yaml, Vec<Diagnostic>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    refuse_control_characters(text, path)?;
    match compose(text, Composer::new(path, text, HashMap::new()))? {
        Composed::Whole(root, warnings) => Ok((root, warnings)),
        Composed::Refused(_) => {
            let Rewritten { text, shifts } = yaml_1_1::rewrite(text);
            match compose(&text, Composer::new(path, &text, shifts))? {
                Composed::Whole(root, warnings) => Ok((root, warnings)),
                Composed::Refused(error) => Err(error),
            }
        }
    }
}

enum Composed {
    Whole(Yaml, Vec<Diagnostic>),
    /// A form of YAML 1.1 may be the reason.
    Refused(Box<Diagnostic>),
}

fn compose(text: &str, mut composer: Composer) -> Outcome<Composed> {
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => composer.take(event, span)?,
            Err(error) => {
                let old_form =
                    ["invalid indentation", "':' must be followed"].iter().any(|start| error.info().starts_with(start));
                let diagnostic = composer.syntax_error(&error, text);
                return if old_form { Ok(Composed::Refused(Box::new(diagnostic))) } else { diagnostic.fail() };
            }
        }
    }
    let root = composer.root.unwrap_or(Yaml { value: YamlValue::Null, location: Location::new(composer.path, 1, 1) });
    Ok(Composed::Whole(root, composer.warnings))
}

/// PyYAML reads no control characters but tab and line ends, whether quoted or not.
fn refuse_control_characters(text: &str, path: &str) -> Outcome<()> {
    let forbidden = |byte: u8| (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f;
    let Some(index) = text.bytes().position(forbidden) else {
        return Ok(());
    };
    let (line, column) = line_and_column(text, index);
    Diagnostic::error("yaml-syntax", format!("the control character U+{:04X} is not allowed in YAML", text.as_bytes()[index]))
        .at(Location::new(path, line, column))
        .fail()
}

/// A node just finished, with what its parent needs to know of it.
struct Node {
    yaml: Yaml,
    /// Values in it, itself included.
    size: usize,
}

struct Anchored {
    yaml: Yaml,
    size: usize,
}

struct Frame {
    kind: FrameKind,
    location: Location,
    anchor: usize,
    size: usize,
}

enum FrameKind {
    Sequence(Vec<Yaml>),
    Mapping(MappingFrame),
}

#[derive(Default)]
struct MappingFrame {
    entries: YamlMap,
    /// Values of `<<`, in order: entries of later ones win, all of them yield to the mapping's own keys.
    merges: Vec<Yaml>,
    key: Option<Key>,
}

enum Key {
    Merge,
    Named(String, Location),
}

/// Composes values from the parser's events, without recursion.
struct Composer {
    path: Arc<str>,
    /// By how much lines were moved to the right; see [`yaml_1_1`].
    shifts: HashMap<usize, usize>,
    /// The number of characters of a text that does not end with a line end.
    unended: Option<usize>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    copied: usize,
    root: Option<Yaml>,
    warnings: Vec<Diagnostic>,
}

impl Composer {
    fn new(path: &str, text: &str, shifts: HashMap<usize, usize>) -> Self {
        Self {
            path: path.into(),
            shifts,
            unended: (!text.ends_with(['\n', '\r'])).then(|| text.chars().count()),
            frames: Vec::new(),
            anchors: HashMap::new(),
            copied: 0,
            root: None,
            warnings: Vec::new(),
        }
    }

    fn at(&self, marker: Marker) -> Location {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let column = marker.col().saturating_sub(self.shifts.get(&marker.line()).copied().unwrap_or(0));
        Location { path: self.path.clone(), line: number(marker.line()), column: number(column).saturating_add(1) }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Outcome<()> {
        let location = self.at(span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Diagnostic::error("yaml-syntax", "a second YAML document begins here, but one file holds one document")
                    .at(location)
                    .help("remove the `---` line, or move what follows to a file of its own")
                    .fail()
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                if plain && text == "<<" && self.awaits_key() {
                    self.set_key(Key::Merge);
                    return Ok(());
                }
                let text = self.without_added_line_end(&text, style, span);
                let value = self.scalar(text, style, tag.as_deref(), &location)?;
                self.place(Node { yaml: Yaml { value, location }, size: 1 }, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.open(FrameKind::Sequence(Vec::new()), location, anchor, tag.as_deref()),
            Event::MappingStart(anchor, tag) => {
                self.open(FrameKind::Mapping(MappingFrame::default()), location, anchor, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, location),
            _ => Ok(()),
        }
    }

    /// A block scalar that the end of the file ends has no line end that the file has not, as libyaml reads it.
    fn without_added_line_end<'text>(&self, text: &'text str, style: ScalarStyle, span: Span) -> &'text str {
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let at_end = self.unended.is_some_and(|end| span.end.index() >= end);
        if block && at_end { text.strip_suffix('\n').unwrap_or(text) } else { text }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, location: &Location) -> Outcome<YamlValue> {
        let Some(tag) = tag else {
            return Ok(match style {
                ScalarStyle::Plain => scalar::resolve_plain(text),
                _ => YamlValue::Text(text.to_string()),
            });
        };
        let resolved = match standard_tag(tag) {
            Some("") if style == ScalarStyle::Plain => Some(scalar::resolve_plain(text)),
            Some("" | "str" | "binary" | "timestamp") => Some(YamlValue::Text(text.to_string())),
            Some("null") => Some(YamlValue::Null),
            Some("bool") => scalar::word(text).filter(|value| *value != YamlValue::Null),
            Some("int") => scalar::number(text).filter(|value| matches!(value, YamlValue::Integer(_))),
            Some("float") => match scalar::number(text) {
                Some(YamlValue::Integer(value)) => Some(YamlValue::Float(value as f64)),
                other => other,
            },
            _ => return unknown_tag(tag, location),
        };
        match resolved {
            Some(value) => Ok(value),
            None => Diagnostic::error("yaml-tag", format!("`{text}` is no value of the type its tag `!!{}` names", tag.suffix))
                .at(location.clone())
                .fail(),
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { kind: FrameKind::Mapping(map), .. }) if map.key.is_none())
    }

    fn set_key(&mut self, key: Key) {
        if let Some(Frame { kind: FrameKind::Mapping(map), .. }) = self.frames.last_mut() {
            map.key = Some(key);
        }
    }

    fn open(&mut self, kind: FrameKind, location: Location, anchor: usize, tag: Option<&Tag>) -> Outcome<()> {
        if let Some(tag) = tag
            && !matches!(standard_tag(tag), Some("" | "map" | "seq" | "omap" | "pairs" | "set"))
        {
            return unknown_tag(tag, &location);
        }
        if self.awaits_key() {
            return unhashable_key(location);
        }
        if self.frames.len() >= MAX_DEPTH {
            return Diagnostic::error("yaml-too-deep", format!("values are nested more than {MAX_DEPTH} deep"))
                .at(location)
                .fail();
        }
        self.frames.push(Frame { kind, location, anchor, size: 1 });
        Ok(())
    }

    fn close(&mut self) -> Outcome<()> {
        let frame = self.frames.pop().expect("the parser ends only collections that it began");
        let value = match frame.kind {
            FrameKind::Sequence(items) => YamlValue::Sequence(items),
            FrameKind::Mapping(map) => YamlValue::Mapping(Box::new(merged(map)?)),
        };
        self.place(Node { yaml: Yaml { value, location: frame.location }, size: frame.size }, frame.anchor)
    }

    fn alias(&mut self, id: usize, location: Location) -> Outcome<()> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Diagnostic::error("yaml-alias", "this alias stands inside the value that it names").at(location).fail();
        };
        let node = Node { yaml: anchored.yaml.clone(), size: anchored.size };
        self.count_copies(node.size, &location)?;
        self.place(node, 0)
    }

    fn count_copies(&mut self, size: usize, location: &Location) -> Outcome<()> {
        self.copied += size;
        if self.copied <= MAX_COPIED_VALUES {
            return Ok(());
        }
        Diagnostic::error("yaml-too-large", format!("aliases expand to more than {MAX_COPIED_VALUES} values"))
            .at(location.clone())
            .fail()
    }

    /// Puts a finished node where it belongs: as the root, an item, a key or a value.
    fn place(&mut self, node: Node, anchor: usize) -> Outcome<()> {
        if anchor > 0 {
            self.count_copies(node.size, &node.yaml.location)?;
            self.anchors.insert(anchor, Anchored { yaml: node.yaml.clone(), size: node.size });
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node.yaml);
            return Ok(());
        };
        frame.size += node.size;
        match &mut frame.kind {
            FrameKind::Sequence(items) => items.push(node.yaml),
            FrameKind::Mapping(map) => match map.key.take() {
                None => map.key = Some(named_key(node.yaml)?),
                Some(Key::Merge) => map.merges.push(node.yaml),
                Some(Key::Named(name, location)) => {
                    if map.entries.contains_key(&name) {
                        self.warnings.push(duplicate_key(&name, &location, &map.entries[&name].0));
                    }
                    map.entries.insert(name, (location, node.yaml));
                }
            },
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError, text: &str) -> Diagnostic {
        let location = self.at(*error.marker());
        let line = text.lines().nth(location.line.saturating_sub(1) as usize).unwrap_or_default();
        let diagnostic = Diagnostic::error("yaml-syntax", format!("this is no valid YAML: {}", error.info())).at(location);
        if line.trim_start_matches(' ').starts_with('\t') {
            return diagnostic.help("indent with spaces: YAML does not allow tabs there");
        }
        if line.contains("{{") || line.contains("{%") {
            return diagnostic.help("put quotes around a value that holds Jinja: `key: \"{{ … }}\"`");
        }
        if error.info().contains("mapping values") {
            return diagnostic
                .help("put quotes around a text that holds `: `, and check that the line is indented as its neighbours");
        }
        diagnostic
    }
}

/// The suffix of one of YAML's own tags (`str` of `!!str`, nothing of `!`); none for other tags.
fn standard_tag(tag: &Tag) -> Option<&str> {
    let non_specific = (tag.handle.is_empty() && tag.suffix == "!") || (tag.handle == "!" && tag.suffix.is_empty());
    match tag {
        _ if non_specific => Some(""),
        _ if tag.is_yaml_core_schema() => Some(&tag.suffix),
        _ => None,
    }
}

fn unknown_tag<T>(tag: &Tag, location: &Location) -> Outcome<T> {
    let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { format!("{}{}", tag.handle, tag.suffix) };
    Diagnostic::error("yaml-tag", format!("the YAML tag `{name}` is not known"))
        .at(location.clone())
        .help("put quotes around a text that begins with `!`")
        .fail()
}

fn unhashable_key<T>(location: Location) -> Outcome<T> {
    Diagnostic::error("yaml-key", "a list or a mapping cannot be a key")
        .at(location)
        .help("put quotes around a value that begins with Jinja: `key: \"{{ … }}\"`")
        .fail()
}

fn named_key(yaml: Yaml) -> Outcome<Key> {
    let name = match yaml.value {
        YamlValue::Text(text) => text,
        YamlValue::Null => "null".to_string(),
        YamlValue::Boolean(value) => value.to_string(),
        YamlValue::Integer(value) => value.to_string(),
        YamlValue::Float(value) => format!("{value:?}"),
        YamlValue::Sequence(_) | YamlValue::Mapping(_) => return unhashable_key(yaml.location),
    };
    Ok(Key::Named(name, yaml.location))
}

fn duplicate_key(name: &str, location: &Location, first: &Location) -> Diagnostic {
    Diagnostic::warning("duplicate-yaml-key", format!("the key `{name}` is given twice in one mapping; the last one counts"))
        .at(location.clone())
        .help(format!("it stands first on line {}", first.line))
}

/// A mapping with its `<<` entries put in: they come first and yield to the mapping's own keys.
fn merged(map: MappingFrame) -> Outcome<YamlMap> {
    if map.merges.is_empty() {
        return Ok(map.entries);
    }
    let mut all = YamlMap::new();
    for merge in map.merges {
        match merge.value {
            YamlValue::Mapping(entries) => all.extend(*entries),
            YamlValue::Sequence(items) => {
                // Of several mappings in one list the first wins, so that it is put in last.
                for item in items.into_iter().rev() {
                    match item.value {
                        YamlValue::Mapping(entries) => all.extend(*entries),
                        _ => return bad_merge(&item),
                    }
                }
            }
            _ => return bad_merge(&merge),
        }
    }
    all.extend(map.entries);
    Ok(all)
}

fn bad_merge<T>(yaml: &Yaml) -> Outcome<T> {
    Diagnostic::error("yaml-merge", format!("`<<` takes a mapping or a list of mappings, not {}", yaml.kind()))
        .at(yaml.location.clone())
        .fail()
}

/// Line and column, from 1 and in characters, of the byte at `index`.
pub(super) fn line_and_column(text: &str, index: usize) -> (u32, u32) {
    let before = &text[..index];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}
