//! What dbt's templates say and minijinja does not, put into minijinja's words before compiling.
//!
//! - `{% do x %}` becomes a `set`, because minijinja's `do` takes calls only.
//! - List and dictionary literals become `__list([…])` and `__dict({…})`, the right side of `set` goes through `__own(…)`:
//!   Python's are mutable (`do names.append(x)`), minijinja's are not.
//! - `text % values` becomes `__mod(text, values)`; sums and differences of dates become `__add` and `__sub`.
//! - A macro becomes a template of its own: the header turns into assignments from the call's arguments, the body stays.
//!
//! Only offsets move; a map leads back to the text as written.

use std::collections::HashSet;
use std::ops::Range;

use minijinja::machinery::{Token, Tokenizer, ast, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

use super::syntax_tree::{self, Part};

/// What every template that is rendered (not called) begins with. Macros are templates of their own, included by `__invoke` so
/// that they run in the state of their caller: `caller()` and macro values stay alive, and no state is built for a call.
const PRELUDE: &str = "{%macro __invoke(__t,__a)%}{%include __t%}{%endmacro%}{%set __x=__begin(__invoke)%}";

/// A template as minijinja gets it, with the way back.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewritten {
    pub text: String,
    /// One for each pass, first pass first.
    maps: Vec<OffsetMap>,
}

impl Rewritten {
    /// The offset in the original text that `offset` in [`text`](Self::text) comes from.
    pub fn original_offset(&self, offset: usize) -> usize {
        self.maps.iter().rev().fold(offset, |offset, map| map.back(offset))
    }
}

/// Copied stretches: start in the new text, start in the old text, length; ordered.
#[derive(Clone, Debug, Default)]
struct OffsetMap(Vec<(usize, usize, usize)>);

impl OffsetMap {
    fn back(&self, offset: usize) -> usize {
        let after = self.0.partition_point(|(new, _, _)| *new <= offset);
        let Some((new, old, length)) = after.checked_sub(1).and_then(|index| self.0.get(index)) else {
            return self.0.first().map_or(0, |(_, old, _)| *old);
        };
        // In generated text: what comes next as written is what it was generated for.
        match self.0.get(after) {
            Some((_, next, _)) if offset - new >= *length => *next,
            _ => old + (offset - new).min(*length),
        }
    }
}

struct Edit {
    at: usize,
    delete: usize,
    insert: &'static str,
}

/// Builds the new text from stretches of the old one, with edits applied, and generated text between them.
struct Builder<'s> {
    source: &'s str,
    edits: &'s [Edit],
    text: String,
    map: OffsetMap,
}

impl<'s> Builder<'s> {
    fn new(source: &'s str, edits: &'s [Edit]) -> Self {
        Self { source, edits, text: String::with_capacity(source.len() + 160), map: OffsetMap::default() }
    }

    fn emit(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn copy(&mut self, range: Range<usize>) {
        let mut at = range.start;
        let first = self.edits.partition_point(|edit| edit.at < range.start);
        for edit in self.edits[first..].iter().take_while(|edit| edit.at <= range.end) {
            self.plain(at..edit.at);
            self.text.push_str(edit.insert);
            at = edit.at + edit.delete;
        }
        self.plain(at..range.end);
    }

    fn plain(&mut self, range: Range<usize>) {
        if range.start < range.end {
            self.map.0.push((self.text.len(), range.start, range.end - range.start));
            self.text.push_str(&self.source[range]);
        }
    }

    fn finish(self) -> Rewritten {
        Rewritten { text: self.text, maps: vec![self.map] }
    }
}

type Spot<'s> = (Token<'s>, Range<usize>);

fn tokens(source: &str) -> Result<Vec<Spot<'_>>, Error> {
    let mut tokenizer = Tokenizer::new(source, "", false, syntax(true));
    let mut all = Vec::new();
    while let Some((token, span)) = tokenizer.next_token()? {
        all.push((token, span.start_offset as usize..span.end_offset as usize));
    }
    Ok(all)
}

fn syntax(keep_trailing_newline: bool) -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(keep_trailing_newline).build().expect("the default delimiters are valid")
}

/// A template that is rendered: a model, a hook, a test.
pub(super) fn template(source: &str) -> Result<Rewritten, Error> {
    if !source.contains("{{") && !source.contains("{%") {
        let mut builder = Builder::new(source, &[]);
        builder.copy(0..source.len());
        return Ok(builder.finish());
    }
    let tokens = tokens(source)?;
    let edits = literal_edits(&tokens);
    let mut builder = Builder::new(source, &edits);
    builder.emit(PRELUDE);
    builder.copy(0..source.len());
    operators(builder.finish(), &tokens)
}

