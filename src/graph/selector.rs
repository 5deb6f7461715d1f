//! dbt's selection language: parsing a criterion, set algebra, graph operators, and tests selected through their parents.
//!
//! The rules are those of dbt-core's `graph/selector.py`, `graph/selector_spec.py` and `graph/cli.py`.

use std::cell::RefCell;
use std::sync::LazyLock;

use indexmap::IndexSet;
use regex::{Captures, Regex};

use super::method::{self, Criterion, Method};
use super::node_set::NodeSet;
use super::{Dag, Direction, Member, SelectionArgs, State};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::Manifest;
use crate::name::UniqueId;

/// `@`, `2+`, `method.argument:`, value, `+1`.
static CRITERION: LazyLock<Regex> = LazyLock::new(|| {
    let parts = r"\A(?P<at>@)?(?P<parents>(?P<up>\d*)\+)?((?P<method>[\w.]+):)?(?P<value>.*?)(?P<children>\+(?P<down>\d*))?\z";
    Regex::new(parts).expect("the criterion's pattern is a valid regular expression")
});

/// Which tests come along with the nodes they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indirect {
    /// With any of them.
    Eager,
    /// Only with all of them.
    Cautious,
    /// With all of them, where ancestors of the selection count as selected.
    Buildable,
    /// Never.
    Empty,
}

impl Indirect {
    pub fn parse(text: &str) -> Outcome<Self> {
        match text {
            "" | "eager" => Ok(Self::Eager),
            "cautious" => Ok(Self::Cautious),
            "buildable" => Ok(Self::Buildable),
            "empty" => Ok(Self::Empty),
            other => Diagnostic::error("selection-invalid", format!("`{other}` is not a way of indirect selection"))
                .help("expected `eager`, `cautious`, `buildable` or `empty`")
                .suggest(other, ["eager", "cautious", "buildable", "empty"])
                .fail(),
        }
    }
}

/// How far a graph operator reaches: not at all, or so many steps (none: to the end).
pub(super) type Reach = Option<Option<usize>>;

/// One criterion, taken apart.
pub(super) struct Parsed {
    method: &'static Method,
    arguments: Vec<String>,
    value: String,
    /// `@`: the children and all that these need.
    childrens_parents: bool,
    parents: Reach,
    children: Reach,
}

impl Parsed {
    fn parse(raw: &str) -> Outcome<Self> {
        let invalid = |why: &str| Diagnostic::error("selection-invalid", format!("invalid selection criterion '{raw}': {why}"));
        let Some(parts) = CRITERION.captures(raw) else {
            return invalid("it must be one line").fail();
        };
        let childrens_parents = parts.name("at").is_some();
        let children = reach(&parts, "children", "down").map_err(|()| invalid("the number after `+` is too large"))?;
        let parents = reach(&parts, "parents", "up").map_err(|()| invalid("the number before `+` is too large"))?;
        if childrens_parents && children.is_some() {
            return invalid("`@` before and `+` after exclude each other").fail();
        }
        let value = parts["value"].to_string();
        let parsed = match parts.name("method") {
            Some(name) => Self::of(name.as_str(), value)?,
            None => Self { method: method::default_for(&value)?, ..Self::of("fqn", value)? },
        };
        Ok(parsed.reaching(childrens_parents, parents, children))
    }

    /// A method with its arguments (`config.materialized`) and a value, without graph operators.
    pub fn of(method: &str, value: String) -> Outcome<Self> {
        let mut words = method.split('.');
        let method = method::find(words.next().unwrap_or_default())?;
        let arguments = words.map(str::to_string).collect();
        Ok(Self { method, arguments, value, childrens_parents: false, parents: None, children: None })
    }

    pub fn reaching(self, childrens_parents: bool, parents: Reach, children: Reach) -> Self {
        Self { childrens_parents, parents, children, ..self }
    }
}

fn reach(parts: &Captures<'_>, operator: &str, depth: &str) -> Result<Reach, ()> {
    if parts.name(operator).is_none() {
        return Ok(None);
    }
    match &parts[depth] {
        "" => Ok(Some(None)),
        digits => digits.parse().map(|depth| Some(Some(depth))).map_err(|_| ()),
    }
}

