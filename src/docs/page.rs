//! The pages: which there are and the values their templates are filled with.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::SiteInput;
use super::lineage::{self, Vertex};
use super::markdown;
use super::model::{Resource, Resources, TestLink, strings, text};

/// More nodes than this make no readable picture.
const GRAPH_LIMIT: usize = 600;

/// Kinds in the menu, with their titles.
const GROUPS: [(&str, &str); 8] = [
    ("source", "Sources"),
    ("seed", "Seeds"),
    ("model", "Models"),
    ("snapshot", "Snapshots"),
    ("exposure", "Exposures"),
    ("analysis", "Analyses"),
    ("test", "Tests"),
    ("unit_test", "Unit tests"),
];

/// What every page shows around its own content.
#[derive(Debug, Serialize)]
pub struct Frame {
    pub project: String,
    pub version: String,
    pub generated_at: String,
    pub menu: Vec<MenuGroup>,
}

#[derive(Debug, Serialize)]
pub struct MenuGroup {
    pub kind: String,
    pub title: String,
    pub items: Vec<MenuItem>,
}

#[derive(Debug, Clone, Serialize)]
pub struct MenuItem {
    pub name: String,
    pub kind: String,
    pub href: String,
    pub status: String,
}

/// One page: where it goes, its template, its values.
pub struct Page {
    pub path: String,
    pub template: &'static str,
    pub values: Vec<(&'static str, Json)>,
}

/// The whole site before rendering.
pub struct Site {
    pub frame: Frame,
    resources: Resources,
    /// HTML.
    overview: String,
}

/// The pages that stand once, each with the function that fills it.
const PAGES: [(&str, &str, &str, Fill); 2] =
    [("index.html", "page/index.html", "Overview", Site::index), ("graph.html", "page/graph.html", "Lineage", Site::graph)];

type Fill = fn(&Site) -> Vec<(&'static str, Json)>;

impl Site {
    pub fn read(input: &SiteInput<'_>) -> Self {
        let resources = Resources::read(input.manifest, input.catalog, input.run_results);
        let metadata = &input.manifest["metadata"];
        let frame = Frame {
            project: text(&metadata["project_name"]).unwrap_or_else(|| "project".to_string()),
            version: env!("CARGO_PKG_VERSION").to_string(),
            generated_at: text(&metadata["generated_at"]).unwrap_or_default(),
            menu: menu(&resources),
        };
        Self { frame, resources, overview: overview(input.manifest) }
    }

    pub fn pages(&self) -> Vec<Page> {
        let once = PAGES.iter().map(|(path, template, title, fill)| {
            let mut values = vec![("title", json!(title)), ("root", json!("")), ("here", json!(path)), ("kind", json!(""))];
            values.extend(fill(self));
            Page { path: path.to_string(), template, values }
        });
        once.chain(self.resources.all.values().map(|resource| self.node(resource))).collect()
    }

    /// The search index as a script, because a page opened from a file may not fetch data.
    pub fn search_script(&self) -> String {
        let entries: Vec<Json> = self
            .resources
            .all
            .values()
            .map(|r| {
                let columns: Vec<&String> = r.json["columns"].as_object().into_iter().flat_map(|map| map.keys()).collect();
                json!({"n": r.name, "k": r.kind, "h": r.href, "d": r.description, "c": columns})
            })
            .collect();
        format!("window.HEADWATER_SEARCH = {};\n", Json::from(entries).to_string().replace("</", "<\\/"))
    }

    fn index(&self) -> Vec<(&'static str, Json)> {
        let shown = self.frame.menu.iter().filter(|group| group.kind != "test");
        let listing: Vec<Json> = shown
            .map(|group| {
                let of_kind = self.resources.all.values().filter(|r| r.kind == group.kind);
                json!({"title": group.title, "items": of_kind.map(|r| self.row(r)).collect::<Vec<_>>()})
            })
            .collect();
        vec![("overview", json!(self.overview)), ("listing", json!(listing))]
    }

    fn row(&self, resource: &Resource) -> Json {
        let summary = markdown::first_line(&resource.description);
        let tests = self.resources.tests.get(&resource.unique_id).map_or(0, Vec::len);
        json!({"name": resource.name, "href": resource.href, "detail": detail(resource), "summary": summary,
            "rows": stat(resource, "num_rows"), "tests": if tests > 0 { tests.to_string() } else { String::new() }})
    }

    fn graph(&self) -> Vec<(&'static str, Json)> {
        let drawn: Vec<&str> = self.resources.all.values().filter(|r| in_lineage(r)).map(|r| r.unique_id.as_str()).collect();
        let left_out = drawn.len().saturating_sub(GRAPH_LIMIT);
        let kept: BTreeSet<&str> = drawn.into_iter().take(GRAPH_LIMIT).collect();
        vec![("lineage", self.lineage(&kept, "")), ("left_out", json!(left_out))]
    }

    fn node(&self, resource: &Resource) -> Page {
        let mut near = self.reach(&resource.unique_id, |r| &r.parents);
        near.extend(self.reach(&resource.unique_id, |r| &r.children));
        let near: BTreeSet<&str> = near.into_iter().take(GRAPH_LIMIT).collect();
        let node = json!({
            "kind": resource.kind,
            "unique_id": resource.unique_id,
            "name": resource.name,
            "description": markdown::to_html(&resource.description),
            "facts": facts(resource),
            "columns": self.columns(resource),
            "code": code(resource),
            "links": self.links(resource),
        });
        let values = vec![
            ("title", json!(resource.name)),
            ("root", json!("../")),
            ("here", json!(resource.href)),
            ("kind", json!(resource.kind)),
            ("node", node),
            ("lineage", self.lineage(&near, &resource.unique_id)),
        ];
        Page { path: resource.href.clone(), template: "page/node.html", values }
    }

    /// Everything reached from `start` along one direction, `start` included.
    fn reach<'a>(&'a self, start: &'a str, next: impl Fn(&'a Resource) -> &'a Vec<String>) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::from([start]);
        let mut todo = VecDeque::from([start]);
        while let Some(id) = todo.pop_front() {
            let Some(resource) = self.resources.all.get(id) else { continue };
            for other in next(resource) {
                let known = self.resources.all.get(other).is_some_and(in_lineage);
                if known && seen.insert(other) {
                    todo.push_back(other);
                }
            }
        }
        seen
    }

