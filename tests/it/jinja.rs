//! The template engine against a scope that records what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::jinja::blocks::{self, BlockKind};
use headwater::jinja::{Introspect, Jinja, JinjaSettings, MacroSource, NodeScope, RefAnswer, StaticCalls, TemplateText, builtin_macros};
use headwater::manifest::{JsonMap, RefArgs};
use headwater::name::{Relation, RelationType, UniqueId};
use headwater::rows::{Cell, ColumnType, Rows};
use headwater::source::Location;
use minijinja::Value;
use serde_json::{Value as Json, json};

/// Answers like a compiling node of package `shop`; keeps what it was told.
#[derive(Default)]
struct Scope {
    parsing: bool,
    package: String,
    no_database: bool,
    extra: BTreeMap<String, Value>,
    variables: JsonMap,
    config: Mutex<JsonMap>,
    told: Mutex<Vec<String>>,
}

impl Scope {
    fn tell(&self, text: String) {
        self.told.lock().expect("no test panics while it writes").push(text);
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().expect("no test panics while it writes").clone()
    }
}

impl NodeScope for Scope {
    fn resolve_ref(&self, args: RefArgs) -> Outcome<RefAnswer> {
        self.tell(format!("ref {:?} {} {:?}", args.package, args.name, args.version));
        if args.name == "missing" {
            return Diagnostic::error("ref-not-found", "there is no node `missing`").help("did you mean `orders`?").fail();
        }
        let rendered = (args.name == "eph").then(|| "__dbt__cte__eph".to_string());
        Ok(RefAnswer { relation: Relation::new(Some("lake"), Some("main"), &args.name), relation_type: Some(RelationType::View), rendered })
    }

    fn resolve_source(&self, source: &str, table: &str) -> Outcome<RefAnswer> {
        self.tell(format!("source {source} {table}"));
        Ok(RefAnswer { relation: Relation::new(Some("lake"), Some(source), table), relation_type: Some(RelationType::Table), rendered: None })
    }

    fn set_config(&self, values: JsonMap) -> Outcome<()> {
        self.config.lock().expect("no test panics while it writes").extend(values);
        Ok(())
    }

    fn config_value(&self, key: &str) -> Option<Json> {
        self.config.lock().expect("no test panics while it writes").get(key).cloned()
    }

    fn variable(&self, name: &str) -> Option<Json> {
        self.variables.get(name).cloned()
    }

    fn this_relation(&self) -> Option<RefAnswer> {
        Some(RefAnswer { relation: Relation::new(Some("lake"), Some("main"), "this_one"), relation_type: None, rendered: None })
    }

    fn model(&self) -> Value {
        [("name", Value::from("this_one")), ("schema", Value::from("main")), ("alias", Value::from("this_one"))].into_iter().collect()
    }

    fn executes(&self) -> bool {
        !self.parsing
    }

    fn package(&self) -> &str {
        if self.package.is_empty() { "shop" } else { &self.package }
    }

    fn macro_called(&self, macro_id: &UniqueId) {
        self.tell(format!("macro {macro_id}"));
    }

    fn database(&self) -> Option<Arc<dyn Introspect>> {
        (!self.no_database).then(|| Arc::new(Database) as Arc<dyn Introspect>)
    }

    fn extra(&self, name: &str) -> Option<Value> {
        self.extra.get(name).cloned()
    }

    fn message(&self, text: &str, info: bool) {
        self.tell(format!("{}: {text}", if info { "info" } else { "debug" }));
    }

    fn warn(&self, text: &str) {
        self.tell(format!("warn: {text}"));
    }
}

/// Two orders in `main.orders`.
struct Database;

fn column(name: &str, data_type: &str) -> ColumnType {
    ColumnType { name: name.into(), data_type: data_type.into() }
}

