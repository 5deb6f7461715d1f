//! PostgreSQL's number templates: `9 0 . , D G S MI PL SG PR FM L $ TH V RN`
//! (PostgreSQL documentation, section 9.8, table "Template Patterns for Numeric Formatting").

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::text;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    /// A digit place; `true` if it shows a leading zero.
    Digit(bool),
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    PlusMinus,
    Brackets,
    Currency,
    Ordinal,
    Roman,
    Other(char),
}

fn marks(template: &str) -> (Vec<Mark>, bool) {
    let mut marks = Vec::new();
    let mut fill = false;
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        let two = rest.get(..2).unwrap_or("").to_uppercase();
        let (mark, length) = match (two.as_str(), first) {
            ("FM", _) => {
                fill = true;
                rest = &rest[2..];
                continue;
            }
            ("MI", _) => (Mark::Minus, 2),
            ("PL", _) => (Mark::Plus, 2),
            ("SG", _) => (Mark::PlusMinus, 2),
            ("PR", _) => (Mark::Brackets, 2),
            ("TH", _) => (Mark::Ordinal, 2),
            ("RN", _) => (Mark::Roman, 2),
            (_, '9') => (Mark::Digit(false), 1),
            (_, '0') => (Mark::Digit(true), 1),
            (_, '.' | 'D' | 'd') => (Mark::Point, 1),
            (_, ',' | 'G' | 'g') => (Mark::Group, 1),
            (_, 'S' | 's') => (Mark::Sign, 1),
            (_, 'L' | 'l' | '$') => (Mark::Currency, 1),
            (_, '"') => {
                let end = rest[1..].find('"').map_or(rest.len(), |at| at + 1);
                marks.extend(rest[1..end].chars().map(Mark::Other));
                rest = rest.get(end + 1..).unwrap_or("");
                continue;
            }
            (_, other) => (Mark::Other(other), other.len_utf8()),
        };
        marks.push(mark);
        rest = &rest[length..];
    }
    (marks, fill)
}

pub(super) fn to_char(values: &ArrayRef, templates: &StringArray) -> Result<StringArray> {
    let texts = if values.data_type().is_floating() { text::spelt(values)? } else { cast(values, &DataType::Utf8)? };
    let texts = texts.as_string::<i32>();
    (0..texts.len())
        .map(|row| {
            if texts.is_null(row) || templates.is_null(row) {
                return Ok(None);
            }
            written(texts.value(row), templates.value(row)).map(Some)
        })
        .collect()
}

fn written(number: &str, template: &str) -> Result<String> {
    let (marks, fill) = marks(template);
    if marks.contains(&Mark::Roman) {
        return Ok(roman(number, fill));
    }
    let point = marks.iter().position(|mark| *mark == Mark::Point).unwrap_or(marks.len());
    let places = |marks: &[Mark]| marks.iter().filter(|mark| matches!(mark, Mark::Digit(_))).count();
    let (whole_places, decimals) = (places(&marks[..point]), places(&marks[point..]));
    let Some((negative, whole, fraction)) = rounded(number, decimals) else {
        return exec_err!("cannot format {number} as a number");
    };
    let digits = if whole == "0" && whole_places > 0 && decimals > 0 { String::new() } else { whole };
    let overflow = digits.len() > whole_places;
    let layout = Layout { marks: &marks, point, fill, negative, overflow };
    Ok(layout.write(&digits, &fraction, whole_places))
}

struct Layout<'a> {
    marks: &'a [Mark],
    point: usize,
    fill: bool,
    negative: bool,
    overflow: bool,
}

