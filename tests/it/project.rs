//! Loading projects: `dbt_project.yml`, profiles, packages, the list of files, property files.

use std::path::{Path, PathBuf};

use headwater::diagnostic::Diagnostic;
use headwater::project::yaml::{Yaml, parse};
use headwater::project::{BaseContext, FileKind, LoadOptions, Project, Section, discover, load, read_properties, read_text};
use headwater::world::{MemoryWorld, World};
use serde_json::{Value as Json, json};

fn world(files: &[(&str, &str)]) -> MemoryWorld {
    let mut world = MemoryWorld::default();
    world.env.insert("HOME".to_string(), "/home/ann".to_string());
    for (path, text) in files {
        world.files.insert(PathBuf::from(path), text.to_string());
    }
    world
}

fn options() -> LoadOptions {
    LoadOptions { project_dir: Some("/shop".into()), ..LoadOptions::default() }
}

fn loaded(world: &MemoryWorld) -> (Project, Vec<Diagnostic>) {
    load(world, &options()).unwrap_or_else(|error| panic!("{error} {:?}", error.help))
}

/// A project with the given `dbt_project.yml` below its name.
fn project(text: &str) -> MemoryWorld {
    world(&[("/shop/dbt_project.yml", &format!("name: shop\n{text}"))])
}

/// The diagnostic's code, its text with place, and its help.
fn said(diagnostic: &Diagnostic) -> String {
    format!("{} {diagnostic} ({})", diagnostic.code, diagnostic.help.join("; "))
}

fn yaml(text: &str) -> Yaml {
    parse(text, "f.yml").expect("valid YAML").0
}

#[test]
fn a_project_without_anything_gets_dbts_defaults_and_the_built_in_target() {
    let (project, warnings) = loaded(&project(""));
    assert_eq!(warnings, []);
    let package = project.own_package();
    let folders = [&package.model_paths, &package.seed_paths, &package.test_paths, &package.analysis_paths, &package.macro_paths];
    assert_eq!(folders.map(|paths| paths.concat()), ["models", "seeds", "tests", "analyses", "macros"]);
    assert_eq!(package.docs_paths, ["models", "seeds", "snapshots", "analyses", "macros", "tests", "functions"]);
    assert_eq!(project.target_path, Path::new("/shop/target"));
    assert_eq!(project.clean_targets, ["target"]);
    assert_eq!(project.packages_install_path, Path::new("/shop/dbt_packages"));
    let target = &project.target;
    let names = [&target.profile_name, &target.target_name, &target.adapter_type, &target.database, &target.schema];
    assert_eq!(names, ["headwater", "dev", "datafusion", "warehouse", "main"]);
    assert_eq!((target.threads, &target.settings["path"]), (4, &json!("/shop/warehouse")));
}

#[test]
fn the_project_file_is_rendered_except_hooks_and_vars() {
    let mut world = project(
        "version: 1.0\nprofile: p\ntarget-path: \"{{ env_var('OUT', 'target') }}\"\nvars: {x: \"{{ var('y') }}\"}\n\
         on-run-start: \"{{ log('a') }}\"\non-run-end: [a, b]\nquery-comment: \"{{ this }}\"\n\
         models:\n  +schema: \"{{ target.name }}_{{ target.threads }}\"\n  +enabled: \"{{ target.name == 'dev' }}\"\n\
         \x20 shop: {+pre-hook: \"{{ hook() }}\", +tags: [\"{{ var('tag') }}\"]}\n\
         tests: {+severity: warn}\nsemantic-models: {+enabled: true}\nseeds:\n",
    );
    world.env.insert("OUT".to_string(), "out".to_string());
    let vars = json!({"tag": "daily"}).as_object().cloned().unwrap_or_default();
    let (project, warnings) = load(&world, &LoadOptions { vars, ..options() }).expect("it loads");
    let codes: Vec<&str> = warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["project-target-path"]);
    assert_eq!(project.target_path, Path::new("/shop/out"));
    assert_eq!(project.query_comment, json!("{{ this }}"));
    let package = project.own_package();
    assert_eq!((package.version.as_deref(), project.target.profile_name.as_str()), (Some("1.0"), "p"));
    assert_eq!((package.on_run_start.concat(), package.on_run_end.concat()), ("{{ log('a') }}".to_string(), "ab".to_string()));
    assert_eq!(package.vars["x"], json!("{{ var('y') }}"));
    let models = json!({"+schema": "dev_4", "+enabled": true, "shop": {"+pre-hook": "{{ hook() }}", "+tags": ["daily"]}});
    assert_eq!(Json::Object(package.config_trees["models"].clone()), models);
    let trees: Vec<_> = package.config_trees.keys().collect();
    assert_eq!(trees, ["models", "seeds", "data_tests", "semantic_models"]);
}

