//! Tables as they were: `t version as of 3`, `t timestamp as of '…'`, `table_changes('t', 3)`.
//!
//! Neither the parser nor the planner knows these. What is wanted of a table is put into its name, behind a character that no
//! name holds, before the text is parsed; whoever looks the name up takes it off again with [`pinned`].

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Statement, TableAlias, TableFactor, Value, VisitMut, VisitorMut,
};
use sqlparser::keywords::{Keyword, RESERVED_FOR_TABLE_ALIAS};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::SqlError;

/// Stands between a table's name and what is wanted of it.
const MARK: char = '\u{1f}';
/// The table that `vacuum` without a name is about.
pub const ALL_TABLES: &str = "*";

/// What is wanted of a table other than its rows now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    Version(u64),
    /// As written; the newest version that was there then.
    Timestamp(String),
    /// What the commits from one version to another changed, both included; rows with the same keys are one that was updated.
    Changes {
        from: u64,
        to: Option<u64>,
        keys: Vec<String>,
    },
    /// `vacuum … retain n hours`.
    Retain {
        hours: u64,
    },
}

/// Takes a name apart that [`fold`] or [`table_changes`] made.
pub fn pinned(name: &str) -> Option<(&str, Pin)> {
    let (table, wanted) = name.split_once(MARK)?;
    let (kind, value) = wanted.split_once('=')?;
    let pin = match kind {
        "version" => Pin::Version(value.parse().ok()?),
        "timestamp" => Pin::Timestamp(value.to_string()),
        "retain" => Pin::Retain { hours: value.parse().ok()? },
        "changes" => {
            let mut parts = value.splitn(3, ',');
            let from = parts.next()?.parse().ok()?;
            let to = parts.next().and_then(|to| to.parse().ok());
            let keys = parts.next().unwrap_or_default().split(',').map(|key| key.trim().to_string());
            Pin::Changes { from, to, keys: keys.filter(|key| !key.is_empty()).collect() }
        }
        _ => return None,
    };
    Some((table, pin))
}

fn marked(name: &str, kind: &str, value: &str) -> String {
    format!("{name}{MARK}{kind}={value}")
}

/// Folds `… as of …` and `retain … hours` into the name before them. `tokens` are those of one statement.
pub(super) fn fold(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_candidate = |token: &TokenWithSpan| is_word(&token.token, "of") || is_word(&token.token, "retain");
    if !tokens.iter().any(is_candidate) {
        return tokens;
    }
    let tokens: Vec<TokenWithSpan> = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut folded: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let Some((kind, value, length)) = wanted(&tokens[at..]) else {
            folded.push(tokens[at].clone());
            at += 1;
            continue;
        };
        let next = tokens.get(at + length);
        match folded.last_mut().map(|last| &mut last.token) {
            Some(Token::Word(word)) if kind == "retain" && word.keyword == Keyword::VACUUM => {
                let all = Token::Word(quoted(marked(ALL_TABLES, kind, &value)));
                folded.push(TokenWithSpan { token: all, span: tokens[at].span });
            }
            Some(Token::Word(word)) => {
                let name = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
                *word = quoted(marked(&name, kind, &value));
                if kind != "retain" && !next.is_some_and(|token| begins_alias(&token.token)) {
                    folded.push(TokenWithSpan { token: Token::make_keyword("AS"), span: tokens[at].span });
                    folded.push(TokenWithSpan { token: Token::Word(quoted(name)), span: tokens[at].span });
                }
            }
            _ => {
                folded.push(tokens[at].clone());
                at += 1;
                continue;
            }
        }
        at += length;
    }
    folded
}

/// What the tokens at a place want of the table before them, and how many they are.
fn wanted(tokens: &[TokenWithSpan]) -> Option<(&'static str, String, usize)> {
    let word = |at: usize, text: &str| tokens.get(at).is_some_and(|token| is_word(&token.token, text));
    let value = |at: usize| match &tokens.get(at)?.token {
        Token::Number(number, _) => Some(number.clone()),
        Token::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    };
    if word(0, "retain") && word(2, "hours") {
        return Some(("retain", value(1)?, 3));
    }
    if word(0, "for") && word(1, "system_time") && word(2, "as") && word(3, "of") {
        return Some(("timestamp", value(4)?, 5));
    }
    let kind = ["version", "timestamp"].into_iter().find(|kind| word(0, kind) && word(1, "as") && word(2, "of"))?;
    // `timestamp as of timestamp '…'` says the type twice.
    let typed = usize::from(kind == "timestamp" && (word(3, "timestamp") || word(3, "date")));
    Some((kind, value(3 + typed)?, 4 + typed))
}

fn begins_alias(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword == Keyword::AS || !RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword),
        _ => false,
    }
}

fn quoted(value: String) -> Word {
    Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword }
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

/// Turns calls of `table_changes('table', from[, to[, 'keys']])` into names.
pub(super) fn table_changes(statement: &mut Statement) -> Result<(), SqlError> {
    let mut calls = Calls(None);
    let _ = statement.visit(&mut calls);
    calls.0.map_or(Ok(()), Err)
}

struct Calls(Option<SqlError>);

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: args @ Some(_), .. } = factor
            && name.to_string().eq_ignore_ascii_case("table_changes")
        {
            let given = args.take().map(|args| args.args).unwrap_or_default();
            match call(&given) {
                Some(changed) => *name = changed,
                None => {
                    let error = SqlError::new("`table_changes` needs a table's name and a version");
                    self.0 = Some(
                        error.with_help("write table_changes('schema.table', first_version[, last_version[, 'key columns']])"),
                    );
                    return ControlFlow::Break(());
                }
            }
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: Ident::new("table_changes"),
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}

fn call(args: &[FunctionArg]) -> Option<ObjectName> {
    let text = |index: usize| match args.get(index)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    if args.len() > 4 || (0..args.len()).any(|index| text(index).is_none()) {
        return None;
    }
    let from: u64 = text(1)?.parse().ok()?;
    let to = match text(2) {
        Some(to) => to.parse::<u64>().ok()?.to_string(),
        None => String::new(),
    };
    let table = text(0)?;
    let mut parts: Vec<String> = table
        .split('.')
        .map(|part| match part.trim().strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
            Some(exact) => exact.to_string(),
            None => part.trim().to_lowercase(),
        })
        .collect();
    let last = parts.pop()?;
    parts.push(marked(&last, "changes", &format!("{from},{to},{}", text(3).unwrap_or_default())));
    Some(ObjectName::from(parts.into_iter().map(|part| Ident::with_quote('"', part)).collect::<Vec<_>>()))
}
