//! PostgreSQL's `numeric`: digits of base 10,000, as exact decimals or text.

/// The value's sign field.
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// A `numeric` in its binary form.
pub struct Numeric<'a> {
    digits: &'a [u8],
    /// The power of 10,000 of the first digit.
    weight: i32,
    sign: u16,
    /// Decimal digits behind the point.
    scale: usize,
}

impl<'a> Numeric<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, digits) = bytes.split_first_chunk::<8>()?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        (digits.len() == usize::from(word(0)) * 2).then(|| Self {
            digits,
            weight: i32::from(word(2).cast_signed()),
            sign: word(4),
            scale: usize::from(word(6)),
        })
    }

    fn digit(&self, at: i32) -> u16 {
        let Ok(at) = usize::try_from(at) else { return 0 };
        self.digits.get(at * 2..at * 2 + 2).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// As an integer of `scale` digits behind the point; `None` if it is no number or does not fit exactly.
    pub fn decimal(&self, scale: i8) -> Option<i128> {
        if matches!(self.sign, NAN | INFINITY | MINUS_INFINITY) {
            return None;
        }
        let mut value: i128 = 0;
        let count = i32::try_from(self.digits.len() / 2).ok()?;
        for at in 0..count {
            value = value.checked_mul(10_000)?.checked_add(i128::from(self.digit(at)))?;
        }
        // The last digit read stands for 10,000^(weight - count + 1).
        let exponent = (self.weight - count + 1) * 4 + i32::from(scale);
        let power = 10_i128.checked_pow(exponent.unsigned_abs());
        let value = match (value, exponent >= 0) {
            (0, _) => 0,
            (value, true) => value.checked_mul(power?)?,
            (value, false) if value % power? == 0 => value / power?,
            _ => return None,
        };
        Some(if self.sign == NEGATIVE { -value } else { value })
    }

    /// As the server writes it.
    pub fn text(&self) -> String {
        match self.sign {
            NAN => return "NaN".to_string(),
            INFINITY => return "Infinity".to_string(),
            MINUS_INFINITY => return "-Infinity".to_string(),
            _ => {}
        }
        let mut text = String::new();
        if self.sign == NEGATIVE {
            text.push('-');
        }
        if self.weight < 0 {
            text.push('0');
        } else {
            text.push_str(&self.digit(0).to_string());
            for at in 1..=self.weight {
                text.push_str(&format!("{:04}", self.digit(at)));
            }
        }
        if self.scale > 0 {
            let mut fraction = String::new();
            let mut at = self.weight + 1;
            while fraction.len() < self.scale {
                fraction.push_str(&format!("{:04}", self.digit(at)));
                at += 1;
            }
            text.push('.');
            text.push_str(&fraction[..self.scale]);
        }
        text
    }
}

/// A decimal number as text, as an integer of `scale` digits behind the point; `None` if it does not fit exactly.
pub fn decimal_of_text(text: &str, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::try_from(scale).ok()?;
    let (kept, beyond) = fraction.split_at(fraction.len().min(scale));
    if beyond.bytes().any(|digit| digit != b'0') || whole.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    let zeros = std::iter::repeat_n(b'0', scale - kept.len());
    for digit in whole.bytes().chain(kept.bytes()).chain(zeros) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    Some(if negative { -value } else { value })
}