/// What a part of an expression selects.
pub(super) struct Picked {
    pub direct: NodeSet,
    /// Tests that some selected node leads to, but whose other parents are missing so far.
    pub pending: NodeSet,
}

pub(super) fn select(manifest: &Manifest, dag: &Dag, args: &SelectionArgs) -> Outcome<(IndexSet<UniqueId>, Vec<Diagnostic>)> {
    let mut selector = Selector::new(manifest, dag, Indirect::parse(&args.indirect_selection)?);
    selector.state = args.state.as_deref();
    let selected_by_name = args.selector.as_deref().or_else(|| default_selector(manifest, args));
    let mut selected = match selected_by_name {
        Some(name) => selector.named(name)?.direct,
        None if args.select.is_empty() => selector.enabled.clone(),
        None => selector.union(&args.select)?.direct,
    };
    if selected_by_name.is_none() && !args.exclude.is_empty() {
        selected.subtract(&selector.union(&args.exclude)?.direct);
    }
    let fits = |position: &usize| {
        args.resource_types.is_empty() || args.resource_types.contains(&selector.members[*position].resource_type())
    };
    let ids = selected.iter().filter(fits).map(|position| dag.id(position).clone()).collect();
    Ok((ids, selector.warnings.into_inner()))
}

/// The selector that holds where the command line says nothing: the one with `default: true`.
fn default_selector<'m>(manifest: &'m Manifest, args: &SelectionArgs) -> Option<&'m str> {
    if !args.select.is_empty() || !args.exclude.is_empty() {
        return None;
    }
    let is_default = |selector: &serde_json::Value| selector.get("default") == Some(&serde_json::Value::Bool(true));
    manifest.selectors.iter().find(|(_, selector)| is_default(selector)).map(|(name, _)| name.as_str())
}

