//! Text to statements: splitting at `;`, parsing, and the parser's errors turned into [`SqlError`]s with a place.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Statement,
};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::dialect::WarehouseDialect;
use super::{SqlError, travel};

/// How deep expressions may nest before the parser gives up rather than overflow the stack.
const RECURSION_LIMIT: usize = 300;

/// How many operators may follow each other without brackets, and how many queries one `union` may join: each is a level
/// of the tree, and all that walks the tree goes down to the last.
const LONGEST_CHAIN: usize = 5000;
const MOST_SET_OPERATIONS: usize = 2000;

/// The statements of `sql`, each with its own text as written.
pub(super) fn statements_with_text(sql: &str) -> Result<Vec<(Statement, String)>, SqlError> {
    let dialect = WarehouseDialect;
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|e| SqlError::at(e.message.clone(), (e.location.line as u32, e.location.column as u32)))?;
    let lines = LineStarts::of(sql);
    split(tokens)
        .into_iter()
        .map(|tokens| {
            let text = lines.text(sql, &tokens);
            check_chains(&tokens)?;
            let tokens = travel::fold(without_noise(tokens));
            no_table_left_out(&tokens)?;
            let mut parser = Parser::new(&dialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens);
            let statement = parser.parse_statement().map_err(from_parser)?;
            match parser.peek_token_ref().token {
                Token::EOF => Ok((statement, text)),
                _ => Err(unexpected(parser.peek_token_ref())),
            }
        })
        .collect()
}

/// `from where x`: the parser would take the clause's word for a table's name.
fn no_table_left_out(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    const CLAUSES: [&str; 6] = ["where", "group", "having", "order", "limit", "union"];
    let solid: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    for window in solid.windows(2) {
        let Some(clause) = CLAUSES.iter().find(|clause| is_word(&window[1].token, clause)) else { continue };
        if is_word(&window[0].token, "from") {
            let place = (window[1].span.start.line as u32, window[1].span.start.column as u32);
            let error = SqlError::at(format!("expected a table after `from`, found `{clause}`"), place);
            return Err(error.with_help(format!("quote the name if a table is called that: \"{clause}\"")));
        }
    }
    Ok(())
}

/// An error of the parser, its place taken out of its words.
pub(super) fn from_parser(error: ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(format!("the statement nests more than {RECURSION_LIMIT} levels deep"));
        }
    };
    let Some(at) = text.rfind(" at Line: ") else { return SqlError::new(lower_first(&text)) };
    let (message, place) = text.split_at(at);
    let mut numbers = place.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u32>().ok());
    let position = numbers.next().zip(numbers.next());
    SqlError { code: "sql-parse", message: lower_first(message), position, help: None }
}

fn unexpected(token: &TokenWithSpan) -> SqlError {
    let place = (token.span.start.line as u32, token.span.start.column as u32);
    let error = SqlError::at(format!("expected end of statement, found `{}`", token.token), place);
    SqlError { code: "sql-parse", ..error }
}

fn lower_first(text: &str) -> String {
    let text =
        text.strip_prefix("sql parser error: ").unwrap_or(text).replace("Expected: ", "expected ").replace("found: ", "found ");
    let text = text.replace("found EOF", "found the end of the statement");
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text,
    }
}

/// Refuses what would make a tree too deep to walk, before there is one.
fn check_chains(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    // For each open bracket: operators since the last comma or clause, and set operations.
    let mut open = vec![(0_usize, 0_usize)];
    for token in tokens {
        let depth = open.len() - 1;
        let (chain, sets) = &mut open[depth];
        match &token.token {
            Token::LParen | Token::LBracket => open.push((0, 0)),
            Token::RParen | Token::RBracket if depth > 0 => _ = open.pop(),
            Token::Comma => *chain = 0,
            Token::Word(Word { keyword, .. }) => match keyword {
                Keyword::AND | Keyword::OR => *chain += 1,
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => (*chain, *sets) = (0, *sets + 1),
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::HAVING | Keyword::ORDER => {
                    *chain = 0
                }
                _ => {}
            },
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat | Token::DoubleColon => {
                *chain += 1;
            }
            _ => {}
        }
        let what = match open[open.len() - 1] {
            (chain, _) if chain > LONGEST_CHAIN => {
                format!("more than {LONGEST_CHAIN} operators follow each other without brackets")
            }
            (_, sets) if sets > MOST_SET_OPERATIONS => {
                format!("more than {MOST_SET_OPERATIONS} queries are joined by set operations")
            }
            _ => continue,
        };
        let place = (token.span.start.line as u32, token.span.start.column as u32);
        return Err(SqlError {
            help: Some("put the values into a seed or a table and join it".to_string()),
            ..SqlError::at(what, place)
        });
    }
    Ok(())
}

