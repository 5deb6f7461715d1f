//! The package hub (`hub.getdbt.com`, or where `DBT_PACKAGE_HUB_URL` points) and downloads over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::version::{Constraint, satisfying};
use crate::diagnostic::{Diagnostic, Outcome};
use crate::project::DBT_VERSION;
use crate::world::World;

const HUB: &str = "https://hub.getdbt.com/";
/// Packages are text: one that is larger is not what was asked for.
const MOST_BYTES: usize = 200 << 20;
const ATTEMPTS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The hub, and what it said of packages so far.
pub struct Hub {
    base: String,
    client: reqwest::Client,
    any_dbt_version: bool,
    known: BTreeMap<String, BTreeMap<String, Release>>,
    /// What the hub told beside what was asked.
    pub warnings: Vec<Diagnostic>,
}

/// One version of a package, as the hub describes it.
#[derive(Clone, Debug)]
pub struct Release {
    /// The name in the package's own `dbt_project.yml`.
    pub name: String,
    /// What it lists in turn, as `packages.yml` would.
    pub packages: Vec<Json>,
    pub tarball: String,
    require_dbt_version: Vec<String>,
}

impl Hub {
    pub fn new(world: &dyn World, any_dbt_version: bool) -> Outcome<Self> {
        let base = world.env("DBT_PACKAGE_HUB_URL").filter(|url| !url.is_empty()).unwrap_or_else(|| HUB.to_string());
        let base = if base.ends_with('/') { base } else { format!("{base}/") };
        let client = reqwest::Client::builder().timeout(TIMEOUT).user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")));
        let client = client.build().map_err(|error| failed("the network cannot be used", &error))?;
        Ok(Self { base, client, any_dbt_version, known: BTreeMap::new(), warnings: Vec::new() })
    }

    /// A release that `versions` named.
    pub async fn release(&mut self, package: &str, version: &str) -> Outcome<Release> {
        let found = self.releases(package).await?.get(version).cloned();
        found.ok_or_else(|| {
            let message = format!("the hub has no version {version} of {package}");
            Box::new(Diagnostic::error("package-version", message).help("make the lock file anew: `deps --upgrade`"))
        })
    }

    /// The newest version that every constraint admits.
    pub async fn newest(&mut self, package: &str, versions: &[String], prerelease: bool) -> Outcome<String> {
        let mut constraints = Vec::new();
        for text in versions.iter().flat_map(|text| text.split(',')) {
            let Some(constraint) = Constraint::parse(text) else {
                return Diagnostic::error("package-version", format!("`{text}` of {package} is no semantic version"))
                    .help("versions have three numbers: `1.0.0`, or bounds in a list: [\">=1.0.0\", \"<2.0.0\"]")
                    .fail();
            };
            constraints.push(constraint);
        }
        let any_dbt_version = self.any_dbt_version;
        let releases = self.releases(package).await?;
        let compatible = releases.iter().filter(|(_, release)| any_dbt_version || release.runs_here());
        let compatible: Vec<&str> = compatible.map(|(version, _)| version.as_str()).collect();
        match satisfying(compatible.iter().copied(), &constraints, prerelease).last() {
            Some(version) => Ok((*version).to_string()),
            None => {
                let all = satisfying(compatible.into_iter(), &[], prerelease).join(", ");
                Diagnostic::error("package-version", format!("no version of {package} satisfies {}", versions.join(", ")))
                    .help(format!("versions that work with dbt {DBT_VERSION}: {all}"))
                    .help("`--no-version-check` also takes versions made for other versions of dbt")
                    .fail()
            }
        }
    }

    /// The newest version there is for this dbt.
    pub async fn latest(&mut self, package: &str) -> Outcome<String> {
        self.newest(package, &[], false).await
    }

    async fn releases(&mut self, package: &str) -> Outcome<&BTreeMap<String, Release>> {
        if !self.known.contains_key(package) {
            let releases = self.ask(package).await?;
            self.known.insert(package.to_string(), releases);
        }
        Ok(&self.known[package])
    }