#[test]
fn mistakes_in_the_project_file_are_told_with_place_and_help() {
    let cases = [
        ("models: [a]\n", "project-value dbt_project.yml:2:9: `models` must be a mapping, not a list"),
        ("model-paths: models\n", "project-value dbt_project.yml:2:14: `model-paths` must be a list of texts"),
        ("source-paths: [a]\nmodel-paths: [b]\n", "project-value dbt_project.yml:2:1: `source-paths` is the old name"),
        ("require-dbt-version: \">=2.0.0\"\n", "dbt-version dbt_project.yml:2:22: `shop` needs a dbt version >=2.0.0"),
        ("require-dbt-version: [\">=1.0.0\", \"<1.12.6\"]\n", "dbt-version dbt_project.yml:2:22"),
        ("require-dbt-version: latest\n", "dbt-version dbt_project.yml:2:22: `latest` is no version specifier"),
        ("target-path: \"{{ env_var('NO') }}\"\n", "env-var-missing dbt_project.yml:2:14: the environment variable `NO`"),
        ("target-path: \"{{ env_var('DBT_ENV_SECRET_A') }}\"\n", "secret-env-var dbt_project.yml:2:14"),
        ("target-path: \"{{ vra('x') }}\"\n", "jinja dbt_project.yml:2:14: this value does not render: unknown function"),
        ("target-path: \"{{ var('x') }}\"\n", "var-missing dbt_project.yml:2:14: the variable `x` is not set"),
        ("dispatch: [{macro_namespace: a}]\n", "project-value dbt_project.yml:2:11: `dispatch` must be a list of mappings"),
    ];
    for (text, expected) in cases {
        let error = load(&project(text), &options()).err().unwrap_or_else(|| panic!("{text} loads"));
        assert!(said(&error).starts_with(expected), "{text}: {}", said(&error));
    }
    for (name, expected) in [("1a", "`1a` is no valid"), ("a-b", "`a-b` is no valid"), ("model", "cannot be called `model`")] {
        let world = world(&[("/shop/dbt_project.yml", &format!("name: {name}\n"))]);
        let error = load(&world, &options()).err().expect("the name is wrong");
        assert!(error.code == "project-name" && error.message.contains(expected), "{}", said(&error));
    }
}

#[test]
fn required_versions_that_fit_are_accepted() {
    for specifier in
        [">=1.0.0", "\">=1.3.0,<2.0.0\"", "[\">=1.12.0-rc1\", \"<=1.12.6\"]", "1.12.6", "\"=1.12.6\"", "[\">1.12.5\"]"]
    {
        let text = if specifier.starts_with('>') { format!("\"{specifier}\"") } else { specifier.to_string() };
        loaded(&project(&format!("require-dbt-version: {text}\n")));
    }
}

#[test]
fn misspelt_and_old_keys_warn_with_the_nearest_name() {
    let (project, warnings) = loaded(&project("model_paths: [a]\nsource-paths: [src]\nmodles: {}\nname: shop\n"));
    assert_eq!(project.own_package().model_paths, ["src"]);
    let expected = [
        "duplicate-yaml-key dbt_project.yml:5:1: ",
        "renamed-source-paths dbt_project.yml:3:1: `source-paths` is the old name of `model-paths` (call it `model-paths`)",
        "unknown-project-key dbt_project.yml:2:1: `model_paths` is no key of dbt_project.yml; it has no effect (did you mean `model-paths`?)",
        "unknown-project-key dbt_project.yml:4:1: `modles` is no key of dbt_project.yml; it has no effect (did you mean `models`?)",
    ];
    assert_eq!(warnings.len(), expected.len());
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(said(warning).starts_with(expected), "{}", said(warning));
    }
}