impl Introspect for Database {
    fn query(&self, sql: &str) -> Outcome<Rows> {
        if sql.contains("broken") {
            return Diagnostic::error("sql-plan", "no such table").fail();
        }
        Ok(Rows {
            columns: vec![column("id", "bigint"), column("status", "text"), column("day", "date"), column("price", "numeric(10,2)")],
            rows: vec![
                vec![Cell::Integer(1), Cell::Text("new".into()), Cell::Date("2024-01-31".into()), Cell::Decimal("12.50".into())],
                vec![Cell::Integer(2), Cell::Null, Cell::Date("2024-02-01".into()), Cell::Decimal("3".into())],
            ],
            rows_affected: None,
        })
    }

    fn relation_type(&self, relation: &Relation) -> Outcome<Option<RelationType>> {
        Ok((relation.identifier == "orders").then_some(RelationType::Table))
    }

    fn columns(&self, relation: &Relation) -> Outcome<Vec<ColumnType>> {
        let mut columns = vec![column("id", "bigint"), column("name", "character varying(20)"), column("price", "numeric(10,2)")];
        columns.truncate(if relation.identifier == "small" { 1 } else { 3 });
        Ok(columns)
    }

    fn list_relations(&self, database: Option<&str>, schema: &str) -> Outcome<Vec<(Relation, RelationType)>> {
        Ok(vec![(Relation::new(database, Some(schema), "orders"), RelationType::Table)])
    }

    fn list_schemas(&self, _database: Option<&str>) -> Outcome<Vec<String>> {
        Ok(vec!["main".into(), "raw".into()])
    }

    fn create_schema(&self, relation: &Relation) -> Outcome<()> {
        Diagnostic::error("seen", format!("create schema {relation}")).fail()
    }

    fn drop_schema(&self, _relation: &Relation) -> Outcome<()> {
        Ok(())
    }

    fn drop_relation(&self, relation: &Relation) -> Outcome<()> {
        Diagnostic::error("seen", format!("drop {relation}")).fail()
    }

    fn truncate_relation(&self, _relation: &Relation) -> Outcome<()> {
        Ok(())
    }

    fn rename_relation(&self, from: &Relation, to: &Relation) -> Outcome<()> {
        Diagnostic::error("seen", format!("rename {from} to {to}")).fail()
    }

    fn stage_external(&self, select: Option<&str>) -> Outcome<Vec<String>> {
        Ok(vec![format!("staged {}", select.unwrap_or("everything"))])
    }
}

/// The macros of a file of `package`.
fn macros(package: &str, text: &str) -> Vec<MacroSource> {
    let blocks = blocks::extract(text, &format!("macros/{package}.sql")).expect("the test's macros are well formed");
    let source = |block: blocks::Block| MacroSource {
        unique_id: UniqueId::new(format!("macro.{package}.{}", block.name)),
        name: block.name,
        package: package.to_string(),
        source: block.source,
        location: block.location,
    };
    blocks.into_iter().map(source).collect()
}

fn settings(macros: Vec<MacroSource>) -> JinjaSettings {
    let target = json!({"name": "dev", "schema": "main", "database": "lake", "type": "datafusion", "threads": 4});
    let time = chrono::DateTime::parse_from_rfc3339("2024-03-05T06:07:08.5+00:00").expect("a valid time");
    JinjaSettings {
        macros,
        target: target.as_object().cloned().unwrap_or_default(),
        env: Arc::new(|name| (name == "HOME_TOWN").then(|| "Riga".to_string())),
        invocation_id: "some-id".to_string(),
        run_started_at: time.to_utc(),
        flags: json!({"FULL_REFRESH": false, "WHICH": "run"}).as_object().cloned().unwrap_or_default(),
        ..JinjaSettings::new("shop", "datafusion")
    }
}

fn engine(macros: Vec<MacroSource>) -> Jinja {
    Jinja::new(settings(macros)).expect("the settings are valid")
}

fn template(source: &str) -> TemplateText {
    TemplateText { name: "model this_one".into(), source: source.into(), location: Location::new("models/this_one.sql", 1, 1) }
}

fn render_with(jinja: &Jinja, source: &str, scope: Arc<Scope>) -> Outcome<String> {
    jinja.render(&template(source), scope)
}

fn render(source: &str) -> Outcome<String> {
    render_with(&engine(Vec::new()), source, Arc::default())
}

