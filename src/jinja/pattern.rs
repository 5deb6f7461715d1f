//! `modules.re`: Python's regular expressions, with look-around and back-references.

use std::fmt;
use std::sync::Arc;

use fancy_regex::{Captures, Regex};
use minijinja::value::{Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::arguments::Arguments;
use super::collection::{dict, list};
use super::context::Native;

/// What a match found: the groups, number 0 being the whole.
struct Match {
    groups: Vec<Option<String>>,
    names: Vec<Option<String>>,
    span: (usize, usize),
}

/// `re.<name>`.
pub(super) fn function(name: &str) -> Option<Native> {
    Some(match name {
        "match" => |_, _, args| first(args, Anchor::Start),
        "fullmatch" => |_, _, args| first(args, Anchor::Whole),
        "search" => |_, _, args| first(args, Anchor::None),
        "findall" => |_, _, args| find_all(args),
        "sub" => |_, _, args| substitute(args),
        "split" => |_, _, args| split(args),
        "escape" => |_, _, args| Ok(Value::from(regex::escape(&args.text(0, "pattern")?))),
        "compile" => |_, _, args| Ok(Value::from(args.text(0, "pattern")?)),
        _ => return None,
    })
}

enum Anchor {
    None,
    Start,
    Whole,
}

/// A pattern of Python's in the spelling of the `fancy-regex` crate: a brace that begins no repetition is itself, `{,n}` begins
/// at none, `\Z` is the very end, and what the crate reads as set operations within brackets is escaped.
fn translated(pattern: &str) -> String {
    let repetition = regex::Regex::new(r"^\{(\d*)(,?)(\d*)\}").expect("the pattern is fixed");
    let (mut out, mut rest, mut in_class) = (String::with_capacity(pattern.len()), pattern, false);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '\\' => {
                length += rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(if &rest[..length] == "\\Z" { "\\z" } else { &rest[..length] });
            }
            '[' if !in_class => {
                in_class = true;
                // A closing bracket that comes first is itself.
                let head = ["[^]", "[]", "[^"].into_iter().find(|head| rest.starts_with(head)).unwrap_or("[");
                length = head.len();
                out.push_str(&head.replace(']', "\\]"));
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' => out.push_str("\\["),
            '&' | '~' if in_class => out.extend(['\\', first]),
            '{' if !in_class => match repetition.captures(rest).filter(|found| found[0].len() > 2 && &found[0] != "{,}") {
                Some(found) => {
                    length = found[0].len();
                    let from = if found[1].is_empty() { "0" } else { &found[1] };
                    out.push_str(&format!("{{{from}{}{}}}", &found[2], &found[3]));
                }
                None => out.push_str("\\{"),
            },
            other => out.push(other),
        }
        rest = &rest[length..];
    }
    out
}

fn compiled(pattern: &str, anchor: &Anchor) -> Result<Regex, Error> {
    let translated = translated(pattern);
    let pattern = translated.as_str();
    let anchored = match anchor {
        Anchor::None => pattern.to_string(),
        Anchor::Start => format!("^(?:{pattern})"),
        Anchor::Whole => format!("^(?:{pattern})$"),
    };
    Regex::new(&anchored).map_err(|error| failed(pattern, &error))
}

/// A pattern that cannot be read, or one that would search for ever.
fn failed(pattern: &str, error: &fancy_regex::Error) -> Error {
    let reason = error.to_string();
    let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let message = format!("re: `{pattern}` is no regular expression that can be used here: {reason}");
    Error::new(ErrorKind::InvalidOperation, message)
}

fn first(args: &Arguments<'_>, anchor: Anchor) -> Result<Value, Error> {
    let regex = compiled(&args.text(0, "pattern")?, &anchor)?;
    let text = args.text(1, "string")?;
    let Some(captures) = regex.captures(&text).map_err(|error| failed(regex.as_str(), &error))? else {
        return Ok(Value::from(()));
    };
    let whole =
        captures.get(0).map_or((0, 0), |whole| (text[..whole.start()].chars().count(), text[..whole.end()].chars().count()));
    Ok(Value::from_object(Match {
        groups: captures.iter().map(|group| group.map(|group| group.as_str().to_string())).collect(),
        names: regex.capture_names().map(|name| name.map(str::to_string)).collect(),
        span: whole,
    }))
}

