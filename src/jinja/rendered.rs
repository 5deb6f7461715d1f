//! What a render gave, with the way back: which stretch of the text came from where in the template.

use minijinja::{OutputSpan, OutputSpanKind};

use super::TemplateText;
use super::blocks::line_and_column;
use super::rewrite::Rewritten;
use crate::source::Location;

/// The text of a template and where its parts came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    pub origins: Origins,
}

/// The template behind a text, and its stretches in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    template: TemplateText,
    stretches: Vec<Stretch>,
}

/// Offsets are in bytes: `start..end` in the text given, `from..to` in the template as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    start: usize,
    end: usize,
    from: usize,
    to: usize,
    /// The text stands in the template as it is; else an expression gave it.
    verbatim: bool,
}

/// Where a piece of rendered text came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub location: Location,
    /// The text of the expression that gave it, where it does not stand in the template as it is.
    pub expression: Option<String>,
}

impl Rendered {
    /// A text without Jinja: all of it stands in the template.
    pub(super) fn verbatim(template: &TemplateText, text: String) -> Self {
        let stretch = Stretch { start: 0, end: text.len(), from: 0, to: text.len(), verbatim: true };
        Self { text, origins: Origins { template: template.clone(), stretches: vec![stretch] } }
    }

    pub(super) fn new(template: &TemplateText, rewritten: &Rewritten, text: String, spans: &[OutputSpan]) -> Self {
        let stretch = |span: &OutputSpan| {
            let (output, source) = (span.output_range(), span.source_range());
            let from = rewritten.original_offset(source.start);
            let to = rewritten.original_offset(source.end).max(from);
            Stretch { start: output.start, end: output.end, from, to, verbatim: span.kind() == OutputSpanKind::Raw }
        };
        // What an included template wrote is a macro's own output, which is captured: it never comes here.
        let stretches = spans.iter().map(stretch).collect();
        Self { text, origins: Origins { template: template.clone(), stretches } }
    }

    /// A text that one expression outside of any template gave: a generic test's.
    pub fn of_expression(text: String, expression: &str, location: Location) -> Self {
        let stretch = Stretch { start: 0, end: text.len(), from: 0, to: expression.len(), verbatim: false };
        let template = TemplateText { name: String::new(), source: expression.to_string(), location };
        Self { text, origins: Origins { template, stretches: vec![stretch] } }
    }
}

impl Origins {
    /// The place of the byte at `offset` of the text. Nothing for a text that nothing gave.
    pub fn place(&self, offset: usize) -> Option<Place> {
        let after = self.stretches.partition_point(|stretch| stretch.start <= offset);
        let stretch = self.stretches.get(after.saturating_sub(1))?;
        let source = &self.template.source;
        if stretch.verbatim {
            let at = stretch.from + offset.saturating_sub(stretch.start).min(stretch.to - stretch.from);
            return Some(Place { location: self.location(at), expression: None });
        }
        let expression = source.get(stretch.from..stretch.to).unwrap_or_default().trim();
        Some(Place { location: self.location(stretch.from), expression: Some(expression.to_string()) })
    }

    fn location(&self, offset: usize) -> Location {
        let (line, column) = line_and_column(&self.template.source, offset);
        if self.template.location.line == 0 {
            return self.template.location.clone();
        }
        self.template.location.offset_by(line, column)
    }
}