#[test]
fn the_project_is_found_in_the_folder_above() {
    let world = world(&[("/dbt_project.yml", "name: top\n")]);
    let (project, _) = load(&world, &LoadOptions::default()).expect("it loads");
    assert_eq!((project.name.as_str(), project.root.as_path()), ("top", Path::new("/")));
    let error = load(&world, &options()).err().expect("no project there");
    assert!(said(&error).starts_with("project-not-found there is no dbt_project.yml in /shop"), "{}", said(&error));
}

const PROFILES: &str = "
shop:
  target: \"{{ env_var('TARGET', 'dev') }}\"
  outputs:
    dev: {type: datafusion, path: lake/house, schema: ann, threads: 3, memory_limit: 1GB}
    bucket: {type: datafusion, path: 's3://b/w', databse: x}
    duck: {type: duckdb, path: /data/shop.db.duckdb}
    pg: {type: postgres, host: h, user: u, pass: \"{{ env_var('DBT_ENV_SECRET_PW') }}\", dbname: d, schema: s, port: \"{{ env_var('PORT') | as_number }}\"}
    bad: {type: postgres, dbname: d}
    broken: {type: datafusion, path: \"{{ env_var('NOT_SET') }}\"}
    typeless: {schema: s}
    threads: {type: datafusion, threads: none}
    odd: {type: redshift, database: d, schema: s, password: 'a{{b%}'}
";

fn with_profiles() -> MemoryWorld {
    let mut world = world(&[("/shop/dbt_project.yml", "name: shop\nprofile: shop\n"), ("/shop/profiles.yml", PROFILES)]);
    world.env.insert("DBT_ENV_SECRET_PW".to_string(), "hunter2".to_string());
    world.env.insert("PORT".to_string(), "5432".to_string());
    world
}

fn with_target(world: &MemoryWorld, target: &str) -> Result<(Project, Vec<Diagnostic>), Box<Diagnostic>> {
    load(world, &LoadOptions { target: Some(target.to_string()), ..options() })
}

#[test]
fn targets_of_a_profile_are_read_by_their_engines_keys() {
    let world = with_profiles();
    let cases = [
        ("dev", ("datafusion", "warehouse", "ann", 3)),
        ("bucket", ("datafusion", "warehouse", "main", 4)),
        ("duck", ("duckdb", "shop", "main", 4)),
        ("pg", ("postgres", "d", "s", 1)),
    ];
    for (name, expected) in cases {
        let (project, _) = with_target(&world, name).unwrap_or_else(|error| panic!("{}", said(&error)));
        let target = &project.target;
        assert_eq!((target.adapter_type.as_str(), target.database.as_str(), target.schema.as_str(), target.threads), expected);
        assert_eq!((target.profile_name.as_str(), target.target_name.as_str()), ("shop", name));
    }
    let path = |name: &str| with_target(&world, name).expect("it loads").0.target.settings["path"].clone();
    assert_eq!((path("dev"), path("bucket")), (json!("/shop/lake/house"), json!("s3://b/w")));
    let (_, warnings) = with_target(&world, "bucket").expect("it loads");
    assert!(said(&warnings[0]).starts_with("unknown-profile-key profiles.yml:6:50: `databse`"), "{}", said(&warnings[0]));
    assert!(warnings[0].help.join("").contains("`database`"));
}

#[test]
fn secrets_reach_the_adapter_and_nothing_else() {
    let (project, _) = with_target(&with_profiles(), "pg").expect("it loads");
    assert_eq!((&project.target.settings["pass"], &project.target.settings["port"]), (&json!("hunter2"), &json!(5432)));
    let (odd, _) = with_target(&with_profiles(), "odd").expect("a password may look like Jinja");
    assert_eq!((&odd.target.settings["password"], odd.target.context().get("password")), (&json!("a{{b%}"), None));
    let context = Json::Object(project.target.context());
    assert!(!context.to_string().contains("hunter2"), "{context}");
    let keys = ["name", "schema", "type", "dbname", "host", "port", "user", "profile_name", "target_name", "database"];
    assert!(keys.iter().all(|key| context.get(key).is_some()), "{context}");
}

#[test]
fn profile_mistakes_name_what_there_is() {
    let world = with_profiles();
    let cases = [
        ("prod", "target-not-found profiles.yml:5:5: the profile `shop` has no target `prod` (its targets are `dev`, `bucket`"),
        ("buckte", "target-not-found profiles.yml:5:5: the profile `shop` has no target `buckte` (did you mean `bucket`?"),
        ("bad", "profile-value profiles.yml:9:10: `schema` is missing here"),
        ("broken", "env-var-missing profiles.yml:10:38: the environment variable `NOT_SET` is not set"),
        ("typeless", "profile-value profiles.yml:11:15: `type` is missing here"),
        ("threads", "profile-value profiles.yml:12:42: `threads` must be a whole number"),
    ];
    for (target, expected) in cases {
        let error = with_target(&world, target).err().unwrap_or_else(|| panic!("{target} loads"));
        assert!(said(&error).starts_with(expected), "{}", said(&error));
    }
    let named = |name: &str| LoadOptions { profile: Some(name.to_string()), ..options() };
    let error = load(&world, &named("shpo")).err().expect("no such profile");
    let expected =
        "profile-not-found profiles.yml: there is no profile `shpo` in profiles.yml (did you mean `shop`?; it has `shop`)";
    assert_eq!(said(&error), expected);
    let error = load(&project(""), &named("x")).err().expect("no profiles at all");
    assert!(
        said(&error).starts_with("profile-not-found there is no profiles.yml to find the profile `x` in"),
        "{}",
        said(&error)
    );
    let error = with_target(&project(""), "prod").err().expect("the built-in profile has one target");
    assert!(said(&error).starts_with("target-not-found there is no target `prod`"), "{}", said(&error));
}

#[test]
fn profiles_are_sought_where_dbt_seeks_them() {
    let one = |schema: &str| format!("shop: {{target: dev, outputs: {{dev: {{type: datafusion, schema: {schema}}}}}}}\n");
    let places =
        ["/given/profiles.yml", "/env/profiles.yml", "/profiles.yml", "/shop/profiles.yml", "/home/ann/.dbt/profiles.yml"];
    let mut files = world(&[("/shop/dbt_project.yml", "name: shop\nprofile: shop\n")]);
    for (index, place) in places.iter().enumerate() {
        files.files.insert(PathBuf::from(place), one(&format!("s{index}")));
    }
    files.env.insert("DBT_PROFILES_DIR".to_string(), "/env".to_string());
    let given = LoadOptions { profiles_dir: Some("/given".into()), ..options() };
    let schema = |world: &MemoryWorld, options: &LoadOptions| load(world, options).map(|(project, _)| project.target.schema);
    assert_eq!(schema(&files, &given).as_deref(), Ok("s0"));
    assert_eq!(schema(&files, &options()).as_deref(), Ok("s1"));
    files.env.remove("DBT_PROFILES_DIR");
    for (expected, place) in [("s2", "/profiles.yml"), ("s3", "/shop/profiles.yml"), ("s4", "/home/ann/.dbt/profiles.yml")] {
        assert_eq!(schema(&files, &options()).as_deref(), Ok(expected));
        files.files.remove(Path::new(place));
    }
    assert_eq!(schema(&files, &options()).as_deref(), Ok("main"));
    files.files.remove(Path::new("/given/profiles.yml"));
    assert_eq!(schema(&files, &given).map_err(|error| error.code), Err("profile-not-found"));
}

#[test]
fn threads_of_the_command_line_win() {
    let world = with_profiles();
    let (project, _) = load(&world, &LoadOptions { threads: Some(7), ..options() }).expect("it loads");
    assert_eq!(project.target.threads, 7);
}

#[test]
fn packages_installed_and_local_are_loaded_and_others_warned_of() {
    let world = world(&[
        ("/shop/dbt_project.yml", "name: shop\nvars: {a: 1, tools: {b: root}}\n"),
        (
            "/shop/packages.yml",
            "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.0.0\n  - local: ../tools\n  - git: https://x:tok@h/o/my-pkg.git\n  - package: dbt-labs/dbt_external_tables\n    version: 0.9.0\n",
        ),
        ("/shop/dbt_packages/dbt_utils/dbt_project.yml", "name: dbt_utils\nmacro-paths: [macros]\nfoo: 1\n"),
        ("/shop/dbt_packages/dbt_utils/macros/star.sql", "{% macro star() %}{% endmacro %}"),
        ("/shop/dbt_packages/dbt_utils/integration/dbt_project.yml", "name: shop\n"),
        ("/tools/dbt_project.yml", "name: tools\nvars: {b: own, c: own}\n"),
        ("/tools/models/t.sql", "select 1"),
    ]);
    let (project, warnings) = loaded(&world);
    let names: Vec<_> = project.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["shop", "dbt_utils", "tools"]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let said = said(&warnings[0]);
    assert!(said.starts_with(
        "package-not-installed packages.yml:5:10: packages are not installed: `my-pkg`, `dbt-labs/dbt_external_tables`"
    ));
    assert!(said.contains("headwater deps") && said.contains("stage_external_sources") && !said.contains("tok"), "{said}");
    let vars = project.vars_for("tools");
    assert_eq!((&vars["a"], &vars["b"], &vars["c"]), (&json!(1), &json!("root"), &json!("own")));
    assert_eq!(project.vars_for("shop").get("c"), None);
    let files = discover(&world, &project).expect("it lists");
    let shown: Vec<_> =
        files.iter().map(|file| (file.package.name.as_str(), file.original.as_ref(), file.shown.as_ref())).collect();
    assert_eq!(shown[0], ("dbt_utils", "macros/star.sql", "dbt_packages/dbt_utils/macros/star.sql"));
    assert_eq!(shown[1], ("tools", "models/t.sql", "/tools/models/t.sql"));
}

#[test]
fn files_are_listed_by_kind() {
    let world = world(&[
        ("/shop/dbt_project.yml", "name: shop\nmodel-paths: [models, more/]\n"),
        ("/shop/.dbtignore", "# no\n*.tmp.sql\n/models/old/\n!models/old/keep.sql\nscratch\n"),
        ("/shop/models/a.sql", ""),
        ("/shop/models/sub/b.SQL", ""),
        ("/shop/models/sub/c.py", ""),
        ("/shop/models/.hidden.sql", ""),
        ("/shop/models/x.tmp.sql", ""),
        ("/shop/models/old/gone.sql", ""),
        ("/shop/models/old/keep.sql", ""),
        ("/shop/models/scratch/z.sql", ""),
        ("/shop/models/schema.yml", ""),
        ("/shop/models/docs.md", ""),
        ("/shop/more/d.sql", ""),
        ("/shop/seeds/s.csv", ""),
        ("/shop/snapshots/n.sql", ""),
        ("/shop/snapshots/n.yaml", ""),
        ("/shop/analyses/q.sql", ""),
        ("/shop/macros/m.sql", ""),
        ("/shop/tests/one.sql", ""),
        ("/shop/tests/generic/two.sql", ""),
        ("/shop/tests/fixtures/f.csv", ""),
        ("/shop/tests/deep/generic/three.sql", ""),
        ("/shop/README.md", ""),
        ("/shop/target/compiled/models/a.sql", ""),
    ]);
    let (project, _) = loaded(&world);
    let files = project.files(&world).expect("it lists");
    let listed: Vec<_> = files.iter().map(|file| (file.kind, file.root_path.as_ref(), file.relative.as_ref())).collect();
    let expected = [
        (FileKind::Macro, "macros", "m.sql"),
        (FileKind::Model, "models", "a.sql"),
        (FileKind::Model, "models", "old/keep.sql"),
        (FileKind::Model, "models", "sub/b.SQL"),
        (FileKind::Model, "more", "d.sql"),
        (FileKind::Python, "models", "sub/c.py"),
        (FileKind::Snapshot, "snapshots", "n.sql"),
        (FileKind::Analysis, "analyses", "q.sql"),
        (FileKind::SingularTest, "tests", "deep/generic/three.sql"),
        (FileKind::SingularTest, "tests", "one.sql"),
        (FileKind::GenericTest, "tests/generic", "two.sql"),
        (FileKind::Seed, "seeds", "s.csv"),
        (FileKind::Docs, "models", "docs.md"),
        (FileKind::Property, "models", "schema.yml"),
        (FileKind::Property, "snapshots", "n.yaml"),
        (FileKind::Fixture, "tests/fixtures", "f.csv"),
    ];
    assert_eq!(listed, expected);
    assert_eq!((files[10].original.as_ref(), files[10].stem()), ("tests/generic/two.sql", "two"));
}

/// A world whose one file is not UTF-8.
struct Bytes(MemoryWorld, &'static [u8]);

impl World for Bytes {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        if path.ends_with("a.sql") { Ok(self.1.to_vec()) } else { self.0.read(path) }
    }
    fn walk(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        self.0.walk(folder)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }
    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name)
    }
    fn current_folder(&self) -> std::io::Result<PathBuf> {
        self.0.current_folder()
    }
    fn cores(&self) -> usize {
        self.0.cores()
    }
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.0.now()
    }
    fn new_id(&self) -> String {
        self.0.new_id()
    }
}

