//! Top-level blocks of a file: `{% macro %}`, `{% test %}`, `{% materialization %}`, `{% docs %}`, `{% snapshot %}`.
//!
//! This reads tags only, not expressions: what stands between a block's tags may be SQL, Markdown or Jinja. Comments, raw blocks
//! and strings inside tags are passed over, so that a tag in them opens nothing.

use crate::diagnostic::{Diagnostic, Outcome};
use crate::source::Location;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Macro,
    Test,
    Materialization,
    Docs,
    Snapshot,
}

impl BlockKind {
    fn of_tag(word: &str) -> Option<Self> {
        Some(match word {
            "macro" => Self::Macro,
            "test" | "data_test" => Self::Test,
            "materialization" => Self::Materialization,
            "docs" => Self::Docs,
            "snapshot" => Self::Snapshot,
            _ => return None,
        })
    }
}

/// One block of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: BlockKind,
    /// What dbt registers it as: `my_macro`, `test_<name>`, `materialization_<name>_<adapter>`; docs and snapshots as written.
    pub name: String,
    /// From the opening tag's `{%` to the closing tag's `%}`, with the white space that their `-` takes away.
    pub source: String,
    /// Between the tags.
    pub contents: String,
    /// Where `source` begins.
    pub location: Location,
    /// Where `contents` begins.
    pub contents_location: Location,
}

/// The blocks of `text`, in order. `path` is the file's path in messages.
pub fn extract(text: &str, path: &str) -> Outcome<(Vec<Block>, Vec<Diagnostic>)> {
    let (blocks, control, strays) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader { text, path: path.into(), blocks, open: None, control, strays, closed: 0 };
    let mut at = 0;
    while let Some(tag) = reader.next_tag(at)? {
        at = tag.end;
        reader.take(tag)?;
    }
    reader.finish()
}

/// `{% word … %}` with its byte range; `rest` is what follows the word, without the closing marker.
struct Tag<'t> {
    word: &'t str,
    rest: &'t str,
    start: usize,
    end: usize,
}

struct Open {
    kind: BlockKind,
    word: String,
    name: String,
    start: usize,
    contents: usize,
}

struct Reader<'t> {
    text: &'t str,
    path: std::sync::Arc<str>,
    blocks: Vec<Block>,
    open: Option<Open>,
    /// Control tags open outside any block, with where each began.
    control: Vec<(&'t str, usize)>,
    /// Warnings of ends without a beginning.
    strays: Vec<Diagnostic>,
    /// Where the last block ends.
    closed: usize,
}

const CONTROL: &[&str] = &["if", "for", "filter", "call", "with", "autoescape"];

