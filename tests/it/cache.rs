//! The kept parse: whatever changes, the manifest that comes of it is the one that parsing anew gives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::DateTime;
use headwater::artifact::{ArtifactMetadata, manifest_json};
use headwater::invocation::Invocation;
use headwater::pipeline::{self, Loaded};
use headwater::project::{LoadOptions, Project};
use serde_json::{Value as Json, json};

use crate::here::Here;

const FILES: &[(&str, &str)] = &[
    (
        "dbt_project.yml",
        "name: shop\nversion: '1.0'\nprofile: p\nvars: {cut: 5}\nmodels:\n  shop: {+tags: base}\non-run-end: \"select 1\"\n",
    ),
    (
        "profiles.yml",
        "p:\n  target: dev\n  outputs:\n    dev: {type: datafusion, schema: main}\n    prod: {type: datafusion, schema: live}\n",
    ),
    ("macros/m.sql", "{% macro tag() %}{{ return('t1') }}{% endmacro %}\n{% macro unused() %}1{% endmacro %}"),
    ("models/a.sql", "{{ config(tags=[tag()], alias=var('al', 'a_alias')) }}\nselect 1 as id"),
    (
        "models/b.sql",
        "{{ config(meta={'by': env_var('WHO', 'nobody'), 'full': flags.FULL_REFRESH}) }}\nselect * from {{ ref('a') }}",
    ),
    ("models/c.sql", "select id from {{ ref('b') }} -- leaf"),
    (
        "models/m.yml",
        "models:\n- name: c\n  description: \"{{ doc('cd') }}\"\n  meta: {o: \"{{ env_var('OWNER', 'us') }}\"}\n  columns:\n  - name: id\n    data_tests: [unique]\n",
    ),
    ("models/d.md", "{% docs cd %}first{% enddocs %}"),
    ("seeds/s.csv", "id\n1\n"),
    ("tests/t.sql", "select * from {{ ref('c') }} where id < 0"),
    (
        "snapshots/sn.sql",
        "{% snapshot sn %}{{ config(unique_key='id', strategy='check', check_cols='all') }}select * from {{ ref('c') }}{% endsnapshot %}",
    ),
    ("dbt_packages/pkg/dbt_project.yml", "name: pkg\nversion: '1.0'\n"),
    ("dbt_packages/pkg/models/p.sql", "select 1 as p"),
    ("dbt_packages/pkg/macros/pm.sql", "{% macro pm() %}1{% endmacro %}"),
];

/// One project on disk and how commands are called on it.
struct Shop {
    folder: tempfile::TempDir,
    world: Here,
    options: LoadOptions,
    flags: serde_json::Map<String, Json>,
}