impl Layout<'_> {
    fn write(&self, digits: &str, fraction: &str, whole_places: usize) -> String {
        let padded: Vec<char> = format!("{digits:>whole_places$}").chars().collect();
        let first_zero =
            self.marks[..self.point].iter().filter(|m| matches!(m, Mark::Digit(_))).position(|m| *m == Mark::Digit(true));
        let significant = |place: usize| place + digits.len() >= whole_places || first_zero.is_some_and(|zero| place >= zero);
        let decimals = self.marks[self.point..].iter().filter(|m| matches!(m, Mark::Digit(_)));
        let last_zero = decimals.enumerate().filter(|(_, m)| **m == Mark::Digit(true)).last().map(|(at, _)| at);
        let explicit =
            self.marks.iter().any(|m| matches!(m, Mark::Sign | Mark::Minus | Mark::Plus | Mark::PlusMinus | Mark::Brackets));
        let kept = self.kept_decimals(fraction, last_zero);
        let (mut body, mut place, mut decimal, mut lead) = (String::new(), 0, 0, 0);
        for (n, mark) in self.marks.iter().enumerate() {
            match mark {
                Mark::Digit(_) if n < self.point => {
                    if self.overflow {
                        body.push('#');
                    } else if significant(place) {
                        body.push(if padded[place] == ' ' { '0' } else { padded[place] });
                    } else if !self.fill {
                        body.push(' ');
                        lead = body.len();
                    }
                    place += 1;
                }
                Mark::Digit(_) => {
                    if self.overflow {
                        body.push('#');
                    } else if decimal < kept {
                        body.push_str(&fraction[decimal..=decimal]);
                    }
                    decimal += 1;
                }
                Mark::Point => body.push('.'),
                Mark::Group if place == 0 || !significant(place - 1) && !self.overflow => {
                    if !self.fill {
                        body.push(' ');
                        lead = body.len();
                    }
                }
                Mark::Group => body.push(','),
                Mark::Currency => body.push(if *mark == Mark::Currency { '$' } else { ' ' }),
                Mark::Minus => body.push_str(if self.negative {
                    "-"
                } else if self.fill {
                    ""
                } else {
                    " "
                }),
                Mark::Plus => body.push_str(if self.negative { " " } else { "+" }),
                Mark::PlusMinus => body.push(if self.negative { '-' } else { '+' }),
                Mark::Ordinal => body.push_str(ending(digits)),
                Mark::Other(c) => body.push(*c),
                Mark::Sign | Mark::Brackets | Mark::Roman => {}
            }
        }
        self.signed(body, lead, explicit)
    }

    /// `FM` drops trailing zeros that stand in `9` places.
    fn kept_decimals(&self, fraction: &str, last_zero: Option<usize>) -> usize {
        if !self.fill {
            return fraction.len();
        }
        fraction.trim_end_matches('0').len().max(last_zero.map_or(0, |at| at + 1))
    }

    fn signed(&self, body: String, lead: usize, explicit: bool) -> String {
        if self.marks.contains(&Mark::Brackets) {
            let (open, close) = if self.negative {
                ("<", ">")
            } else if self.fill {
                ("", "")
            } else {
                (" ", " ")
            };
            return format!("{}{open}{}{close}", &body[..lead], &body[lead..]);
        }
        match self.marks.iter().position(|mark| *mark == Mark::Sign) {
            Some(at) if at >= self.marks.len() - 1 && at > 0 => format!("{body}{}", if self.negative { "-" } else { "+" }),
            Some(_) => format!("{}{}{}", &body[..lead], if self.negative { "-" } else { "+" }, &body[lead..]),
            None if explicit => body,
            None if self.negative => format!("{}-{}", &body[..lead], &body[lead..]),
            None if self.fill => body,
            None => format!(" {body}"),
        }
    }
}

/// A number's sign, whole digits (`0` for none) and exactly `decimals` digits after the point, rounded half away from zero.
fn rounded(number: &str, decimals: usize) -> Option<(bool, String, String)> {
    let plain = match number.split_once('e') {
        Some(_) => format!("{}", number.parse::<f64>().ok()?),
        None => number.to_string(),
    };
    let (negative, unsigned) = plain.strip_prefix('-').map_or((false, plain.as_str()), |rest| (true, rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(decimals)).collect();
    if digits.iter().any(|digit| !digit.is_ascii_digit()) {
        return None;
    }
    if fraction.as_bytes().get(decimals).is_some_and(|digit| *digit >= b'5') {
        carry(&mut digits);
    }
    let text = String::from_utf8(digits).ok()?;
    let (whole, fraction) = text.split_at(text.len() - decimals);
    let whole = whole.trim_start_matches('0');
    let is_zero = whole.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    Some((negative && !is_zero, if whole.is_empty() { "0".into() } else { whole.into() }, fraction.into()))
}

fn carry(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return;
        }
    }
    digits.insert(0, b'1');
}

fn ending(digits: &str) -> &'static str {
    let value: u64 = digits.parse().unwrap_or(0);
    match (value % 100, value % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

fn roman(number: &str, fill: bool) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest: u32 = number.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    if rest == 0 || rest > 3999 {
        return "#".repeat(15);
    }
    let mut text = String::new();
    for (value, sign) in SIGNS {
        while rest >= value {
            text.push_str(sign);
            rest -= value;
        }
    }
    if fill { text } else { format!("{text:>15}") }
}

/// The number in a text, its digits taken where the template has places; `None` for a text without digits.
pub(super) fn read(value: &str, template: &str) -> Result<Option<String>> {
    let (marks, _) = marks(template);
    let brackets = marks.contains(&Mark::Brackets) && value.trim().starts_with('<');
    let negative = brackets || value.contains('-');
    let mut number = String::new();
    for c in value.chars() {
        match c {
            '0'..='9' => number.push(c),
            '.' if marks.contains(&Mark::Point) && !number.contains('.') => number.push('.'),
            '.' if !number.is_empty() => break,
            _ => {}
        }
    }
    if !number.contains(|c: char| c.is_ascii_digit()) {
        return exec_err!("invalid input \"{value}\" for the number format \"{template}\"");
    }
    Ok(Some(if negative { format!("-{number}") } else { number }))
}