/// Groups of tokens between semicolons; empty groups (only comments and blanks) are dropped.
fn split(tokens: Vec<TokenWithSpan>) -> Vec<Vec<TokenWithSpan>> {
    let mut groups = vec![Vec::new()];
    for token in tokens {
        if token.token == Token::SemiColon {
            groups.push(Vec::new());
        } else if let Some(group) = groups.last_mut() {
            group.push(token);
        }
    }
    groups.retain(|group| group.iter().any(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)));
    groups
}

/// Drops words that carry no meaning for us and that the PostgreSQL grammar does not know: Redshift's `with no schema binding`
/// (our views are always late bound) and `approximate` before an aggregate.
fn without_noise(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid: Vec<usize> = (0..tokens.len()).filter(|&i| !matches!(tokens[i].token, Token::Whitespace(_))).collect();
    let word = |at: usize, word: &str| solid.get(at).is_some_and(|&i| is_word(&tokens[i].token, word));
    let mut noise = std::collections::BTreeSet::new();
    for at in 0..solid.len() {
        if word(at, "approximate") && (word(at + 1, "count") || word(at + 1, "percentile_disc")) {
            noise.insert(solid[at]);
        }
        // `trim(trailing from x)` says what `trim(trailing x)` says.
        if word(at + 1, "from") && ["leading", "trailing", "both"].iter().any(|side| word(at, side)) {
            noise.insert(solid[at + 1]);
        }
        if ["with", "no", "schema", "binding"].iter().enumerate().all(|(n, text)| word(at + n, text)) {
            noise.extend(&solid[at..at + 4]);
        }
    }
    tokens.into_iter().enumerate().filter(|(i, _)| !noise.contains(i)).map(|(_, token)| token).collect()
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(word))
}

/// Called by the dialect before every infix operator; takes `[not] between symmetric low and high` only.
pub(super) fn between_symmetric(parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    // The operator itself has been looked at, not taken, when this is called.
    let words: Vec<Token> = (0..3).map(|n| parser.peek_nth_token_ref(n).token.clone()).collect();
    let negated = is_word(&words[0], "not");
    let at = usize::from(negated);
    if !(is_word(&words[at], "between") && is_word(&words[at + 1], "symmetric")) {
        return None;
    }
    (0..at + 2).for_each(|_| parser.advance_token());
    Some(read_symmetric(parser, expr.clone(), negated))
}

fn read_symmetric(parser: &mut Parser, expr: Expr, negated: bool) -> Result<Expr, ParserError> {
    let precedence = WarehouseDialect.prec_value(Precedence::Between);
    let low = parser.parse_subexpr(precedence)?;
    parser.expect_keyword_is(Keyword::AND)?;
    let high = parser.parse_subexpr(precedence)?;
    let bound = |name: &str| call(name, vec![low.clone(), high.clone()]);
    Ok(Expr::Between { expr: Box::new(expr), negated, low: Box::new(bound("least")), high: Box::new(bound("greatest")) })
}

/// A plain function call as the parser would have read it.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(function(name, args))
}

pub(super) fn function(name: &str, args: Vec<Expr>) -> Function {
    Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// What stands after a place in a text.
pub(super) fn text_after(sql: &str, place: sqlparser::tokenizer::Location) -> &str {
    &sql[LineStarts::of(sql).offset(sql, place.line, place.column)..]
}

/// Byte offsets of line starts, to turn the tokenizer's lines and columns (both from 1, columns in characters) into offsets.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(sql: &str) -> Self {
        Self(std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn offset(&self, sql: &str, line: u64, column: u64) -> usize {
        let start = self.0.get(line.saturating_sub(1) as usize).copied().unwrap_or(sql.len());
        let rest = &sql[start..];
        start + rest.char_indices().nth(column.saturating_sub(1) as usize).map_or(rest.len(), |(at, _)| at)
    }

    fn text(&self, sql: &str, tokens: &[TokenWithSpan]) -> String {
        let solid = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_) | Token::EOF);
        let (Some(first), Some(last)) = (tokens.iter().find(solid), tokens.iter().rev().find(solid)) else {
            return String::new();
        };
        let start = self.offset(sql, first.span.start.line, first.span.start.column);
        let end = self.offset(sql, last.span.end.line, last.span.end.column);
        sql[start..end.max(start)].to_string()
    }
}