impl Shop {
    fn new() -> Self {
        let shop = Self {
            folder: tempfile::tempdir().unwrap(),
            world: Here::default(),
            options: LoadOptions::default(),
            flags: [("FULL_REFRESH".to_string(), json!(false))].into_iter().collect(),
        };
        for (path, text) in FILES {
            shop.write(path, text);
        }
        shop
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("shop")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root_or_new().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn root_or_new(&self) -> PathBuf {
        std::fs::create_dir_all(self.folder.path().join("shop")).unwrap();
        self.root()
    }

    fn project(&self) -> Arc<Project> {
        let options = LoadOptions { project_dir: Some(self.root()), ..self.options.clone() };
        let (project, _) = pipeline::load_project(&self.world, &options).unwrap_or_else(|error| panic!("{error:?}"));
        Arc::new(project)
    }

    fn invocation(&self, partial_parse: bool) -> Invocation {
        Invocation {
            id: "i".to_string(),
            started_at: DateTime::UNIX_EPOCH,
            flags: self.flags.clone(),
            args: serde_json::Map::new(),
            partial_parse,
        }
    }

    fn load(&self, partial_parse: bool) -> (Loaded, Vec<headwater::diagnostic::Diagnostic>) {
        let loaded = pipeline::load(&self.world, self.project(), &self.invocation(partial_parse));
        loaded.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Loads warm and cold, holds both to be the same, and gives the text of it with the id of what was kept.
    fn both(&self, what: &str) -> (String, Option<String>) {
        let (warm, warm_diagnostics) = self.load(true);
        let (cold, cold_diagnostics) = self.load(false);
        let text = manifest_text(&cold);
        assert_eq!(manifest_text(&warm), text, "{what}: what was kept differs from what parsing gives");
        assert_eq!(warm_diagnostics, cold_diagnostics, "{what}");
        assert_eq!(self.parsed(), without_metadata(&text), "{what}: `parse` writes something else");
        (text, warm.kept)
    }

    /// `manifest.json` as the command `parse` leaves it, without its metadata.
    fn parsed(&self) -> String {
        let (project, invocation) = (self.project(), self.invocation(true));
        if pipeline::renew_manifest(&self.world, &project, &invocation).is_none() {
            let (loaded, _) = self.load(true);
            pipeline::write_parsed(&self.world, &loaded, &invocation).unwrap_or_else(|error| panic!("{error:?}"));
        }
        let text = std::fs::read_to_string(self.root().join("target/manifest.json")).unwrap();
        let mut json: Json = serde_json::from_str(&text).unwrap();
        without_times(&mut json);
        without_metadata(&json.to_string())
    }
}

fn manifest_text(loaded: &Loaded) -> String {
    let metadata = ArtifactMetadata {
        generated_at: DateTime::UNIX_EPOCH,
        invocation_id: String::new(),
        invocation_started_at: DateTime::UNIX_EPOCH,
        env: BTreeMap::new(),
    };
    let mut json = manifest_json(&loaded.manifest, &loaded.dag, &metadata);
    without_times(&mut json);
    json.to_string()
}

fn without_metadata(text: &str) -> String {
    let mut json: Json = serde_json::from_str(text).unwrap();
    json.as_object_mut().unwrap().shift_remove("metadata");
    json.to_string()
}

fn without_times(json: &mut Json) {
    match json {
        Json::Object(map) => {
            map.shift_remove("created_at");
            map.values_mut().for_each(without_times);
        }
        Json::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[test]
fn what_did_not_change_is_used_again() {
    let shop = Shop::new();
    let (first, kept) = shop.both("first");
    assert!(kept.is_some());
    assert_eq!(shop.both("again"), (first.clone(), kept.clone()));
    // Touched, but the same; another value of a variable that nobody asks for.
    shop.write("models/a.sql", FILES.iter().find(|(path, _)| *path == "models/a.sql").unwrap().1);
    assert_eq!(shop.both("touched").1, kept);
    let mut shop = shop;
    shop.world.env.insert("UNRELATED".into(), "1".into());
    shop.options.vars.insert("unrelated".into(), json!(1));
    assert_eq!(shop.both("unrelated"), (first, kept));
}

type Change = fn(&mut Shop);

/// Every kind of input, changed.
const CHANGES: &[(&str, Change)] = &[
    ("a leaf's text", |shop| shop.write("models/c.sql", "select id from {{ ref('b') }} -- LEAF")),
    ("a leaf's text, same size and time", |shop| {
        let path = shop.root().join("models/c.sql");
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        shop.write("models/c.sql", "select ID from {{ ref('b') }} -- LEAF");
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }),
    ("a leaf's reference", |shop| shop.write("models/c.sql", "select id from {{ ref('a') }} -- leaf")),
    ("a config", |shop| shop.write("models/c.sql", "{{ config(materialized='table') }} select id from {{ ref('b') }}")),
    ("a macro that is used", |shop| {
        shop.write("macros/m.sql", "{% macro tag() %}{{ return('t2') }}{% endmacro %}\n{% macro unused() %}1{% endmacro %}");
    }),
    ("a macro that is not used", |shop| {
        shop.write("macros/m.sql", "{% macro tag() %}{{ return('t2') }}{% endmacro %}\n{% macro unused() %}2{% endmacro %}");
    }),
    ("a property file", |shop| {
        shop.write("models/m.yml", "models:\n- {name: c, description: \"{{ var('cut') }}\", columns: []}\n")
    }),
    ("a variable that a property file reads", |shop| {
        shop.options.vars.insert("cut".into(), json!(7));
    }),
    ("a docs block", |shop| {
        shop.write("models/m.yml", "models:\n- {name: c, description: \"{{ doc('cd') }}\"}\n");
        shop.write("models/d.md", "{% docs cd %}second{% enddocs %}");
    }),
    ("a variable that a model reads", |shop| {
        shop.options.vars.insert("al".into(), json!("other"));
    }),
    ("a variable that a model reads, gone", |shop| {
        shop.options.vars.shift_remove("al");
    }),
    ("an environment variable that a model reads", |shop| {
        shop.world.env.insert("WHO".into(), "me".into());
    }),
    ("an environment variable that a property file reads", |shop| {
        shop.write("models/m.yml", "models:\n- {name: c, meta: {o: \"{{ env_var('OWNER', 'us') }}\"}}\n");
        shop.load(true);
        shop.world.env.insert("OWNER".into(), "them".into());
    }),
    ("an environment variable, gone", |shop| {
        shop.world.env.remove("WHO");
    }),
    ("a flag", |shop| {
        shop.flags.insert("FULL_REFRESH".into(), json!(true));
    }),
    ("the target", |shop| shop.options.target = Some("prod".into())),
    ("the profile", |shop| {
        shop.write("profiles.yml", "p:\n  target: prod\n  outputs:\n    prod: {type: datafusion, schema: lively}\n");
    }),
    ("the project's file", |shop| {
        shop.write(
            "dbt_project.yml",
            "name: shop\nversion: '1.0'\nprofile: p\nvars: {cut: 5}\nmodels:\n  shop: {+tags: other}\n",
        );
    }),
    ("the project's variables", |shop| {
        shop.write(
            "dbt_project.yml",
            "name: shop\nversion: '1.0'\nprofile: p\nvars: {al: fromfile}\nmodels:\n  shop: {+tags: other}\n",
        );
    }),
    ("a seed", |shop| shop.write("seeds/s.csv", "id\n2\n")),
    ("a test", |shop| shop.write("tests/t.sql", "select * from {{ ref('a') }} where id < 0")),
    ("a snapshot", |shop| {
        shop.write(
            "snapshots/sn.sql",
            "{% snapshot sn %}{{ config(unique_key='id', strategy='check', check_cols=['id']) }}select 1 as id{% endsnapshot %}",
        );
    }),
    ("a package's model", |shop| shop.write("dbt_packages/pkg/models/p.sql", "select 2 as p")),
    ("a package's macro", |shop| shop.write("dbt_packages/pkg/macros/pm.sql", "{% macro pm() %}2{% endmacro %}")),
    ("a new model", |shop| shop.write("models/e.sql", "select 3 as e")),
    ("a model that moved", |shop| {
        std::fs::create_dir_all(shop.root().join("models/sub")).unwrap();
        std::fs::rename(shop.root().join("models/e.sql"), shop.root().join("models/sub/e.sql")).unwrap();
    }),
    ("a model that is gone", |shop| std::fs::remove_file(shop.root().join("models/sub/e.sql")).unwrap()),
    ("a model that is ignored", |shop| {
        shop.write("models/f.sql", "select 4 as f");
        shop.load(true);
        shop.write(".dbtignore", "models/b*\nmodels/f.sql\n");
        shop.write("models/c.sql", "select 5 as id");
    }),
    ("a package that is gone", |shop| std::fs::remove_dir_all(shop.root().join("dbt_packages/pkg")).unwrap()),
];

#[test]
fn every_change_is_seen() {
    let mut shop = Shop::new();
    let (mut before, _) = shop.both("first");
    for (what, change) in CHANGES {
        change(&mut shop);
        let (after, _) = shop.both(what);
        assert_ne!(after, before, "{what}: this test changes nothing");
        assert_eq!(shop.both(what).0, after, "{what}, again");
        before = after;
    }
    // Nothing of a kept manifest of another program is used.
    let (_, kept) = shop.both("the last");
    shop.world.program = "another".into();
    assert_ne!(shop.both("the program").1, kept);
}

#[test]
fn a_project_may_move() {
    let mut shop = Shop::new();
    let (_, kept) = shop.both("first");
    let old = shop.folder;
    shop.folder = tempfile::tempdir().unwrap();
    std::fs::rename(old.path().join("shop"), shop.folder.path().join("shop")).unwrap();
    assert_eq!(shop.both("moved").1, kept);
}

#[test]
fn what_depends_on_the_moment_is_not_kept() {
    for text in
        ["{{ run_started_at }}", "{{ modules.datetime.datetime.now() }}", "{{ invocation_id }}", "{{ invocation_args_dict }}"]
    {
        let shop = Shop::new();
        shop.write(
            "models/g.sql",
            &format!("{{{{ config(meta={{'at': '' ~ ({})}}) }}}} select 1", text.trim_matches(['{', '}', ' '])),
        );
        assert_eq!(shop.load(true).0.kept, None, "{text}");
    }
    // A moment that is only used while running is none of parsing.
    let shop = Shop::new();
    shop.write("models/g.sql", "{% if execute %}{{ run_started_at }}{% endif %} select 1");
    assert!(shop.load(true).0.kept.is_some());
}

#[test]
fn a_settled_file_is_told_apart_by_its_stamp() {
    let shop = Shop::new();
    shop.load(true);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    // Parsed anew, long enough after the last change: from here on stamps are trusted.
    std::fs::remove_file(shop.root().join("target/partial_parse.index")).unwrap();
    let (first, kept) = shop.both("settled");
    assert_eq!(shop.both("settled, again"), (first.clone(), kept));
    let path = shop.root().join("models/c.sql");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    shop.write("models/c.sql", "select ID from {{ ref('b') }} -- leaf");
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_ne!(shop.both("same size and time").0, first);
}

/// Files and what they may hold, to be mixed at random; nothing takes the file away.
const VARIANTS: &[(&str, &[Option<&str>])] = &[
    (
        "models/a.sql",
        &[
            Some("{{ config(tags=[tag()], alias=var('al', 'a_alias')) }}\nselect 1 as id"),
            Some("{{ config(tags=[tag()], alias=var('al', 'a_alias')) }}\nselect 2 as id"),
            Some("select 1 as id, '\\\"model.shop.c\\\":{\\\"database\\\":' as text"),
        ],
    ),
    (
        "models/b.sql",
        &[
            Some("select * from {{ ref('a') }} -- \"model.shop.b\":{\"database\":null}"),
            Some("select * from {{ ref('a') }}"),
            Some("{{ config(materialized='table') }} select * from {{ ref('a') }}"),
            Some("{% for i in [1, 2] %}select {{ i }} {{ 'union all' if not loop.last }}{% endfor %}"),
        ],
    ),
    (
        "models/c.sql",
        &[
            Some("select id from {{ ref('b') }}"),
            Some("select id from {{ ref('b') }} where id > 1"),
            Some("select id from {{ ref('a') }}"),
        ],
    ),
    ("models/x.sql", &[None, Some("select 1 as x"), Some("{{ config(enabled=false) }} select 1 as x")]),
    (
        "models/m.yml",
        &[
            None,
            Some("models:\n- name: c\n  description: one\n  columns: [{name: id, data_tests: [unique]}]\n"),
            Some("models:\n- name: c\n  description: two\n  config: {meta: {a: \"{{ var('cut') }}\"}}\n"),
            Some("models:\n- name: gone\n  description: warns\n"),
        ],
    ),
    (
        "macros/m.sql",
        &[
            Some("{% macro tag() %}{{ return('t1') }}{% endmacro %}"),
            Some("{% macro tag() %}{{ return('t2') }}{% endmacro %}{% macro see(m) %}{{ m.checksum }}{% endmacro %}"),
        ],
    ),
    ("models/d.md", &[Some("{% docs cd %}first{% enddocs %}"), None, Some("{% docs cd %}second{% enddocs %}")]),
    ("seeds/s.csv", &[Some("id\n1\n"), Some("id\n2\n")]),
    ("snapshots/sn.sql", &[None]),
];

/// Any edits one after the other, some parsed in between, give what parsing anew gives.
#[test]
fn random_edits_are_seen() {
    for seed in 1..=3u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
        };
        let shop = Shop::new();
        let mut story = Vec::new();
        for _ in 0..16 {
            for _ in 0..=random(2) {
                // Mostly models: their text is what is exchanged.
                let (path, texts) = VARIANTS[if random(3) > 0 { random(3) } else { random(VARIANTS.len()) }];
                let choice = random(texts.len());
                story.push(format!("{path} {choice}"));
                match texts[choice] {
                    Some(text) => shop.write(path, text),
                    None => drop(std::fs::remove_file(shop.root().join(path))),
                }
            }
            shop.both(&format!("seed {seed}: {story:?}"));
        }
    }
}