impl<'t> Reader<'t> {
    fn next_tag(&self, from: usize) -> Outcome<Option<Tag<'t>>> {
        let bytes = self.text.as_bytes();
        let mut at = from;
        while let Some(brace) = self.text[at..].find('{') {
            let start = at + brace;
            at = match bytes.get(start + 1) {
                Some(b'#') => self.after(start, "#}", "comment-not-closed", "this comment is never closed with `#}`")?,
                Some(b'{') if !self.in_docs() => skip_expression(self.text, start + 2).unwrap_or(start + 2),
                Some(b'%') => {
                    let tag = self.tag(start)?;
                    if tag.word != "raw" {
                        return Ok(Some(tag));
                    }
                    self.after_raw(&tag)?
                }
                _ => start + 1,
            };
        }
        Ok(None)
    }

    fn in_docs(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.kind == BlockKind::Docs)
    }

    fn after(&self, start: usize, marker: &str, code: &'static str, message: &str) -> Outcome<usize> {
        match self.text[start + 2..].find(marker) {
            Some(offset) => Ok(start + 2 + offset + marker.len()),
            None => Diagnostic::error(code, message).at(self.place(start)).fail(),
        }
    }

    fn after_raw(&self, raw: &Tag<'t>) -> Outcome<usize> {
        let mut at = raw.end;
        while let Some(offset) = self.text[at..].find("{%") {
            let start = at + offset;
            let inner = self.text[start + 2..].trim_start_matches(['-', '+']).trim_start();
            if inner.starts_with("endraw") {
                return Ok(self.tag(start)?.end);
            }
            at = start + 2;
        }
        Diagnostic::error("block-not-closed", "`{% raw %}` is never closed with `{% endraw %}`").at(self.place(raw.start)).fail()
    }

    fn tag(&self, start: usize) -> Outcome<Tag<'t>> {
        let Some(end) = skip_tag(self.text, start + 2) else {
            return Diagnostic::error("tag-not-closed", "this tag is never closed with `%}`").at(self.place(start)).fail();
        };
        let inside = self.text[start + 2..end - 2].trim_matches(['-', '+']).trim();
        let length = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
        Ok(Tag { word: &inside[..length], rest: inside[length..].trim(), start, end })
    }

    fn take(&mut self, tag: Tag<'t>) -> Outcome<()> {
        if let Some(open) = &self.open {
            if tag.word == format!("end{}", open.word) {
                self.close(&tag);
                return Ok(());
            }
            return match BlockKind::of_tag(tag.word) {
                Some(_) => self.nested(&tag),
                None => Ok(()),
            };
        }
        match BlockKind::of_tag(tag.word) {
            Some(kind) => self.start(kind, &tag),
            None => {
                self.control(&tag);
                Ok(())
            }
        }
    }

    fn nested<T>(&self, tag: &Tag<'t>) -> Outcome<T> {
        let open = self.open.as_ref().map_or("", |open| open.word.as_str());
        let name = self.open.as_ref().map_or("", |open| open.name.as_str());
        Diagnostic::error("block-nested", format!("`{}` stands inside the {open} `{name}`", tag.word))
            .at(self.place(tag.start))
            .help(format!("close the {open} with `{{% end{open} %}}` first: such blocks cannot be nested"))
            .fail()
    }

    fn start(&mut self, kind: BlockKind, tag: &Tag<'t>) -> Outcome<()> {
        if let Some((word, start)) = self.control.last() {
            return Diagnostic::error("block-not-top-level", format!("`{}` stands inside `{{% {word} %}}`", tag.word))
                .at(self.place(tag.start))
                .help(format!("blocks are declared at the top level of a file; `{word}` is open since {}", self.place(*start)))
                .fail();
        }
        let name = match block_name(kind, tag.rest) {
            Some(name) => name,
            None => {
                return Diagnostic::error("block-name", format!("`{{% {} %}}` needs a name", tag.word))
                    .at(self.place(tag.start))
                    .help(format!("expected {}", expected_form(kind)))
                    .fail();
            }
        };
        self.open = Some(Open { kind, word: tag.word.to_string(), name, start: tag.start, contents: tag.end });
        Ok(())
    }

    fn close(&mut self, tag: &Tag<'t>) {
        let Some(open) = self.open.take() else { return };
        // White space that a tag's `-` takes away belongs to the block, as dbt keeps it.
        let mut start = open.start;
        if self.text[start..].starts_with("{%-") {
            start = self.closed + self.text[self.closed..start].trim_end().len();
        }
        let mut end = tag.end;
        if self.text[..end].ends_with("-%}") {
            end += self.text[end..].len() - self.text[end..].trim_start().len();
        }
        self.closed = end;
        self.blocks.push(Block {
            kind: open.kind,
            name: open.name,
            source: self.text[start..end].to_string(),
            contents: self.text[open.contents..tag.start].to_string(),
            location: self.place(start),
            contents_location: self.place(open.contents),
        });
    }

    fn control(&mut self, tag: &Tag<'t>) {
        if CONTROL.contains(&tag.word) {
            self.control.push((tag.word, tag.start));
        } else if let Some(word) = tag.word.strip_prefix("end") {
            if CONTROL.contains(&word) && self.control.last().is_some_and(|(open, _)| *open == word) {
                self.control.pop();
            } else if BlockKind::of_tag(word).is_some() {
                // dbt reads over it, with the same warning.
                let stray = Diagnostic::warning("unexpected-block", format!("`{}` closes nothing", tag.word));
                self.strays.push(stray.at(self.place(tag.start)).help("remove it: dbt deprecates this"));
            }
        }
    }

    fn finish(self) -> Outcome<(Vec<Block>, Vec<Diagnostic>)> {
        match &self.open {
            None => Ok((self.blocks, self.strays)),
            Some(open) => Diagnostic::error(
                "block-not-closed",
                format!("the {} `{}` is never closed with `{{% end{} %}}`", open.word, open.name, open.word),
            )
            .at(self.place(open.start))
            .fail(),
        }
    }

    fn place(&self, offset: usize) -> Location {
        let (line, column) = line_and_column(self.text, offset);
        Location::new(self.path.clone(), line, column)
    }
}

/// Line and column from 1, the column in characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    (line as u32, before[line_start..].chars().count() as u32 + 1)
}

fn expected_form(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Macro => "`{% macro name(arguments) %}`",
        BlockKind::Test => "`{% test name(model, column_name) %}`",
        BlockKind::Materialization => "`{% materialization name, default %}`",
        BlockKind::Docs => "`{% docs name %}`",
        BlockKind::Snapshot => "`{% snapshot name %}`",
    }
}

fn block_name(kind: BlockKind, rest: &str) -> Option<String> {
    let length =
        rest.find(|c: char| !c.is_alphanumeric() && c != '_' && (c != '-' || kind != BlockKind::Docs)).unwrap_or(rest.len());
    let name = &rest[..length];
    if name.is_empty() {
        return None;
    }
    Some(match kind {
        BlockKind::Macro | BlockKind::Docs | BlockKind::Snapshot => name.to_string(),
        BlockKind::Test => format!("test_{name}"),
        BlockKind::Materialization => format!("materialization_{name}_{}", materialization_adapter(&rest[length..])),
    })
}

/// `, default` or `, adapter='postgres'`; `default` where neither is said.
fn materialization_adapter(rest: &str) -> &str {
    let Some(at) = rest.find("adapter") else { return "default" };
    let value = rest[at + "adapter".len()..].trim_start();
    let Some(value) = value.strip_prefix('=') else { return "default" };
    let value = value.trim_start();
    match value.chars().next() {
        Some(quote @ ('\'' | '"')) => value[1..].split(quote).next().unwrap_or("default"),
        _ => "default",
    }
}

/// The offset just after the `%}` that closes a tag whose inside begins at `from`.
fn skip_tag(text: &str, from: usize) -> Option<usize> {
    skip_until(text, from, b"%}")
}

fn skip_expression(text: &str, from: usize) -> Option<usize> {
    skip_until(text, from, b"}}")
}

fn skip_until(text: &str, from: usize, marker: &[u8; 2]) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    let mut depth = 0usize;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = skip_string(bytes, at, quote).unwrap_or(at + 1),
            b'{' if marker == b"}}" => {
                depth += 1;
                at += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            byte if byte == marker[0] && bytes.get(at + 1) == Some(&marker[1]) => return Some(at + 2),
            _ => at += 1,
        }
    }
    None
}

fn skip_string(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}