/// Every match that does not overlap with an earlier one, at most `limit` of them if it is not 0.
fn matches<'t>(regex: &Regex, text: &'t str, limit: usize) -> Result<Vec<Captures<'t>>, Error> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let found: Result<Vec<_>, _> = regex.captures_iter(text).take(limit).collect();
    found.map_err(|error| failed(regex.as_str(), &error))
}

fn find_all(args: &Arguments<'_>) -> Result<Value, Error> {
    let regex = compiled(&args.text(0, "pattern")?, &Anchor::None)?;
    let text = args.text(1, "string")?;
    let found = matches(&regex, &text, 0)?.into_iter().map(|captures| {
        let group = |index: usize| Value::from(captures.get(index).map_or("", |group| group.as_str()));
        match captures.len() {
            1 => group(0),
            2 => group(1),
            count => Value::from(Tuple::from((1..count).map(group).collect::<Vec<_>>())),
        }
    });
    Ok(list(found.collect()))
}

fn substitute(args: &Arguments<'_>) -> Result<Value, Error> {
    let regex = compiled(&args.text(0, "pattern")?, &Anchor::None)?;
    let (replacement, text) = (args.text(1, "repl")?, args.text(2, "string")?);
    // `\1` and `\g<name>` are `${1}` and `${name}` here; a plain `$` is doubled.
    let replacement = replacement.replace('$', "$$");
    let groups = regex::Regex::new(r"\\(\d+)|\\g<(\w+)>").expect("the pattern is fixed");
    let replacement = groups.replace_all(&replacement, "$${$1$2}").into_owned();
    let count = args.get(3, "count").and_then(Value::as_usize).unwrap_or(0);
    let (mut replaced, mut from) = (String::with_capacity(text.len()), 0);
    for captures in matches(&regex, &text, count)? {
        let (start, end) = captures.get(0).map_or((from, from), |whole| (whole.start(), whole.end()));
        replaced.push_str(&text[from..start]);
        captures.expand(&replacement, &mut replaced);
        from = end;
    }
    replaced.push_str(&text[from..]);
    Ok(Value::from(replaced))
}

/// The text between the matches, and the groups of each match where there are groups.
fn split(args: &Arguments<'_>) -> Result<Value, Error> {
    let regex = compiled(&args.text(0, "pattern")?, &Anchor::None)?;
    let text = args.text(1, "string")?;
    let (mut parts, mut from) = (Vec::new(), 0);
    for captures in matches(&regex, &text, args.get(2, "maxsplit").and_then(Value::as_usize).unwrap_or(0))? {
        let (start, end) = captures.get(0).map_or((from, from), |whole| (whole.start(), whole.end()));
        parts.push(Value::from(&text[from..start]));
        let groups = captures.iter().skip(1);
        parts.extend(groups.map(|group| group.map_or(Value::from(()), |group| Value::from(group.as_str()))));
        from = end;
    }
    parts.push(Value::from(&text[from..]));
    Ok(list(parts))
}

impl Match {
    fn group(&self, key: &Value) -> Result<Value, Error> {
        let index = match key.as_str() {
            Some(name) => self.names.iter().position(|known| known.as_deref() == Some(name)),
            None => key.as_usize().filter(|index| *index < self.groups.len()),
        };
        match index {
            Some(index) => Ok(self.groups[index].as_deref().map_or(Value::from(()), Value::from)),
            None => Err(Error::new(ErrorKind::InvalidOperation, format!("the match has no group {key:?}"))),
        }
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<match {:?}>", self.groups.first().cloned().flatten().unwrap_or_default())
    }
}

impl Object for Match {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.group(key).ok()
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let text = |group: &Option<String>| group.as_deref().map_or(Value::from(()), Value::from);
        Ok(match method {
            "group" => match args {
                [] => self.group(&Value::from(0))?,
                [key] => self.group(key)?,
                keys => Value::from(Tuple::from(keys.iter().map(|key| self.group(key)).collect::<Result<Vec<_>, _>>()?)),
            },
            "groups" => Value::from(Tuple::from(self.groups.iter().skip(1).map(text).collect::<Vec<_>>())),
            "groupdict" => dict(
                self.names
                    .iter()
                    .zip(&self.groups)
                    .filter_map(|(name, group)| Some((Value::from(name.as_deref()?), text(group)))),
            ),
            "start" => Value::from(self.span.0),
            "end" => Value::from(self.span.1),
            "span" => Value::from(Tuple::from(vec![Value::from(self.span.0), Value::from(self.span.1)])),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }
}