/// Names that a template calls as functions and does not test (`x is defined`). While parsing, dbt lets a call of something
/// unknown pass: the node may never be compiled.
pub(super) fn called_names(source: &str) -> HashSet<String> {
    const ALWAYS_THERE: &[&str] = &["range", "dict", "namespace", "debug", "loop", "caller", "super"];
    let Ok(tokens) = tokens(source) else { return HashSet::new() };
    let mut called = HashSet::new();
    let mut tested = HashSet::new();
    for (index, (token, _)) in tokens.iter().enumerate() {
        let Token::Ident(name) = token else { continue };
        let after = tokens.get(index + 1).map(|(token, _)| token);
        let before = index.checked_sub(1).map(|before| &tokens[before].0);
        match after {
            Some(Token::ParenOpen) if !matches!(before, Some(Token::Dot | Token::Pipe | Token::Ident("is" | "macro"))) => {
                called.insert((*name).to_string());
            }
            Some(Token::Ident("is")) => {
                tested.insert(*name);
            }
            _ => {}
        }
    }
    called.retain(|name| !tested.contains(name.as_str()) && !ALWAYS_THERE.contains(&name.as_str()));
    called
}

/// An empty template that can call macros.
pub(super) fn bare() -> &'static str {
    PRELUDE
}

/// A macro's parameter list, as needed to bind a call's arguments.
#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    pub parameters: Vec<String>,
    /// The body speaks of `varargs` or `kwargs`, so that further arguments are welcome.
    pub takes_varargs: bool,
    pub takes_kwargs: bool,
}

/// A macro, generic test or materialization as a template of its own, with its signature.
pub(super) fn macro_template(source: &str) -> Result<(Rewritten, Signature), Error> {
    let tokens = tokens(source)?;
    let header = Header::read(&tokens)?;
    let end = tokens.iter().rposition(|(token, _)| matches!(token, Token::BlockStart)).unwrap_or(0);
    let end_tag = tokens[end].1.clone();
    let edits = literal_edits(&tokens);
    let mut builder = Builder::new(source, &edits);
    let mut signature = Signature::default();
    for (name, default) in &header.parameters {
        match default {
            None => builder.emit(&format!("{{%set {name}=__a.{name}%}}")),
            Some(default) => {
                builder.emit(&format!("{{%set {name}=__a.{name} if __a['?{name}'] else ("));
                builder.copy(default.clone());
                builder.emit(")%}");
            }
        }
        signature.parameters.push((*name).to_string());
    }
    let body = &tokens[header.after..end];
    for special in ["caller", "varargs", "kwargs"] {
        if !header.parameters.iter().any(|(name, _)| *name == special) && mentions(body, special) {
            builder.emit(&format!("{{%set {special}=__a['={special}']%}}"));
            signature.takes_varargs |= special == "varargs";
            signature.takes_kwargs |= special == "kwargs";
        }
    }
    let trimmed = |range: &Range<usize>, marker: &str| source[range.clone()].contains(marker);
    builder.emit(if trimmed(&header.close, "-%}") { "{%set __x=0-%}" } else { "{%set __x=0%}" });
    builder.copy(header.close.end..end_tag.start);
    builder.emit(if trimmed(&end_tag, "{%-") { "{%-set __x=0%}" } else { "{%set __x=0%}" });
    Ok((operators(builder.finish(), &tokens)?, signature))
}

