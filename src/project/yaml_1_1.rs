//! YAML 1.1 forms that libyaml (and so dbt) reads, but a YAML 1.2 parser refuses.
//!
//! Two occur in real projects: lines of a flow collection or a quoted text that are indented no deeper than the key they belong
//! to, such as a closing `]` below its key, and tabs between `:` and a value. A text that the parser refused is rewritten once,
//! in one pass over its lines: such lines are indented deeper, such tabs become spaces. Neither changes a value.

use std::collections::HashMap;

/// The rewritten text, and by how many columns each changed line (from 1) was moved to the right.
#[derive(Default)]
pub(super) struct Rewritten {
    pub text: String,
    pub shifts: HashMap<usize, usize>,
}

pub(super) fn rewrite(text: &str) -> Rewritten {
    let mut rewriter = Rewriter { mode: Mode::Block, parent: -1, rewritten: Rewritten::default() };
    rewriter.rewritten.text.reserve(text.len() + 64);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        rewriter.line(index + 1, line);
    }
    rewriter.rewritten
}

/// What the end of a line leaves open. Columns count from 0; -1 stands for the document.
#[derive(Clone, Copy)]
enum Mode {
    Block,
    /// A plain or block scalar: lines deeper than this column belong to it.
    Text(isize),
    /// A quoted text or flow collection whose lines must be deeper than this column.
    Open(Open, isize),
}

#[derive(Clone, Copy, Default)]
struct Open {
    depth: usize,
    quote: Option<u8>,
    /// In a flow collection: a value may begin here, so that a quote opens a text.
    fresh: bool,
}

struct Rewriter {
    mode: Mode,
    /// The column of the key or dash whose value has not begun yet.
    parent: isize,
    rewritten: Rewritten,
}

impl Rewriter {
    fn line(&mut self, number: usize, line: &str) {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let column = indent.cast_signed();
        let blank = content.trim_end().is_empty();
        let mut bytes = line.as_bytes().to_vec();
        match self.mode {
            Mode::Text(limit) if blank || column > limit => {}
            Mode::Open(open, limit) => {
                if !blank && column <= limit {
                    let shift = (limit + 1 - column).cast_unsigned();
                    self.rewritten.shifts.insert(number, shift);
                    self.rewritten.text.extend(std::iter::repeat_n(' ', shift));
                }
                self.continue_open(&mut bytes, indent, open, limit);
            }
            _ if blank || content.starts_with('#') => {}
            _ if indent == 0 && ["---", "...", "%"].iter().any(|mark| content.starts_with(mark)) => self.mode = Mode::Block,
            _ => self.nodes(&mut bytes, indent, self.parent),
        }
        self.rewritten.text.push_str(std::str::from_utf8(&bytes).expect("only ASCII tabs were replaced by ASCII spaces"));
    }

    fn continue_open(&mut self, bytes: &mut [u8], from: usize, mut open: Open, limit: isize) {
        match open.close(bytes, from) {
            None => self.mode = Mode::Open(open, limit),
            Some(end) => self.after(bytes, from, end, limit),
        }
    }

    /// After a quoted text or flow collection: the end of its line, or a value if it was a key.
    fn after(&mut self, bytes: &mut [u8], start: usize, end: usize, limit: isize) {
        if is_colon(bytes, end) {
            spaces_for_tabs(bytes, end + 1);
            self.nodes(bytes, end + 1, start.cast_signed());
        } else {
            self.mode = Mode::Block;
            self.parent = limit;
        }
    }

    /// Reads dashes, keys and the beginning of a value; `parent` is the column of the last dash or key.
    fn nodes(&mut self, bytes: &mut [u8], mut at: usize, mut parent: isize) {
        loop {
            at += bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            match bytes.get(at) {
                None | Some(b'#' | b'\n' | b'\r') => {
                    (self.mode, self.parent) = (Mode::Block, parent);
                    return;
                }
                Some(b'-' | b'?') if ends_word(bytes, at + 1) => {
                    parent = at.cast_signed();
                    at += 1;
                }
                Some(b'&' | b'!') => at += bytes[at..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count(),
                Some(quote @ (b'"' | b'\'')) => {
                    return self.open(bytes, at, Open { quote: Some(*quote), ..Open::default() }, parent);
                }
                Some(b'[' | b'{') => return self.open(bytes, at, Open { depth: 1, fresh: true, ..Open::default() }, parent),
                Some(b'|' | b'>') => {
                    self.mode = Mode::Text(parent);
                    return;
                }
                Some(_) => match key_end(bytes, at) {
                    None => {
                        self.mode = Mode::Text(parent);
                        return;
                    }
                    Some(colon) => {
                        parent = at.cast_signed();
                        spaces_for_tabs(bytes, colon + 1);
                        at = colon + 1;
                    }
                },
            }
        }
    }

    fn open(&mut self, bytes: &mut [u8], start: usize, mut open: Open, parent: isize) {
        match open.close(bytes, start + 1) {
            None => self.mode = Mode::Open(open, parent),
            Some(end) => self.after(bytes, start, end, parent),
        }
    }
}

impl Open {
    /// Where it closes in this line, if it does: the position after its last character.
    fn close(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match (self.quote, byte) {
                (Some(b'"'), b'\\') => at += 1,
                (Some(b'\''), b'\'') if bytes.get(at) == Some(&b'\'') => at += 1,
                (Some(quote), _) if quote == byte => {
                    (self.quote, self.fresh) = (None, false);
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
                (Some(_), _) => {}
                (None, b'"' | b'\'') if self.fresh => self.quote = Some(byte),
                (None, b'#') if at < 2 || bytes[at - 2].is_ascii_whitespace() => return None,
                (None, b'[' | b'{') => (self.depth, self.fresh) = (self.depth + 1, true),
                (None, b']' | b'}') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
                (None, _) => self.fresh = matches!(byte, b',' | b':') || (self.fresh && byte.is_ascii_whitespace()),
            }
        }
        None
    }
}

fn ends_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(u8::is_ascii_whitespace)
}

fn is_colon(bytes: &[u8], at: usize) -> bool {
    bytes.get(at) == Some(&b':') && ends_word(bytes, at + 1)
}

/// The colon that makes the plain text at `at` a key; none if it is a value.
fn key_end(bytes: &[u8], at: usize) -> Option<usize> {
    let end = (at + 1..bytes.len())
        .find(|&end| is_colon(bytes, end) || (bytes[end] == b'#' && bytes[end - 1].is_ascii_whitespace()))?;
    (bytes[end] == b':').then_some(end)
}

fn spaces_for_tabs(bytes: &mut [u8], from: usize) {
    for byte in bytes[from..].iter_mut().take_while(|byte| matches!(**byte, b' ' | b'\t')) {
        *byte = b' ';
    }
}