/// Every template gives its text.
fn check(jinja: &Jinja, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (source, expected) in cases {
        match render_with(jinja, source, Arc::default()) {
            Ok(text) if text == *expected => {}
            Ok(text) => wrong.push(format!("{source}\n  gives    {text:?}\n  expected {expected:?}")),
            Err(error) => wrong.push(format!("{source}\n  fails: {error} {:?}", error.trace)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn jinja_language_is_pythons() {
    check(
        &engine(Vec::new()),
        &[
            ("plain text\n", "plain text"),
            ("{{ 1 + 1 }}", "2"),
            ("{{ true }} {{ none }} {{ 1.0 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 3 }}", "True None 1.0 3.5 3 1 2 8"),
            ("{{ ['a', 1, none, true] }} {{ {'k': 'v'} }} {{ ('a', 'b') }} {{ ('a',) }}", "['a', 1, None, True] {'k': 'v'} ('a', 'b') ('a',)"),
            ("{% set l = [] %}{% do l.append(1) %}{% do l.append('x') %}{{ l }}", "[1, 'x']"),
            ("{% set l = [1] %}{% set m = l %}{% do m.extend([2, 3]) %}{% do l.insert(0, 9) %}{{ l }} {{ l.pop() }} {{ m }}", "[9, 1, 2, 3] 3 [9, 1, 2]"),
            ("{% set l = ['a'] + ['b'] %}{% do l.append('c') %}{{ l | join(',') }}", "a,b,c"),
            ("{% set l = [3, 1, 2] | sort | list %}{% do l.append(0) %}{{ l }}", "[1, 2, 3, 0]"),
            ("{% set l = 'a,b'.split(',') %}{% do l.append('c') %}{{ l }}", "['a', 'b', 'c']"),
            ("{% set d = {'a': 1} %}{% do d.update({'b': 2}) %}{% do d.update(c=3) %}{{ d }} {{ d.items() | list }}", "{'a': 1, 'b': 2, 'c': 3} [('a', 1), ('b', 2), ('c', 3)]"),
            ("{% set d = {} %}{% do d.setdefault('k', []).append(1) %}{% do d['k'].append(2) %}{{ d }}{{ d.get('x') }}{{ d.get('x', 5) }}", "{'k': [1, 2]}None5"),
            ("{% set d = dict(a=1) %}{{ d.pop('a') }}{{ d }}{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "1{}x1y2"),
            ("{% set ns = namespace(n=0, l=[]) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% do ns.l.append(i) %}{% endfor %}{{ ns.n }}{{ ns.l }}", "3[0, 1, 2]"),
            ("{% for i in [1, 2, 3] if i != 2 %}{{ loop.index }}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "11,23"),
            ("{% for i in range(10) %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "013"),
            ("{% for i in [] %}x{% else %}none{% endfor %}", "none"),
            ("{{ '%s is %d and %.2f' % ('a', 3, 1.5) }} {{ '%05d' % 42 }} {{ '%s' % 'x' }} {{ ('%s') % ('y') }}", "a is 3 and 1.50 00042 x y"),
            ("{{ '%(a)s-%(b)s' % {'a': 1, 'b': 2} }}", "1-2"),
            ("{{ '{} {0} {a}'.format(1, a=2) if false else '{} {}'.format(1, 'x') }} {{ '{a}'.format(a=2) }} {{ \"%s\"|format('z') }}", "1 x 2 z"),
            ("{{ ' Ab '.strip().lower() }}|{{ 'a-b'.replace('-', '_').upper() }}|{{ 'abc'.startswith('ab') }}|{{ 'x'.join(['1', '2']) }}", "ab|A_B|True|1x2"),
            ("{{ 'a b  c'.split() }} {{ 'a.b.c'.rsplit('.', 1) }} {{ 'a=b'.partition('=') }} {{ '7'.zfill(3) }} {{ 'Ab'.swapcase() }}", "['a', 'b', 'c'] ['a.b', 'c'] ('a', '=', 'b') 007 aB"),
            ("{{ 'abc'[0] }}{{ 'abc'[-1] }}{{ 'abcd'[1:3] }}{{ [1, 2, 3][-1] }}{{ [1, 2, 3][1:] }}{{ {'a': [5]}['a'][0] }}", "acbc3[2, 3]5"),
            ("{{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ 1 in [1] }} {{ 'a' in {'a': 1} }} {{ 'b' not in ['a'] }} {{ [] == [1] }}", "True True True True True False"),
            ("{{ x is defined }} {{ x is none }} {{ none is none }} {{ [] is iterable }} {{ {} is mapping }} {{ 'a' is string }} {{ 3 is number }}", "False False True True True True True"),
            ("{{ 'yes' if [] else 'no' }} {{ 'yes' if {} else 'no' }} {{ 'yes' if '' else 'no' }} {{ 'yes' if 0 else 'no' }} {{ not none }} {{ [0] or 1 }}", "no no no no True [0]"),
            ("{{ nothing }}|{{ nothing | default('d') }}|{{ '' | default('d', true) }}|{% for x in nothing %}x{% endfor %}|{{ nothing | length }}", "|d|d||0"),
            ("{{ [3, 1] | sort }} {{ ['b', 'a'] | map('upper') | list }} {{ [{'n': 1}, {'n': 2}] | map(attribute='n') | list }} {{ [1, 2] | sum }}", "[1, 3] ['B', 'A'] [1, 2] 3"),
            ("{{ [{'n': 1}, {'n': 2}] | selectattr('n', 'equalto', 2) | list }} {{ [1, 2, 3] | select('odd') | list }} {{ [1, 1, 2] | unique | list }}", "[{'n': 2}] [1, 3] [1, 2]"),
            ("{{ [1, 2, 3] | first }} {{ [1, 2] | last }} {{ 'a' | upper }} {{ '5' | int + 1 }} {{ 3.7 | int }} {{ 2 | float }} {{ 'abc' | length }} {{ 3.14159 | round(2) }}", "1 2 A 6 3 2.0 3 3.14"),
            ("{{ '1' | as_number }} {{ 'x' | as_text }} {{ [1] | is_list }} {{ {'b': 1, 'a': [1]} | tojson }} {{ tojson({'b': 1, 'a': 'é'}) }}", r#"1 x True {"a": [1], "b": 1} {"b": 1, "a": "\u00e9"}"#),
            ("{%- set x -%}  in  {%- endset -%}[{{ x }}]{# comment {{ x }} #}{% raw %}{{ raw }}{% endraw %}", "[in]{{ raw }}"),
            ("{% set a, b = 1, 2 %}{{ b }}{{ a }}{% set t = 1, 2 %}{{ t }}", "21(1, 2)"),
            ("{% if 1 %}{% set v = 'inner' %}{% endif %}{{ v }}{% for i in [1] %}{% set v = 'loop' %}{% endfor %}{{ v }}", "innerinner"),
            ("{% macro local(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ local(1) }}{{ local(1, b=3) }}", "1213"),
            ("{% set x = 5 %}{% do log(x) if x > 3 %}{{ x }}", "5"),
            ("line one\r\n{{ 1 }}\r\nline three\r\n", "line one\n1\nline three"),
            ("{{ zip([1, 2], ['a', 'b']) | list }} {{ set([1, 1, 2]) | list }} {{ fromjson('{\"a\": [1]}')['a'][0] }} {{ fromyaml('a: [x, 1]')['a'] }}", "[(1, 'a'), (2, 'b')] [1, 2] 1 ['x', 1]"),
            ("{{ toyaml({'a': [1, 'x'], 'b': {'c': none}}) }}", "a:\n- 1\n- x\nb:\n  c: null\n"),
            ("{{ local_md5('hello world') }} {{ diff_of_two_dicts({'a': ['X', 'y'], 'b': ['z']}, {'A': ['x']}) }}", "5eb63bbbe01eeed093cb22bb8f5acdc3 {'a': ['y'], 'b': ['z']}"),
        ],
    );
}
