//! One file of delimited text, written row by row.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::calendar::{Day, Moment, YEAR};

const SEPARATOR: u8 = b'|';

/// A table's file while it is being written. Values hold no separator, quote or line break; the word lists see to that.
pub struct Table {
    name: &'static str,
    out: BufWriter<File>,
    line: Vec<u8>,
    rows: u64,
}

impl Table {
    /// Begins `<folder>/<name>.txt` with its header line, such as `catid|catgroup`.
    pub fn create(folder: &Path, name: &'static str, header: &str) -> io::Result<Self> {
        let file = File::create(folder.join(format!("{name}.txt")))?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        writeln!(out, "{header}")?;
        Ok(Self { name, out, line: Vec::with_capacity(256), rows: 0 })
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.line.extend_from_slice(value.as_bytes());
        self.line.push(SEPARATOR);
        self
    }

    /// A field without a value: NULL.
    pub fn null(&mut self) -> &mut Self {
        self.line.push(SEPARATOR);
        self
    }

    pub fn number(&mut self, value: u64) -> &mut Self {
        self.digits(value, 1);
        self.line.push(SEPARATOR);
        self
    }

    pub fn truth(&mut self, value: Option<bool>) -> &mut Self {
        match value {
            Some(true) => self.text("true"),
            Some(false) => self.text("false"),
            None => self.null(),
        }
    }

    /// An amount of money in whole cents, as `12.50`.
    pub fn money(&mut self, cents: u64) -> &mut Self {
        self.digits(cents / 100, 1);
        self.line.push(b'.');
        self.digits(cents % 100, 2);
        self.line.push(SEPARATOR);
        self
    }

    /// `2025-03-09`.
    pub fn date(&mut self, day: Day) -> &mut Self {
        self.put_date(day);
        self.line.push(SEPARATOR);
        self
    }

    /// `2025-03-09 19:30:00`.
    pub fn moment(&mut self, moment: Moment) -> &mut Self {
        self.put_date(moment.day());
        let (hour, minute, second) = moment.clock();
        for (mark, part) in [(b' ', hour), (b':', minute), (b':', second)] {
            self.line.push(mark);
            self.digits(part.into(), 2);
        }
        self.line.push(SEPARATOR);
        self
    }

    /// Ends the row.
    pub fn end(&mut self) -> io::Result<()> {
        self.line.pop();
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.line.clear();
        self.rows += 1;
        Ok(())
    }

    /// Closes the file and says what it holds.
    pub fn finish(mut self) -> io::Result<Written> {
        self.out.flush()?;
        Ok(Written { name: self.name, rows: self.rows })
    }

    fn put_date(&mut self, day: Day) {
        let (month, of_month) = day.month_and_day();
        self.digits(YEAR.into(), 4);
        self.line.push(b'-');
        self.digits(month.into(), 2);
        self.line.push(b'-');
        self.digits(of_month.into(), 2);
    }

    /// Decimal digits, with zeros in front up to `width`; a formatter would cost more than all the rest together.
    fn digits(&mut self, mut value: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        while value > 0 {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        let start = start.min(digits.len() - width);
        self.line.extend_from_slice(&digits[start..]);
    }
}

/// A finished file, still in its temporary place.
pub struct Written {
    name: &'static str,
    pub rows: u64,
}

impl Written {
    /// Moves the file to `<out>/<name>/<name>.txt`, in one step: a reader sees the old file or the new one. Gives the path
    /// below `out`.
    pub fn publish(&self, from: &Path, out: &Path) -> io::Result<String> {
        let file: PathBuf = [self.name, &format!("{}.txt", self.name)].iter().collect();
        fs::create_dir_all(out.join(self.name))?;
        fs::rename(from.join(format!("{}.txt", self.name)), out.join(&file))?;
        Ok(format!("{0}/{0}.txt", self.name))
    }
}