    fn lineage(&self, ids: &BTreeSet<&str>, focus: &str) -> Json {
        let index: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let resources: Vec<&Resource> = ids.iter().filter_map(|id| self.resources.all.get(*id)).collect();
        let edges: Vec<(usize, usize)> = resources
            .iter()
            .flat_map(|r| r.parents.iter().filter_map(|p| Some((*index.get(p.as_str())?, *index.get(r.unique_id.as_str())?))))
            .collect();
        let vertices = resources.iter().map(|r| Vertex {
            id: r.unique_id.clone(),
            name: r.name.clone(),
            kind: r.kind.clone(),
            href: r.href.clone(),
            focus: r.unique_id == focus,
        });
        json!(lineage::draw(vertices.collect(), &edges))
    }

    /// Documented columns first, then what the warehouse has besides.
    fn columns(&self, resource: &Resource) -> Vec<Json> {
        let tests = self.resources.tests.get(&resource.unique_id).map(Vec::as_slice).unwrap_or_default();
        let typed = resource.catalog["columns"].as_object();
        let type_of = |name: &str| typed.and_then(|map| map.get(name)).and_then(|column| text(&column["type"]));
        let mut columns = Vec::new();
        let documented = resource.json["columns"].as_object();
        for (name, column) in documented.into_iter().flatten() {
            let data_type = type_of(name).or_else(|| text(&column["data_type"])).unwrap_or_default();
            let of_column: Vec<&TestLink> = tests.iter().filter(|t| t.column.as_deref() == Some(name)).collect();
            columns.push(json!({"name": name, "data_type": data_type, "tests": of_column,
                "description": markdown::to_html(column["description"].as_str().unwrap_or_default())}));
        }
        for name in typed.into_iter().flat_map(|map| map.keys()) {
            if !documented.is_some_and(|map| map.contains_key(name)) {
                columns.push(json!({"name": name, "data_type": type_of(name), "tests": [], "description": ""}));
            }
        }
        columns
    }