#[test]
fn texts_are_utf_8_without_mark_and_with_plain_line_ends() {
    let files = world(&[("/shop/dbt_project.yml", "name: shop\n"), ("/shop/models/a.sql", "")]);
    let read = |bytes| {
        let world = Bytes(files.clone(), bytes);
        let (project, _) = load(&world, &options()).expect("it loads");
        read_text(&world, &project.files(&world).expect("it lists")[0])
    };
    assert_eq!(read(b"\xef\xbb\xbfselect 1\r\nfrom x\ry").as_deref(), Ok("select 1\nfrom x\ny"));
    let error = read(b"select 1\n-- caf\xe9\n").expect_err("latin-1");
    assert!(said(&error).starts_with("not-utf-8 models/a.sql:2:7: the byte 0xE9"), "{}", said(&error));
}

/// Property files: the text, the entries read, and what is said about it.
#[rustfmt::skip]
const PROPERTIES: &[(&str, &[&str], &[&str])] = &[
    ("", &[], &[]),
    ("version: 2\nmodels:\n  - name: m\n    description: \"{{ doc('x') }}\"\n    config: {anything: 1}\n    meta: {any: 1}\n    columns:\n      - name: a\n        tests: [unique, {accepted_values: {values: [1], any: 1}}]\n        data_type: int\n",
     &["models m"], &[]),
    ("models:\n  - name: m\n    descripton: x\n    columns:\n      - name: a\n        test: [unique]\n",
     &["models m"],
     &["unknown-property models/f.yml:3:5: `descripton` is no property of the model `m`; it has no effect (did you mean `description`?)",
       "unknown-property models/f.yml:6:9: `test` is no property of the column `a` of the model `m`; it has no effect (did you mean `tests`?)"]),
    ("models:\n  - name: m\n    materialized: table\n", &["models m"],
     &["unknown-property models/f.yml:3:5: `materialized` is no property of the model `m`; it has no effect (`materialized` is a config: put it under `config:`)"]),
    ("modles:\n  - name: m\n", &[],
     &["unknown-section models/f.yml:1:1: `modles` is no section of a property file; it has no effect (did you mean `models`?)"]),
    ("models:\n  name: m\n", &[], &["property-value models/f.yml:2:3: `models` is a list, not a mapping (begin each entry with `- name: …`)"]),
    ("models:\n", &[], &["property-value models/f.yml:1:7: `models` is a list, not nothing (begin each entry with `- name: …`)"]),
    ("- a\n", &[], &["property-value models/f.yml:1:1: a property file holds a mapping with sections such as `models`, not a list ()"]),
    ("models:\n  - m\n  - nmae: x\n  - name: 1\n  - name: ok\n", &["models ok"],
     &["property-value models/f.yml:2:5: this model is a mapping with a `name`, not text ()",
       "property-value models/f.yml:3:5: this model has no `name` (did you mean `name` instead of `nmae`?)",
       "property-value models/f.yml:4:11: the `name` of this model is text, not a number (put quotes around it)"]),
    ("models:\n  - name: m\n    columns: {a: b}\n  - name: n\n    columns: [a]\n  - name: o\n    tests: {unique: 1}\n  - name: p\n    config: table\n  - name: q\n    description:\n", &[],
     &["property-value models/f.yml:3:14: `columns` of the model `m` is a list, not a mapping ()",
       "property-value models/f.yml:5:15: this column is a mapping with a `name`, not text ()",
       "property-value models/f.yml:7:12: `tests` of the model `o` is a list, not a mapping ()",
       "property-value models/f.yml:9:13: `config` of the model `p` is a mapping, not text ()",
       "property-value models/f.yml:11:16: `description` of the model `q` is text, not nothing ()"]),
    ("models:\n  - name: m\n    tests: [unique]\n    data_tests: [unique]\n", &[],
     &["property-value models/f.yml:3:5: the model `m` has `tests` and `data_tests`, which are two names of one thing ()"]),
    ("sources:\n  - name: s\n    tables:\n      - name: t\n        external: {location: x}\n        columns: [{name: c, data_tests: [not_null]}]\n        lodaed_at_field: x\n  - name: u\n    tables: [t]\n", &["sources s"],
     &["unknown-property models/f.yml:7:9: `lodaed_at_field` is no property of the table `t` of the source `s`; it has no effect (did you mean `loaded_at_field`?)",
       "property-value models/f.yml:9:14: this table is a mapping with a `name`, not text ()"]),
    ("seeds: [{name: a}]\nsnapshots: [{name: b, relation: x}]\nanalyses: [{name: c}]\nmacros: [{name: d, arguments: [{name: x, type: int}]}]\ngroups: [{name: g, owner: {name: x}}]\ntests: [{name: t}]\ndata_tests: [{name: u}]\n",
     &["seeds a", "snapshots b", "analyses c", "macros d", "groups g", "data_tests t", "data_tests u"], &[]),
    ("exposures:\n  - name: e\n    type: dashboard\n    owner: {name: x}\n    depends_on: [ref('m')]\n  - name: f\n", &["exposures e"],
     &["property-value models/f.yml:6:5: the exposure `f` has no `type` ()", "property-value models/f.yml:6:5: the exposure `f` has no `owner` ()"]),
    ("unit_tests:\n  - name: u\n    model: m\n    given: [{input: ref('a'), row: []}]\n    expect: {rows: []}\n", &["unit_tests u"],
     &["unknown-property models/f.yml:4:31: `row` is no property of an input of the unit test `u`; it has no effect (did you mean `rows`?)"]),
    ("models:\n  - name: m\n    latest_version: 2\n    versions:\n      - v: 1\n        columns: [{include: all, exclude: [a]}]\n      - v: 2\n", &["models m"], &[]),
];

