//! Version constraints of the hub's packages, by dbt's rules: semantic versions, where `1.0.0b1` is read as `1.0.0-b1`.

use std::cmp::Ordering;

use semver::Version;

/// One constraint: `>=1.0.0`, `<2.0.0`, `1.2.3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    matcher: Matcher,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matcher {
    Exact,
    Above,
    AtLeast,
    Below,
    AtMost,
}

const MATCHERS: [(&str, Matcher); 5] =
    [(">=", Matcher::AtLeast), ("<=", Matcher::AtMost), (">", Matcher::Above), ("<", Matcher::Below), ("=", Matcher::Exact)];

impl Constraint {
    /// Reads one constraint; none where the version is not `major.minor.patch` with an optional pre-release.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let found = MATCHERS.iter().find_map(|(sign, matcher)| Some((text.strip_prefix(sign)?, *matcher)));
        let (rest, matcher) = found.unwrap_or((text, Matcher::Exact));
        Some(Self { matcher, version: version(rest.trim())? })
    }

    /// Whether the constraint itself names a pre-release, which then may be installed.
    pub fn names_prerelease(&self) -> bool {
        !self.version.pre.is_empty()
    }

    fn admits(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.matcher {
            Matcher::Exact => order == Ordering::Equal,
            Matcher::Above => order == Ordering::Greater,
            Matcher::AtLeast => order != Ordering::Less,
            Matcher::AtMost => order != Ordering::Greater,
            // `<1.0.0` leaves out 1.0.0's own pre-releases too.
            Matcher::Below => order == Ordering::Less && !self.is_prerelease_of_bound(version),
        }
    }

    fn is_prerelease_of_bound(&self, version: &Version) -> bool {
        let base = |version: &Version| (version.major, version.minor, version.patch);
        self.version.pre.is_empty() && !version.pre.is_empty() && base(version) == base(&self.version)
    }
}

/// A version as written on the hub.
pub fn version(text: &str) -> Option<Version> {
    let numbers = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (base, rest) = text.split_at(numbers);
    match rest.chars().next() {
        None | Some('-' | '+') => Version::parse(text).ok(),
        Some(_) => Version::parse(&format!("{base}-{rest}")).ok(),
    }
}

/// Those of `available` that every constraint admits, lowest first; pre-releases only where they are asked for.
pub fn satisfying<'a>(available: impl Iterator<Item = &'a str>, constraints: &[Constraint], prerelease: bool) -> Vec<&'a str> {
    let prerelease = prerelease || constraints.iter().any(Constraint::names_prerelease);
    let mut found: Vec<(Version, &str)> = available
        .filter_map(|text| Some((version(text)?, text)))
        .filter(|(version, _)| prerelease || version.pre.is_empty())
        .filter(|(version, _)| constraints.iter().all(|constraint| constraint.admits(version)))
        .collect();
    found.sort_by(|(left, _), (right, _)| left.cmp_precedence(right));
    found.into_iter().map(|(_, text)| text).collect()
}
