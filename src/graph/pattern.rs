//! Shell-style patterns as Python's `fnmatch` reads them on Linux: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`; case matters.

/// One element of a pattern.
#[derive(Clone, Debug)]
enum Token {
    Literal(char),
    One,
    Many,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// A compiled pattern, matched against whole texts.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    /// None where the text has no special character and equality decides.
    tokens: Option<Vec<Token>>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let tokens = has_wildcard(text).then(|| tokens(text));
        Self { text: text.to_string(), tokens }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.tokens {
            None => self.text == text,
            Some(tokens) => wild_match(tokens, &text.chars().collect::<Vec<_>>()),
        }
    }
}

/// Whether `text` is more than a plain name.
pub(crate) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '[', ']'])
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let (token, next) = match chars[at] {
            '*' => (Token::Many, at + 1),
            '?' => (Token::One, at + 1),
            '[' => class(&chars, at).unwrap_or((Token::Literal('['), at + 1)),
            other => (Token::Literal(other), at + 1),
        };
        tokens.push(token);
        at = next;
    }
    tokens
}

/// The class that opens at `at` and the place after it; none if it is never closed, as `[` is then itself.
fn class(chars: &[char], at: usize) -> Option<(Token, usize)> {
    let negated = chars.get(at + 1) == Some(&'!');
    let first = at + 1 + usize::from(negated);
    // A `]` right at the start belongs to the class.
    let end = (first + 1..chars.len()).find(|&place| chars[place] == ']')?;
    let members = &chars[first..end];
    let mut ranges = Vec::new();
    let mut place = 0;
    while place < members.len() {
        if place + 2 < members.len() && members[place + 1] == '-' {
            ranges.push((members[place], members[place + 2]));
            place += 3;
        } else {
            ranges.push((members[place], members[place]));
            place += 1;
        }
    }
    Some((Token::Class { negated, ranges }, end + 1))
}

fn one_match(token: &Token, char: char) -> bool {
    match token {
        Token::Literal(literal) => *literal == char,
        Token::One => true,
        Token::Many => false,
        Token::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&char)) != *negated,
    }
}

/// Matches greedily, going back only to the last `*`: the classic two-pointer algorithm.
fn wild_match(tokens: &[Token], text: &[char]) -> bool {
    let (mut token, mut place) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while place < text.len() {
        if matches!(tokens.get(token), Some(Token::Many)) {
            resume = Some((token, place));
            token += 1;
        } else if tokens.get(token).is_some_and(|wanted| one_match(wanted, text[place])) {
            token += 1;
            place += 1;
        } else if let Some((star, start)) = resume {
            resume = Some((star, start + 1));
            token = star + 1;
            place = start + 1;
        } else {
            return false;
        }
    }
    tokens[token..].iter().all(|rest| matches!(rest, Token::Many))
}
