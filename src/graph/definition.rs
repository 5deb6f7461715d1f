//! Selections of `selectors.yml`: a definition in its normal form, evaluated like the criteria of a command line.
//!
//! The rules are those of dbt-core's `graph/cli.py`: `union` and `intersection` of parts, less what their `exclude` selects.

use serde_json::Value as Json;

use super::selector::{Indirect, Parsed, Picked, Selector};
use crate::diagnostic::{Diagnostic, Outcome};

/// Selectors that name selectors, so deep, and no deeper.
const MAX_DEPTH: usize = 32;

impl Selector<'_> {
    /// What the selector of that name selects.
    pub(super) fn named(&mut self, name: &str) -> Outcome<Picked> {
        let selectors = &self.manifest.selectors;
        let Some(definition) = selectors.get(name).and_then(|selector| selector.get("definition")) else {
            let names: Vec<&str> = selectors.keys().map(String::as_str).collect();
            return Diagnostic::error("selector-not-found", format!("there is no selector `{name}` in selectors.yml"))
                .help(format!("expected one of {}", names.join(", ")))
                .suggest(name, names)
                .fail();
        };
        if self.depth >= MAX_DEPTH {
            return Diagnostic::error("selector-cycle", format!("the selector `{name}` leads to itself")).fail();
        }
        self.depth += 1;
        let picked = self.definition(definition);
        self.depth -= 1;
        picked
    }

    fn definition(&mut self, definition: &Json) -> Outcome<Picked> {
        if let Some(text) = definition.as_str() {
            return self.criterion(text);
        }
        if let Some((method, value)) = definition.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next())
            && !matches!(method.as_str(), "union" | "intersection" | "exclude")
        {
            return self.mapping(&serde_json::json!({"method": method, "value": value}));
        }
        if let Some(parts) = definition.get("union").and_then(Json::as_array) {
            return self.set_of(parts, |picked, found| {
                picked.direct.union_with(&found.direct);
                picked.pending.union_with(&found.pending);
            });
        }
        if let Some(parts) = definition.get("intersection").and_then(Json::as_array) {
            return self.set_of(parts, |picked, found| {
                picked.direct.intersect_with(&found.direct);
                picked.pending.intersect_with(&found.pending);
            });
        }
        let mut picked = self.mapping(definition)?;
        self.exclude(&mut picked, definition)?;
        Ok(picked)
    }

    /// The parts joined from left to right, less what an `exclude` among them selects.
    fn set_of(&mut self, parts: &[Json], join: fn(&mut Picked, &Picked)) -> Outcome<Picked> {
        let (mut joined, mut excluding) = (None, None);
        for part in parts {
            if part.get("exclude").is_some() && part.get("method").is_none() {
                excluding = Some(part);
                continue;
            }
            let found = self.definition(part)?;
            match &mut joined {
                None => joined = Some(found),
                Some(picked) => join(picked, &found),
            }
        }
        let mut picked = joined.unwrap_or_else(|| Picked { direct: self.empty(), pending: self.empty() });
        self.settle(&mut picked);
        if let Some(part) = excluding {
            self.exclude(&mut picked, part)?;
        }
        Ok(picked)
    }

    fn exclude(&mut self, picked: &mut Picked, definition: &Json) -> Outcome<()> {
        for part in definition.get("exclude").and_then(Json::as_array).into_iter().flatten() {
            let found = self.definition(part)?;
            picked.direct.subtract(&found.direct);
            picked.pending.subtract(&found.direct);
        }
        Ok(())
    }

    /// One criterion as a mapping: `method`, `value`, graph operators, `indirect_selection`.
    fn mapping(&mut self, definition: &Json) -> Outcome<Picked> {
        let text = |key: &str| match definition.get(key) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let is_on = |key: &str| definition.get(key).and_then(Json::as_bool).unwrap_or(false);
        let reach = |operator: &str, depth: &str| is_on(operator).then(|| text(depth).parse().ok());
        let parsed = Parsed::of(&text("method"), text("value"))?.reaching(
            is_on("childrens_parents"),
            reach("parents", "parents_depth"),
            reach("children", "children_depth"),
        );
        let indirect = match definition.get("indirect_selection") {
            Some(Json::String(mode)) => Indirect::parse(mode)?,
            _ => self.indirect,
        };
        let before = std::mem::replace(&mut self.indirect, indirect);
        let picked = self.matching(&parsed);
        self.indirect = before;
        picked
    }
}