#[test]
fn property_files_are_read_and_checked() {
    let world = world(&[("/shop/dbt_project.yml", "name: shop\n"), ("/shop/models/f.yml", "")]);
    let (project, _) = loaded(&world);
    let file = &project.files(&world).expect("it lists")[0];
    for (text, entries, expected) in PROPERTIES {
        let (properties, diagnostics) = read_properties(text, file).unwrap_or_else(|error| panic!("{text}: {error}"));
        let read: Vec<_> =
            properties.entries.iter().map(|entry| format!("{} {}", entry.section.as_str(), entry.name())).collect();
        assert_eq!(&read, entries, "{text}");
        let said: Vec<_> = diagnostics.iter().map(said).collect();
        assert_eq!(&said, expected, "{text}");
        let wrong = |diagnostic: &&Diagnostic| diagnostic.is_error() == diagnostic.code.starts_with("unknown-");
        assert_eq!(diagnostics.iter().find(wrong), None, "unknown keys warn, wrong kinds are errors");
    }
    assert_eq!(Section::SemanticModels.as_str(), "semantic_models");
    assert_eq!(read_properties("a: [", file).expect_err("no YAML").code, "yaml-syntax");
}

/// Jinja in YAML: the text, and what it renders to or the code of the mistake.
#[rustfmt::skip]
const RENDERED: &[(&str, &str)] = &[
    ("plain", r#""plain""#),
    ("{{ var('n') }}", "7"),
    ("{{ var('list') }}", r#"[1,"a"]"#),
    ("{{ var('map').k }}", "true"),
    ("{{ var('map') }}", r#"{"k":true,"z":null,"a":1.5}"#),
    ("x{{ var('n') }}", r#""x7""#),
    ("{{ var('n') }} ", r#""7 ""#),
    ("{{ var('none') }}", "null"),
    ("{{ var('missing', none) }}", "null"),
    ("{{ var('missing', default='d') }}", r#""d""#),
    ("is {{ var('map').k }} {{ var('none') }}", r#""is True None""#),
    ("{% if var('n') > 5 %}{{ var('n') }}{% else %}no{% endif %}", "7"),
    ("{% if var('n') > 5 %}yes{% endif %}", r#""yes""#),
    ("{{ env_var('PORT') }}", r#""5432""#),
    ("{{ env_var('PORT') | as_number }}", "5432"),
    ("{{ env_var('PORT') | int + 1 }}", "5433"),
    ("{{ env_var('HOST', 'localhost') }}:{{ env_var('PORT') }}", r#""localhost:5432""#),
    ("{{ env_var('NAME_OF') and env_var(env_var('NAME_OF')) }}", r#""5432""#),
    ("{{ '1.5' | as_number }}", "1.5"),
    ("{{ 'True' | as_bool }}", "true"),
    ("{{ '[1, \"x\"]' | as_native }}", r#"[1,"x"]"#),
    ("{{ 'abc' | as_native }}", r#""abc""#),
    ("{{ '12' | as_text }}", r#""12""#),
    ("{{ target.schema | upper }}", r#""MAIN""#),
    ("{{ target.name.startswith('de') }}", "true"),
    ("{{ dbt_version }}", r#""1.12.6""#),
    ("{# nothing #}", r#""""#),
    ("{{ 'abc' | as_number }}", "jinja"),
    ("{{ 'abc' | as_bool }}", "jinja"),
    ("{{ undefined_name }}", "jinja"),
    ("{{ var('n' }}", "jinja"),
    ("{{ ref('m') }}", "jinja"),
    ("{{ var('missing') }}", "var-missing"),
    ("{{ env_var('MISSING') }}", "env-var-missing"),
    ("{{ env_var('MISSING', none) }}", "env-var-missing"),
    ("{{ env_var('DBT_ENV_SECRET_X', 'y') }}", "secret-env-var"),
];

#[test]
fn jinja_in_yaml_renders_natively_as_in_dbt() {
    let mut world = world(&[]);
    world.env.extend([("PORT".to_string(), "5432".to_string()), ("NAME_OF".to_string(), "PORT".to_string())]);
    let vars = json!({"n": 7, "none": null, "list": [1, "a"], "map": {"k": true, "z": null, "a": 1.5}});
    let target = json!({"name": "dev", "schema": "main"});
    let context = BaseContext::new(&world, vars.as_object().cloned().unwrap_or_default(), target.as_object().cloned());
    for (text, expected) in RENDERED {
        let location = yaml("a").location;
        let rendered = match context.render_text(text, &location) {
            Ok(value) => value.to_string(),
            Err(error) => error.code.to_string(),
        };
        assert_eq!(&rendered, expected, "{text}");
    }
}

#[test]
fn rendering_skips_what_it_is_told_to() {
    let world = world(&[]);
    let context = BaseContext::new(&world, json!({"x": 1}).as_object().cloned().unwrap_or_default(), None);
    let text = "a: \"{{ var('x') }}\"\ndescription: \"{{ doc('d') }}\"\ncolumns:\n  - {b: \"{{ var('x') }}\", tests: [\"{{ later }}\"]}\n";
    let skip = |path: &[&str]| matches!(path, ["description"] | ["columns", "0", "tests", ..]);
    let rendered = context.render_yaml(&yaml(text), &skip).expect("it renders");
    let expected = json!({"a": 1, "description": "{{ doc('d') }}", "columns": [{"b": 1, "tests": ["{{ later }}"]}]});
    assert_eq!(rendered, expected);
    let error = context.render_yaml(&yaml(text), &|_| false).expect_err("doc is not known here");
    assert!(said(&error).starts_with("jinja f.yml:2:14: "), "{}", said(&error));
}
