//! The documentation site: from dbt's artifacts to a self-contained static folder that works from `file://`.
//!
//! One page a resource, an overview, one lineage page. Pages are made from the templates in `templates/docs`; scripts and
//! styles are copied beside them, and nothing is fetched from elsewhere.

mod lineage;
mod markdown;
mod model;
mod page;

use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;
use serde_json::Value as Json;
use tera::{Context, Tera};

use page::Site;

/// The templates and assets, embedded in the binary.
#[derive(RustEmbed)]
#[folder = "templates/docs"]
struct Templates;

/// The site's files that are written as they are.
const ASSETS: [&str; 2] = ["site.css", "site.js"];

/// The artifacts a site is made from, as JSON.
pub struct SiteInput<'a> {
    /// `manifest.json`, v12.
    pub manifest: &'a Json,
    /// `catalog.json`, v1; null where none was made.
    pub catalog: &'a Json,
    /// `run_results.json` of the last run that tested, for the tests' states; null without one.
    pub run_results: &'a Json,
}

/// Why a site could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("page {page}: {source}")]
    Template { page: String, source: tera::Error },
}

/// Writes the site into `out` and returns how many pages it has. Pages of an earlier site that are no longer part of it are
/// removed.
pub fn generate(input: &SiteInput<'_>, out: &Path) -> Result<usize, SiteError> {
    let tera = templates()?;
    let site = Site::read(input);
    let pages = site.pages();
    remove_stale(&out.join("node"))?;
    for page in &pages {
        let mut context = Context::new();
        context.insert("site", &site.frame);
        for (name, value) in &page.values {
            context.insert(name.to_string(), value);
        }
        let text =
            tera.render(page.template, &context).map_err(|source| SiteError::Template { page: page.path.clone(), source })?;
        write(&out.join(&page.path), text.as_bytes())?;
    }
    for name in ASSETS {
        let asset = Templates::get(&format!("asset/{name}")).expect("assets are embedded at build time");
        write(&out.join("assets").join(name), &asset.data)?;
    }
    write(&out.join("assets/search.js"), site.search_script().as_bytes())?;
    Ok(pages.len())
}

/// Writes a page at `path` that leads on to the site's first page, for those who look where dbt puts its site. `link` is
/// relative to the page.
pub fn lead_on(path: &Path, link: &str) -> Result<(), SiteError> {
    let mut context = Context::new();
    context.insert("link", link);
    let page = path.display().to_string();
    let text = templates()?.render("lead_on.html", &context).map_err(|source| SiteError::Template { page, source })?;
    write(path, text.as_bytes())
}

fn templates() -> Result<Tera, SiteError> {
    let mut sources = Vec::new();
    for name in Templates::iter().filter(|name| name.ends_with(".html")) {
        let file = Templates::get(&name).expect("a listed template is embedded");
        sources.push((name.to_string(), String::from_utf8_lossy(&file.data).into_owned()));
    }
    let mut tera = Tera::default();
    tera.add_raw_templates(sources).map_err(|source| SiteError::Template { page: "templates".to_string(), source })?;
    Ok(tera)
}

fn remove_stale(folder: &Path) -> Result<(), SiteError> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(SiteError::Write { path: folder.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SiteError> {
    let fail = |source| SiteError::Write { path: path.to_path_buf(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    std::fs::write(path, bytes).map_err(fail)
}
