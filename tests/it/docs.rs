//! The docs site is made from artifacts alone and holds together: every link leads to a page.

use std::path::Path;

use headwater::docs::{SiteInput, generate};
use serde_json::{Value as Json, json};

fn artifacts() -> (Json, Json, Json) {
    let node = |id: &str, kind: &str, name: &str| {
        json!({"unique_id": id, "resource_type": kind, "name": name, "package_name": "shop", "description": "About <b> & **co** [x](javascript:alert) `code`",
            "columns": {"id": {"name": "id", "description": "Key"}}, "config": {"materialized": "view"}, "tags": ["a"],
            "raw_code": "select 1 < 2 -- {{ ref('x') }}", "compiled_code": "select 1 < 2", "relation_name": "\"db\".\"main\".\"x\"",
            "original_file_path": "models/x.sql", "source_name": "raw"})
    };
    let mut test = node("test.shop.unique_x_id.abc", "test", "unique_x_id");
    test["column_name"] = json!("id");
    test["attached_node"] = json!("model.shop.x");
    test["test_metadata"] = json!({"name": "unique"});
    let mut exposure = node("exposure.shop.board", "exposure", "board");
    exposure["url"] = json!("javascript:alert(1)");
    let manifest = json!({
        "metadata": {"project_name": "shop", "generated_at": "2026-01-01T00:00:00Z"},
        "nodes": {"model.shop.x": node("model.shop.x", "model", "x"), "model.shop.y": node("model.shop.y", "model", "y"),
            "test.shop.unique_x_id.abc": test},
        "sources": {"source.shop.raw.t": node("source.shop.raw.t", "source", "t")},
        "exposures": {"exposure.shop.board": exposure},
        "docs": {"doc.shop.__overview__": {"block_contents": "Welcome.\n\nSecond."}},
        "parent_map": {"model.shop.x": ["source.shop.raw.t"], "model.shop.y": ["model.shop.x"], "exposure.shop.board": ["model.shop.y"],
            "test.shop.unique_x_id.abc": ["model.shop.x"]},
        "child_map": {"source.shop.raw.t": ["model.shop.x"], "model.shop.x": ["model.shop.y", "test.shop.unique_x_id.abc"],
            "model.shop.y": ["exposure.shop.board"]}
    });
    let catalog = json!({"nodes": {"model.shop.x": {"columns": {"id": {"type": "bigint"}, "more": {"type": "text"}},
        "stats": {"num_rows": {"value": 1234567}}}}});
    let results = json!({"results": [{"unique_id": "test.shop.unique_x_id.abc", "status": "pass"}]});
    (manifest, catalog, results)
}

fn made() -> tempfile::TempDir {
    let (manifest, catalog, run_results) = artifacts();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = SiteInput { manifest: &manifest, catalog: &catalog, run_results: &run_results };
    assert_eq!(generate(&input, folder.path()).expect("the site is written"), 7);
    folder
}

fn read(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn pages_show_what_the_artifacts_say() {
    let site = made();
    let page = read(site.path(), "node/model.shop.x.html");
    for expected in [
        "bigint",
        "1,234,567",
        "About &lt;b&gt; &amp; <strong>co</strong> <a href=\"#\">x</a> <code>code</code>",
        "select 1 &lt; 2",
        "class=\"test pass\"",
        "more",
    ] {
        assert!(page.contains(expected), "no {expected} in {page}");
    }
    let index = read(site.path(), "index.html");
    assert!(index.contains("Welcome.") && index.contains("raw.t"));
}

#[test]
fn only_web_addresses_become_links() {
    let site = made();
    assert!(!read(site.path(), "node/exposure.shop.board.html").contains("href=\"javascript:"));
}

#[test]
fn every_link_leads_to_a_file() {
    let site = made();
    let link = regex::Regex::new("(?:href|src)=\"([^\"#:]+)\"").expect("a valid pattern");
    let mut checked = 0;
    for entry in
        walkdir::WalkDir::new(site.path()).into_iter().flatten().filter(|e| e.path().extension().is_some_and(|x| x == "html"))
    {
        let text = std::fs::read_to_string(entry.path()).expect("a page is text");
        for found in link.captures_iter(&text) {
            let target = entry.path().parent().expect("a page lies in a folder").join(&found[1]);
            assert!(target.exists(), "{} links to {}", entry.path().display(), &found[1]);
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were found");
}