    async fn ask(&mut self, package: &str) -> Outcome<BTreeMap<String, Release>> {
        let url = format!("{}api/v1/{package}.json", self.base);
        let Some(bytes) = self.get(&url, &url).await? else {
            return self.not_there(package).await;
        };
        let answer: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(warning) = redirected(package, &answer) {
            self.warnings.push(warning);
        }
        let Some(versions) = answer.get("versions").and_then(Json::as_object) else {
            return Diagnostic::error("package-hub", format!("{url} does not describe a package")).fail();
        };
        Ok(versions.iter().filter_map(|(version, entry)| Some((version.clone(), Release::read(entry)?))).collect())
    }

    /// The hub's index knows what the name may have been meant to be.
    async fn not_there<T>(&self, package: &str) -> Outcome<T> {
        let url = format!("{}api/v1/index.json", self.base);
        let index = self.get(&url, &url).await.ok().flatten().unwrap_or_default();
        let names: Vec<String> = serde_json::from_slice(&index).unwrap_or_default();
        Diagnostic::error("package-not-found", format!("the hub has no package {package}"))
            .suggest(package, names.iter().map(String::as_str))
            .fail()
    }

    /// What an address holds; none where there is nothing. `shown` is the address without secrets.
    pub async fn get(&self, url: &str, shown: &str) -> Outcome<Option<Vec<u8>>> {
        let mut attempt = 1;
        loop {
            match self.get_once(url).await {
                Ok(answer) => return Ok(answer),
                Err(Refused::Large) => {
                    return Diagnostic::error("package-size", format!("{shown} is larger than {} MB", MOST_BYTES >> 20)).fail();
                }
                Err(Refused::Http(error)) if attempt == ATTEMPTS => {
                    return Err(failed(&format!("{shown} cannot be fetched"), &error.without_url()));
                }
                Err(Refused::Http(_)) => tokio::time::sleep(Duration::from_millis(200) * attempt).await,
            }
            attempt += 1;
        }
    }

    async fn get_once(&self, url: &str) -> Result<Option<Vec<u8>>, Refused> {
        let response = self.client.get(url).send().await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut response = response.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST_BYTES {
                return Err(Refused::Large);
            }
        }
        Ok(Some(bytes))
    }
}

impl Release {
    fn read(entry: &Json) -> Option<Self> {
        let text = |value: &Json| value.as_str().map(str::to_string);
        let require_dbt_version = match entry.get("require_dbt_version") {
            Some(Json::Array(items)) => items.iter().filter_map(text).collect(),
            Some(Json::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        Some(Self {
            name: entry.get("name").and_then(text)?,
            packages: entry.get("packages").and_then(Json::as_array).cloned().unwrap_or_default(),
            tarball: entry.get("downloads").and_then(|downloads| downloads.get("tarball")).and_then(text)?,
            require_dbt_version,
        })
    }

    /// A bound that cannot be read excludes nothing.
    fn runs_here(&self) -> bool {
        let bounds = self.require_dbt_version.iter().flat_map(|text| text.split(','));
        let bounds: Vec<Constraint> = bounds.filter_map(Constraint::parse).collect();
        !satisfying(std::iter::once(DBT_VERSION), &bounds, true).is_empty()
    }
}

enum Refused {
    Http(reqwest::Error),
    Large,
}

impl From<reqwest::Error> for Refused {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

/// The error with its causes: reqwest's own text names none of them.
fn failed(what: &str, error: &reqwest::Error) -> Box<Diagnostic> {
    let mut message = format!("{what}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    Box::new(Diagnostic::error("network", message))
}

/// A package that goes by another name now.
fn redirected(package: &str, answer: &Json) -> Option<Diagnostic> {
    let text = |key: &str| answer.get(key).and_then(Json::as_str);
    if text("redirectnamespace").is_none() && text("redirectname").is_none() {
        return None;
    }
    let (namespace, name) = (text("redirectnamespace").or(text("namespace"))?, text("redirectname").or(text("name"))?);
    let message = format!("the package {package} is deprecated in favour of {namespace}/{name}");
    Some(Diagnostic::warning("package-redirect", message).help(format!("name {namespace}/{name} in the list of packages")))
}
