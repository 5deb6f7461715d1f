//! Just enough reading of Rust to hold code to rules: comments and literals blanked, functions measured, paths collected.

/// A function's name, its first line (from 1) and how many lines it takes.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// The text with comments, strings and characters as blanks; line breaks stay where they are.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        match end > at {
            true => out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' })),
            false => out.push(chars[at]),
        }
        at = end.max(at + 1);
    }
    out
}

/// Where the comment or literal that begins at `at` ends, if one begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or(' ');
    match chars[at] {
        '/' if next(1) == '/' => Some(find(chars, at, &['\n'])),
        '/' if next(1) == '*' => Some(block_comment_end(chars, at)),
        '"' => Some(quoted_end(chars, at, '"')),
        'r' | 'b' | 'c' if at > 0 && is_word(chars[at - 1]) => None,
        'r' | 'b' | 'c' => raw_end(chars, at),
        // A lifetime has no quote two or three characters on.
        '\'' if next(1) == '\\' || next(2) == '\'' => Some(quoted_end(chars, at, '\'')),
        _ => None,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, wanted: &[char]) -> usize {
    (from..chars.len()).find(|at| chars[*at..].starts_with(wanted)).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `r"…"`, `r#"…"#`, `br"…"`; a plain `b"…"` is found at its quote.
fn raw_end(chars: &[char], start: usize) -> Option<usize> {
    let mut at = start;
    while matches!(chars.get(at), Some('b' | 'c')) {
        at += 1;
    }
    (chars.get(at) == Some(&'r')).then_some(())?;
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(())?;
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let body = at + 2 + hashes;
    Some((find(chars, body, &close) + close.len()).min(chars.len()))
}

/// Every function with a body in a blanked text.
pub fn functions(code: &str) -> Vec<Function> {
    let pattern = regex::Regex::new(r"\bfn\s+(\w+)").expect("the pattern is fixed");
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let found = pattern.captures_iter(code).filter_map(|capture| {
        let whole = capture.get(0)?;
        let body = body_start(code, whole.end())?;
        let (first, last) = (line_of(whole.start()), line_of(closing_brace(code, body)));
        Some(Function { name: capture[1].to_string(), line: first, lines: last - first + 1 })
    });
    found.collect()
}

/// The brace that opens the body; nothing where a semicolon ends the declaration first.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(from + at),
            _ => {}
        }
    }
    None
}

fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code[open..].char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return open + at;
        }
    }
    code.len()
}

/// What follows `root::` anywhere in a blanked text, in `use` lists too: `crate::{a, b::c}` gives `a` and `b::c`.
pub fn paths(code: &str, root: &str) -> Vec<String> {
    let pattern = regex::Regex::new(&format!(r"\b{root}::")).expect("the pattern is fixed");
    let starts = pattern.find_iter(code).filter(|found| !code[..found.start()].ends_with("::"));
    starts.flat_map(|found| expand(&code[found.end()..])).collect()
}

/// The paths a text begins with: one, or those of a braced list with what stands before each nested brace.
fn expand(text: &str) -> Vec<String> {
    let text = text.trim_start();
    let word = |c: char| is_word(c) || c == ':';
    let Some(list) = text.strip_prefix('{') else {
        let end = text.find(|c| !word(c)).unwrap_or(text.len());
        let path = text[..end].trim_end_matches(':').to_string();
        return match text[end..].starts_with('{') {
            true => expand(&text[end..]).into_iter().map(|rest| format!("{path}::{rest}")).collect(),
            false => vec![path],
        };
    };
    let (mut depth, mut start, mut items) = (0_i32, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.into_iter().filter(|item| !item.trim().is_empty()).flat_map(expand).collect()
}