fn mentions(tokens: &[Spot<'_>], name: &str) -> bool {
    tokens.iter().any(|(token, _)| matches!(token, Token::Ident(ident) if *ident == name))
}

struct Header<'s> {
    parameters: Vec<(&'s str, Option<Range<usize>>)>,
    /// The header's `%}`.
    close: Range<usize>,
    /// The index of the first token of the body.
    after: usize,
}

impl<'s> Header<'s> {
    fn read(tokens: &[Spot<'s>]) -> Result<Self, Error> {
        let close = tokens
            .iter()
            .position(|(token, _)| matches!(token, Token::BlockEnd))
            .ok_or_else(|| Error::new(ErrorKind::SyntaxError, "the macro's header is not closed"))?;
        let mut parameters = Vec::new();
        let mut at = 3;
        if matches!(tokens.get(at), Some((Token::ParenOpen, _))) {
            at += 1;
            while at < close {
                match &tokens[at].0 {
                    Token::Ident(name) => {
                        let (default, next) = Self::default_value(tokens, at + 1, close);
                        parameters.push((*name, default));
                        at = next;
                    }
                    Token::Comma => at += 1,
                    Token::ParenClose => break,
                    other => {
                        let text = format!("expected a parameter name in the macro's header, found {other}");
                        return Err(Error::new(ErrorKind::SyntaxError, text));
                    }
                }
            }
        }
        Ok(Self { parameters, close: tokens[close].1.clone(), after: close + 1 })
    }

    /// The range of the default that begins at `at` with `=`, and the index of the `,` or `)` after it.
    fn default_value(tokens: &[Spot<'s>], at: usize, close: usize) -> (Option<Range<usize>>, usize) {
        if !matches!(tokens.get(at), Some((Token::Assign, _))) {
            return (None, at);
        }
        let first = at + 1;
        let mut depth = 0usize;
        let mut index = first;
        while index < close {
            match &tokens[index].0 {
                Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => depth += 1,
                Token::Comma | Token::ParenClose if depth == 0 => break,
                Token::ParenClose | Token::BracketClose | Token::BraceClose => depth -= 1,
                _ => {}
            }
            index += 1;
        }
        let range = (first < index).then(|| tokens[first].1.start..tokens[index - 1].1.end);
        (range, index)
    }
}

/// Whether an expression can end with this token, so that a `[` after it is a subscript.
fn ends_operand(token: &Token<'_>) -> bool {
    const WORDS: &[&str] = &["in", "and", "or", "not", "if", "elif", "else", "is", "do", "set", "for", "call", "return"];
    match token {
        Token::Ident(word) => !WORDS.contains(word),
        Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => true,
        Token::ParenClose | Token::BracketClose | Token::BraceClose => true,
        _ => false,
    }
}

fn literal_edits(tokens: &[Spot<'_>]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut open: Vec<bool> = Vec::new();
    let mut owned = false;
    for (index, (token, range)) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &tokens[before].0);
        match token {
            Token::BlockStart | Token::VariableStart => open.clear(),
            Token::BracketOpen | Token::BraceOpen => {
                let literal = matches!(token, Token::BraceOpen) || !before.is_some_and(ends_operand);
                if literal {
                    let insert = if matches!(token, Token::BraceOpen) { "__dict(" } else { "__list(" };
                    edits.push(Edit { at: range.start, delete: 0, insert });
                }
                open.push(literal);
            }
            Token::ParenOpen => open.push(false),
            Token::BracketClose | Token::BraceClose | Token::ParenClose => {
                let was_literal = open.pop() == Some(true);
                edits.extend(was_literal.then_some(Edit { at: range.end, delete: 0, insert: ")" }));
            }
            // Jinja takes a colon at the end of a tag: `{% if execute: %}`.
            Token::Colon if matches!(tokens.get(index + 1), Some((Token::BlockEnd, _))) => {
                edits.push(Edit { at: range.start, delete: 1, insert: "" });
            }
            Token::Ident("do") if matches!(before, Some(Token::BlockStart)) => {
                edits.push(Edit { at: range.start, delete: 2, insert: "set __x=" });
            }
            Token::Ident("set") if matches!(before, Some(Token::BlockStart)) => owned = needs_owning(&tokens[index..]),
            Token::Assign if owned && open.is_empty() => {
                edits.push(Edit { at: range.end, delete: 0, insert: "__own(" });
            }
            Token::BlockEnd if owned => {
                edits.push(Edit { at: range.start, delete: 0, insert: ")" });
                owned = false;
            }
            _ => {}
        }
    }
    edits
}

/// Whether a `set` statement assigns something that may be a list of minijinja's own: not a constant or a plain name.
fn needs_owning(tokens: &[Spot<'_>]) -> bool {
    let Some(assign) = tokens.iter().position(|(token, _)| matches!(token, Token::Assign | Token::BlockEnd)) else {
        return false;
    };
    let end = tokens.iter().position(|(token, _)| matches!(token, Token::BlockEnd)).unwrap_or(assign);
    assign < end && end - assign > 2
}

/// Operators that minijinja has for fewer types than Python: the function that stands in, and the sign.
fn stand_in(op: ast::BinOpKind, dates: bool) -> Option<(&'static str, char)> {
    match op {
        ast::BinOpKind::Rem => Some(("__mod(", '%')),
        ast::BinOpKind::Add if dates => Some(("__add(", '+')),
        ast::BinOpKind::Sub if dates => Some(("__sub(", '-')),
        _ => None,
    }
}

/// Turns `a % b` into a call, and `a + b`, `a - b` too where the template speaks of dates.
fn operators(first: Rewritten, tokens: &[Spot<'_>]) -> Result<Rewritten, Error> {
    const DATES: &[&str] = &["datetime", "timedelta", "run_started_at", "strptime"];
    let dates = tokens.iter().any(|(token, _)| matches!(token, Token::Ident(word) if DATES.contains(word)));
    if !dates && !tokens.iter().any(|(token, _)| matches!(token, Token::Mod)) {
        return Ok(first);
    }
    let Ok(tree) = parse(&first.text, "", syntax(true)) else {
        // The same mistake comes up again, with its place, when the template is compiled.
        return Ok(first);
    };
    let mut edits = Vec::new();
    syntax_tree::walk(&tree, &mut |part| {
        if let Part::Expr(ast::Expr::BinOp(node)) = part
            && let Some((call, sign)) = stand_in(node.op, dates)
        {
            let left = node.left.span().end_offset as usize;
            let Some(operator) = first.text[left..].find(sign) else { return };
            let span = node.span();
            edits.push(Edit { at: span.start_offset as usize, delete: 0, insert: call });
            edits.push(Edit { at: left + operator, delete: 1, insert: "," });
            edits.push(Edit { at: span.end_offset as usize, delete: 0, insert: ")" });
        }
    });
    edits.sort_by_key(|edit| edit.at);
    let mut builder = Builder::new(&first.text, &edits);
    builder.copy(0..first.text.len());
    let second = builder.finish();
    let mut maps = first.maps.clone();
    maps.extend(second.maps);
    Ok(Rewritten { text: second.text, maps })
}
