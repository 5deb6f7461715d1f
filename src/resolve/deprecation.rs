//! `deprecation_date`: read, and told where it has passed or is near for somebody who reads the model.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{JsonMap, Node};
use crate::parse::python_text::str_of;
use crate::source::Location;

use super::Resolver;
use super::columns::text;

/// The entry's `deprecation_date` as dbt keeps it: a time with its zone, UTC where none is given.
pub(super) fn date(properties: &JsonMap, location: &Location) -> Outcome<Option<String>> {
    let Some(given) = text(properties.get("deprecation_date")) else { return Ok(None) };
    let iso = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, false);
    let trimmed = given.trim();
    if let Ok(date) = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d") {
        return Ok(Some(iso(date.and_time(chrono::NaiveTime::MIN).and_utc())));
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
        if let Ok(time) = DateTime::parse_from_str(trimmed, format) {
            return Ok(Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, false)));
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(trimmed, format) {
            return Ok(Some(iso(time.and_utc())));
        }
    }
    Diagnostic::error("deprecation-date", format!("`{given}` is no date that a model can be deprecated at"))
        .at(location.clone())
        .help("expected a form like 2030-01-31, with a time and a zone if need be")
        .fail()
}

impl Resolver<'_> {
    /// Warns of models past their date, and of every reference to one that has a date.
    pub(super) fn check_deprecations(&mut self, now: DateTime<Utc>) {
        let dated = |node: &Node| {
            let date = node.model.as_ref()?.deprecation_date.clone()?;
            let time = DateTime::parse_from_rfc3339(&date).ok()?.to_utc();
            Some((date, time < now))
        };
        let mut found = Vec::new();
        for node in self.manifest.nodes.values() {
            if let Some((date, true)) = dated(node) {
                let message = format!("the model {} has passed its deprecation date of {date}", shown_name(node));
                let warning = Diagnostic::warning("model-deprecated", message).at(node.location.clone());
                found.push(warning.help("disable or remove it"));
            }
        }
        for node in self.manifest.nodes.values() {
            for parent in node.depends_on.nodes.iter().filter_map(|id| self.manifest.nodes.get(id)) {
                let (true, Some((date, has_passed))) = (node.model.is_some(), dated(parent)) else { continue };
                let (code, when) = match has_passed {
                    true => ("reference-deprecated", "was deprecated on"),
                    false => ("reference-deprecated-soon", "is to be deprecated on"),
                };
                let message = format!("`{}` refers to {}, which {when} {date}", node.name, shown_name(parent));
                let warning = Diagnostic::warning(code, message).at(node.location.clone());
                found.push(newer(parent).into_iter().fold(warning, Diagnostic::help));
            }
        }
        self.diagnostics.extend(found);
    }
}

fn shown_name(node: &Node) -> String {
    match node.model.as_ref().and_then(|model| model.version.as_ref()) {
        Some(version) => format!("`{}.v{}`", node.name, str_of(version)),
        None => format!("`{}`", node.name),
    }
}

/// What to refer to instead, where the model has a later version.
fn newer(node: &Node) -> Option<String> {
    let model = node.model.as_ref()?;
    let (version, latest) = (model.version.as_ref()?, model.latest_version.as_ref()?);
    let newer = format!("a newer version is there: {{{{ ref('{}', v={}) }}}}", node.name, latest);
    (version != latest).then_some(newer)
}