pub(super) struct Selector<'m> {
    pub manifest: &'m Manifest,
    dag: &'m Dag,
    members: Vec<Member<'m>>,
    enabled: NodeSet,
    pub indirect: Indirect,
    /// How many named selectors are being followed.
    pub depth: usize,
    state: Option<&'m State>,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl<'m> Selector<'m> {
    fn new(manifest: &'m Manifest, dag: &'m Dag, indirect: Indirect) -> Self {
        let members: Vec<_> = Member::all(manifest).collect();
        let is_enabled = |member: &Member<'_>| member.config().get("enabled").and_then(|value| value.as_bool()) != Some(false);
        let enabled = (0..members.len()).filter(|position| is_enabled(&members[*position]));
        let enabled = NodeSet::from_indices(members.len(), enabled);
        Self { manifest, dag, members, enabled, indirect, depth: 0, state: None, warnings: RefCell::default() }
    }

    pub fn empty(&self) -> NodeSet {
        NodeSet::empty(self.members.len())
    }

    /// Any of the arguments, each of which may hold several parts between spaces.
    fn union(&mut self, arguments: &[String]) -> Outcome<Picked> {
        let mut picked = Picked { direct: self.empty(), pending: self.empty() };
        for argument in arguments {
            // An argument of blanks alone selects nothing, with a warning: a script's empty variable must not mean everything.
            let blank = argument.trim().is_empty();
            for part in argument.split_whitespace().chain(blank.then_some("")) {
                let found = self.intersection(part)?;
                picked.direct.union_with(&found.direct);
                picked.pending.union_with(&found.pending);
            }
        }
        self.settle(&mut picked);
        Ok(picked)
    }

    /// All of the criteria between commas.
    fn intersection(&mut self, raw: &str) -> Outcome<Picked> {
        let mut criteria = raw.split(',');
        let mut picked = self.criterion(criteria.next().unwrap_or_default())?;
        for criterion in criteria {
            let found = self.criterion(criterion)?;
            picked.direct.intersect_with(&found.direct);
            picked.pending.intersect_with(&found.pending);
        }
        self.settle(&mut picked);
        if picked.direct.is_empty() {
            let message = format!("The selection criterion '{raw}' does not match any enabled nodes");
            let bare = raw.trim_matches(|c: char| c == '+' || c == '@' || c.is_ascii_digit());
            let bare = bare.rsplit(':').next().unwrap_or(bare);
            let names: Vec<String> = self.members.iter().map(Member::search_name).collect();
            let warning = Diagnostic::warning("selection-empty", message);
            self.warnings.borrow_mut().push(warning.suggest(bare, names.iter().map(String::as_str)));
        }
        Ok(picked)
    }

    /// One criterion. `pending` holds what is selected for sure too, as dbt combines both before it settles them.
    pub fn criterion(&mut self, raw: &str) -> Outcome<Picked> {
        self.matching(&Parsed::parse(raw)?)
    }

    /// What a criterion matches and its operators reach.
    pub fn matching(&mut self, parsed: &Parsed) -> Outcome<Picked> {
        let found = match parsed.method.name {
            "selector" => self.named(&parsed.value)?.direct,
            _ => self.matches(parsed)?,
        };
        let mut direct = found.clone();
        if parsed.childrens_parents {
            let mut below = self.dag.walk(&found, Direction::Children, None);
            below.union_with(&found);
            direct.union_with(&self.dag.walk(&below, Direction::Parents, None));
            direct.union_with(&below);
        }
        if let Some(depth) = parsed.parents {
            direct.union_with(&self.dag.walk(&found, Direction::Parents, depth));
        }
        if let Some(depth) = parsed.children {
            direct.union_with(&self.dag.walk(&found, Direction::Children, depth));
        }
        direct.intersect_with(&self.enabled);
        if parsed.method.name == "selector" {
            // A named selection has decided on tests already; those it leaves out must not come back.
            return Ok(Picked { direct: direct.clone(), pending: direct });
        }
        Ok(self.with_tests(direct))
    }

    fn matches(&self, parsed: &Parsed) -> Outcome<NodeSet> {
        let criterion = Criterion {
            method: parsed.method.name,
            arguments: &parsed.arguments,
            value: &parsed.value,
            manifest: self.manifest,
            members: &self.members,
            state: self.state,
            warnings: &self.warnings,
        };
        let matches = (parsed.method.prepare)(criterion)?;
        let found = self.enabled.iter().filter(|position| matches(&self.members[*position]));
        Ok(NodeSet::from_indices(self.members.len(), found))
    }

    /// Adds the tests that the selected nodes bring along, and notes those that wait for further parents.
    fn with_tests(&self, selected: NodeSet) -> Picked {
        let mut picked = Picked { direct: selected.clone(), pending: self.empty() };
        if self.indirect == Indirect::Empty {
            picked.pending = selected;
            return picked;
        }
        let mut present = selected.clone();
        if self.indirect == Indirect::Buildable {
            present.union_with(&self.dag.walk(&selected, Direction::Parents, None));
            let sources = (0..self.members.len()).filter(|position| matches!(self.members[*position], Member::Source(_)));
            sources.for_each(|position| {
                present.insert(position);
            });
        }
        for position in selected.iter() {
            for child in self.dag.next(position, Direction::Children) {
                if !self.members[child].is_any_test() || !self.enabled.contains(child) {
                    continue;
                }
                match self.indirect == Indirect::Eager || self.reads_only(child, &present) {
                    true => picked.direct.insert(child),
                    false => picked.pending.insert(child),
                };
            }
        }
        picked.pending.union_with(&picked.direct);
        picked
    }

    /// After sets were combined: takes in the waiting tests whose parents are all there now.
    pub fn settle(&self, picked: &mut Picked) {
        if !matches!(self.indirect, Indirect::Cautious | Indirect::Buildable) {
            return;
        }
        let mut present = picked.direct.clone();
        if self.indirect == Indirect::Buildable {
            present.union_with(&self.dag.walk(&picked.direct, Direction::Parents, None));
        }
        for position in picked.pending.iter() {
            // Unit tests read one node only, so they never wait.
            if matches!(self.members[position], Member::Node(_)) && self.reads_only(position, &present) {
                picked.direct.insert(position);
            }
        }
    }

    fn reads_only(&self, position: usize, present: &NodeSet) -> bool {
        self.dag.next(position, Direction::Parents).all(|parent| present.contains(parent))
    }
}