    fn links(&self, resource: &Resource) -> Vec<Json> {
        let item = |id: &String| {
            let r = self.resources.all.get(id)?;
            Some(menu_item(r, &self.resources))
        };
        let (tests, others): (Vec<MenuItem>, Vec<MenuItem>) =
            resource.children.iter().filter_map(item).partition(|item| item.kind == "test");
        let parents: Vec<MenuItem> = resource.parents.iter().filter_map(item).collect();
        [("Depends on", parents), ("Used by", others), ("Tested by", tests)]
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(title, items)| json!({"title": title, "items": items}))
            .collect()
    }
}

fn in_lineage(resource: &Resource) -> bool {
    !matches!(resource.kind.as_str(), "test" | "unit_test" | "analysis")
}

fn menu(resources: &Resources) -> Vec<MenuGroup> {
    let group = |(kind, title): &(&str, &str)| {
        let mut items: Vec<MenuItem> =
            resources.all.values().filter(|r| r.kind == *kind).map(|r| menu_item(r, resources)).collect();
        items.sort_by(|a, b| a.name.cmp(&b.name));
        MenuGroup { kind: kind.to_string(), title: title.to_string(), items }
    };
    GROUPS.iter().map(group).filter(|group| !group.items.is_empty()).collect()
}

fn menu_item(resource: &Resource, resources: &Resources) -> MenuItem {
    MenuItem {
        name: resource.name.clone(),
        kind: resource.kind.clone(),
        href: resource.href.clone(),
        status: resources.statuses.get(&resource.unique_id).cloned().unwrap_or_default(),
    }
}

/// The project's `__overview__` docs block, as HTML.
fn overview(manifest: &Json) -> String {
    let project = manifest["metadata"]["project_name"].as_str().unwrap_or_default();
    let block = &manifest["docs"][format!("doc.{project}.__overview__")]["block_contents"];
    block.as_str().map(markdown::to_html).unwrap_or_default()
}

fn detail(resource: &Resource) -> String {
    let kind = if resource.kind == "exposure" { &resource.json["type"] } else { &resource.json["config"]["materialized"] };
    text(kind).unwrap_or_else(|| resource.kind.clone())
}

fn stat(resource: &Resource, id: &str) -> String {
    match &resource.catalog["stats"][id]["value"] {
        Json::Number(number) => grouped(number.as_i64().unwrap_or_default()),
        Json::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if number < 0 { format!("-{out}") } else { out }
}

fn facts(resource: &Resource) -> Vec<Json> {
    let json = &resource.json;
    let owner = [&json["owner"]["name"], &json["owner"]["email"]].into_iter().filter_map(text).collect::<Vec<_>>().join(", ");
    let facts = [
        ("Relation", text(&json["relation_name"])),
        ("Materialized", text(&json["config"]["materialized"]).filter(|_| resource.kind != "test")),
        ("Type", text(&json["type"])),
        ("Status", None),
        ("Severity", text(&json["config"]["severity"])),
        ("Owner", text(&Json::from(owner))),
        ("Maturity", text(&json["maturity"])),
        ("Access", text(&json["access"])),
        ("Group", text(&json["group"])),
        ("Tags", text(&Json::from(strings(&json["tags"]).join(", ")))),
        ("Location", text(&json["external"]["location"])),
        ("Rows", text(&Json::from(stat(resource, "num_rows")))),
        ("Bytes", text(&Json::from(stat(resource, "num_bytes")))),
        ("Package", text(&json["package_name"])),
        ("File", text(&json["original_file_path"])),
    ];
    let mut shown: Vec<Json> =
        facts.into_iter().filter_map(|(label, value)| Some(json!({"label": label, "value": value?, "href": null}))).collect();
    // Only web addresses become links: any other scheme would run in the reader's browser.
    if let Some(url) = text(&json["url"]) {
        let href = if url.starts_with("https://") || url.starts_with("http://") { json!(url) } else { Json::Null };
        shown.push(json!({"label": "URL", "value": url, "href": href}));
    }
    shown
}

fn code(resource: &Resource) -> Vec<Json> {
    let texts = [("source", "Source", "raw_code"), ("compiled", "Compiled", "compiled_code")];
    texts
        .into_iter()
        .filter_map(|(id, title, key)| Some(json!({"id": id, "title": title, "text": text(&resource.json[key])?})))
        .collect()
}
