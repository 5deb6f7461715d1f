//! The template engine against a scope that records what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use headwater::diagnostic::{Diagnostic, Outcome};
use headwater::jinja::blocks::{self, BlockKind};
use headwater::jinja::{
    Introspect, Jinja, JinjaSettings, MacroCall, MacroSource, NodeScope, RefAnswer, StaticCalls, TemplateText, builtin_macros,
};
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
        Ok(RefAnswer {
            relation: Relation::new(Some("lake"), Some("main"), &args.name),
            relation_type: Some(RelationType::View),
            rendered,
        })
    }

    fn resolve_source(&self, source: &str, table: &str) -> Outcome<RefAnswer> {
        self.tell(format!("source {source} {table}"));
        Ok(RefAnswer {
            relation: Relation::new(Some("lake"), Some(source), table),
            relation_type: Some(RelationType::Table),
            rendered: None,
        })
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
        Value::from_pairs([
            ("name", Value::from("this_one")),
            ("schema", Value::from("main")),
            ("alias", Value::from("this_one")),
        ])
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
            columns: vec![
                column("id", "bigint"),
                column("status", "text"),
                column("day", "date"),
                column("price", "numeric(10,2)"),
            ],
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
            (
                "{{ true }} {{ none }} {{ 1.0 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 3 }}",
                "True None 1.0 3.5 3 1 2 8",
            ),
            (
                "{{ ['a', 1, none, true] }} {{ {'k': 'v'} }} {{ ('a', 'b') }} {{ ('a',) }}",
                "['a', 1, None, True] {'k': 'v'} ('a', 'b') ('a',)",
            ),
            ("{% set l = [] %}{% do l.append(1) %}{% do l.append('x') %}{{ l }}", "[1, 'x']"),
            (
                "{% set l = [1] %}{% set m = l %}{% do m.extend([2, 3]) %}{% do l.insert(0, 9) %}{{ l }} {{ l.pop() }} {{ m }}",
                "[9, 1, 2, 3] 3 [9, 1, 2]",
            ),
            ("{% set l = ['a'] + ['b'] %}{% do l.append('c') %}{{ l | join(',') }}", "a,b,c"),
            ("{% set l = [3, 1, 2] | sort | list %}{% do l.append(0) %}{{ l }}", "[1, 2, 3, 0]"),
            ("{% set l = 'a,b'.split(',') %}{% do l.append('c') %}{{ l }}", "['a', 'b', 'c']"),
            (
                "{% set d = {'a': 1} %}{% do d.update({'b': 2}) %}{% do d.update(c=3) %}{{ d }} {{ d.items() | list }}",
                "{'a': 1, 'b': 2, 'c': 3} [('a', 1), ('b', 2), ('c', 3)]",
            ),
            (
                "{% set d = {} %}{% do d.setdefault('k', []).append(1) %}{% do d['k'].append(2) %}{{ d }}{{ d.get('x') }}{{ d.get('x', 5) }}",
                "{'k': [1, 2]}None5",
            ),
            (
                "{% set d = dict(a=1) %}{{ d.pop('a') }}{{ d }}{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}{{ v }}{% endfor %}",
                "1{}x1y2",
            ),
            (
                "{% set ns = namespace(n=0, l=[]) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% do ns.l.append(i) %}{% endfor %}{{ ns.n }}{{ ns.l }}",
                "3[0, 1, 2]",
            ),
            ("{% for i in [1, 2, 3] if i != 2 %}{{ loop.index }}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "11,23"),
            (
                "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
                "013",
            ),
            ("{% for i in [] %}x{% else %}none{% endfor %}", "none"),
            (
                "{{ '%s is %d and %.2f' % ('a', 3, 1.5) }} {{ '%05d' % 42 }} {{ '%s' % 'x' }} {{ ('%s') % ('y') }}",
                "a is 3 and 1.50 00042 x y",
            ),
            ("{{ '%(a)s-%(b)s' % {'a': 1, 'b': 2} }}", "1-2"),
            (
                "{{ '{} {0} {a}'.format(1, a=2) if false else '{} {}'.format(1, 'x') }} {{ '{a}'.format(a=2) }} {{ \"%s\"|format('z') }}",
                "1 x 2 z",
            ),
            (
                "{{ ' Ab '.strip().lower() }}|{{ 'a-b'.replace('-', '_').upper() }}|{{ 'abc'.startswith('ab') }}|{{ 'x'.join(['1', '2']) }}",
                "ab|A_B|True|1x2",
            ),
            (
                "{{ 'a b  c'.split() }} {{ 'a.b.c'.rsplit('.', 1) }} {{ 'a=b'.partition('=') }} {{ '7'.zfill(3) }} {{ 'Ab'.swapcase() }}",
                "['a', 'b', 'c'] ['a.b', 'c'] ('a', '=', 'b') 007 aB",
            ),
            (
                "{{ 'abc'[0] }}{{ 'abc'[-1] }}{{ 'abcd'[1:3] }}{{ [1, 2, 3][-1] }}{{ [1, 2, 3][1:] }}{{ {'a': [5]}['a'][0] }}",
                "acbc3[2, 3]5",
            ),
            (
                "{{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ 1 in [1] }} {{ 'a' in {'a': 1} }} {{ 'b' not in ['a'] }} {{ [] == [1] }}",
                "True True True True True False",
            ),
            (
                "{{ x is defined }} {{ x is none }} {{ none is none }} {{ [] is iterable }} {{ {} is mapping }} {{ 'a' is string }} {{ 3 is number }}",
                "False False True True True True True",
            ),
            (
                "{{ 'yes' if [] else 'no' }} {{ 'yes' if {} else 'no' }} {{ 'yes' if '' else 'no' }} {{ 'yes' if 0 else 'no' }} {{ not none }} {{ [0] or 1 }}",
                "no no no no True [0]",
            ),
            (
                "{{ nothing }}|{{ nothing | default('d') }}|{{ '' | default('d', true) }}|{% for x in nothing %}x{% endfor %}|{{ nothing | length }}",
                "|d|d||0",
            ),
            (
                "{{ [3, 1] | sort }} {{ ['b', 'a'] | map('upper') | list }} {{ [{'n': 1}, {'n': 2}] | map(attribute='n') | list }} {{ [1, 2] | sum }}",
                "[1, 3] ['B', 'A'] [1, 2] 3",
            ),
            (
                "{{ [{'n': 1}, {'n': 2}] | selectattr('n', 'equalto', 2) | list }} {{ [1, 2, 3] | select('odd') | list }} {{ [1, 1, 2] | unique | list }}",
                "[{'n': 2}] [1, 3] [1, 2]",
            ),
            (
                "{{ [1, 2, 3] | first }} {{ [1, 2] | last }} {{ 'a' | upper }} {{ '5' | int + 1 }} {{ 3.7 | int }} {{ 2 | float }} {{ 'abc' | length }} {{ 3.14159 | round(2) }}",
                "1 2 A 6 3 2.0 3 3.14",
            ),
            (
                "{{ '1' | as_number }} {{ 'x' | as_text }} {{ [1] | is_list }} {{ {'b': 1, 'a': [1]} | tojson }} {{ tojson({'b': 1, 'a': 'é'}) }}",
                r#"1 x True {"a": [1], "b": 1} {"b": 1, "a": "\u00e9"}"#,
            ),
            ("{%- set x -%}  in  {%- endset -%}[{{ x }}]{# comment {{ x }} #}{% raw %}{{ raw }}{% endraw %}", "[in]{{ raw }}"),
            ("{% set a, b = 1, 2 %}{{ b }}{{ a }}{% set t = 1, 2 %}{{ t }}", "21(1, 2)"),
            (
                "{% if 1 %}{% set v = 'inner' %}{% endif %}{{ v }}{% for i in [1] %}{% set v = 'loop' %}{% endfor %}{{ v }}",
                "innerinner",
            ),
            ("{% macro local(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ local(1) }}{{ local(1, b=3) }}", "1213"),
            ("{% set x = 5 %}{% do log(x) if x > 3 %}{{ x }}", "5"),
            ("line one\r\n{{ 1 }}\r\nline three\r\n", "line one\n1\nline three"),
            (
                "{{ zip([1, 2], ['a', 'b']) | list }} {{ set([1, 1, 2]) | list }} {{ fromjson('{\"a\": [1]}')['a'][0] }} {{ fromyaml('a: [x, 1]')['a'] }}",
                "[(1, 'a'), (2, 'b')] [1, 2] 1 ['x', 1]",
            ),
            ("{{ toyaml({'a': [1, 'x'], 'b': {'c': none}}) }}", "a:\n- 1\n- x\nb:\n  c: null\n"),
            (
                "{{ local_md5('hello world') }} {{ diff_of_two_dicts({'a': ['X', 'y'], 'b': ['z']}, {'A': ['x']}) }}",
                "5eb63bbbe01eeed093cb22bb8f5acdc3 {'a': ['y'], 'b': ['z']}",
            ),
        ],
    );
}

#[test]
fn context_answers_as_dbt_does() {
    check(
        &engine(Vec::new()),
        &[
            (
                "{{ ref('orders') }} {{ ref('shop', 'orders', v=2) }} {{ ref('eph') }}",
                r#""lake"."main"."orders" "lake"."main"."orders" __dbt__cte__eph"#,
            ),
            (
                "{{ source('raw', 'sale') }} {{ this }} {{ this.schema }}.{{ this.identifier }} {{ this.name }}",
                r#""lake"."raw"."sale" "lake"."main"."this_one" main.this_one this_one"#,
            ),
            (
                "{{ ref('orders').include(database=false) }} {{ this.include(schema=false, database=false) }} {{ this.without_identifier() }} {{ this.quote(identifier=false) }}",
                r#""main"."orders" "this_one" "lake"."main" "lake"."main".this_one"#,
            ),
            (
                "{{ ref('orders').is_view }} {{ source('r', 't').is_table }} {{ source('r', 't').type }} {{ this.type }} {{ ref('a') == ref('a') }} {{ ref('a') == ref('b') }}",
                "True True table None True False",
            ),
            (
                "{{ config(materialized='table', tags=['a', 'b']) }}{{ config.get('materialized') }} {{ config.get('tags') }} {{ config.get('no') }} {{ config.get('no', 1) }} {{ config.require('tags')[0] }}",
                "table ['a', 'b'] None 1 a",
            ),
            (
                "{{ config({'x': {'y': 1}}) }}{{ config.get('x').y }}{{ config.persist_relation_docs() }}{% do config.set('z', 3) %}{{ config.get('z') }}",
                "1False3",
            ),
            (
                "{{ var('absent', 'd') }} {{ var.has_var('absent') }} {{ env_var('HOME_TOWN') }} {{ env_var('NO_SUCH', 'x') }}",
                "d False Riga x",
            ),
            (
                "{{ target.schema }} {{ target['name'] }} {{ target.type }} {{ env.name }} {{ project_name }} {{ schema }} {{ database }}",
                "main dev datafusion dev shop main lake",
            ),
            (
                "{{ execute }} {{ invocation_id }} {{ dbt_version }} {{ flags.WHICH }} {{ flags.FULL_REFRESH }} {{ model.name }} {{ flags.NOPE is defined }}",
                "True some-id 1.12.6 run False this_one False",
            ),
            (
                "{{ run_started_at }} {{ run_started_at.strftime('%Y-%m-%d %H:%M') }} {{ run_started_at.isoformat() }}",
                "2024-03-05 06:07:08.500000+00:00 2024-03-05 06:07 2024-03-05T06:07:08.500000+00:00",
            ),
            (
                "{{ run_started_at.astimezone(modules.pytz.timezone('America/New_York')) }} {{ run_started_at.year }}",
                "2024-03-05 01:07:08.500000-05:00 2024",
            ),
            (
                "{{ (run_started_at - modules.datetime.timedelta(days=5)).strftime('%Y-%m-%d') }} {{ run_started_at + modules.datetime.timedelta(hours=1) > run_started_at }}",
                "2024-02-29 True",
            ),
            (
                "{% set d = modules.datetime.datetime.strptime('2024-02-28', '%Y-%m-%d') %}{% set e = d + modules.datetime.timedelta(2) %}{{ e.date() }} {{ (e - d).days }} {{ 1 + 1 }}{{ 'a' + 'b' }}",
                "2024-03-01 2 2ab",
            ),
            (
                "{{ modules.datetime.date(2024, 1, 31) }} {{ modules.datetime.datetime(2024, 1, 31, 5).isoformat() }} {{ modules.datetime.datetime.utcnow().year >= 2024 }}",
                "2024-01-31 2024-01-31T05:00:00 True",
            ),
            (
                "{{ modules.re.sub('[^a-z]+', '_', 'a-b c') }} {{ modules.re.match('(\\\\w+)-(\\\\d+)', 'ab-12').group(2) }} {{ modules.re.findall('\\\\d', 'a1b2') }}",
                "a_b_c 12 ['1', '2']",
            ),
            (
                "{{ adapter.type() }} {{ adapter.quote('a\"b') }} {{ api.Relation.create(schema='s', identifier='t', type='view') }} {{ api.Relation.create(identifier='t').schema }}",
                r#"datafusion "a""b" "s"."t" None"#,
            ),
            (
                "{% set r = adapter.get_relation('lake', 'main', 'orders') %}{{ r }} {{ r.is_table }} {{ adapter.get_relation('lake', 'main', 'nope') is none }} {{ load_relation(this) is none }}",
                r#""lake"."main"."orders" True True True"#,
            ),
            (
                "{% for c in adapter.get_columns_in_relation(ref('orders')) %}{{ c.name }} {{ c.data_type }} {{ c.quoted }} {{ c.is_string() }} {{ c.is_number() }};{% endfor %}",
                "id bigint \"id\" False True;name character varying(20) \"name\" True False;price numeric(10,2) \"price\" False True;",
            ),
            (
                "{{ (adapter.get_columns_in_relation(this) | map(attribute='name') | join(',')) }} {{ adapter.get_missing_columns(ref('orders'), ref('small')) | length }} {{ api.Column.create('a', 'varchar(5)').string_size() }}",
                "id,name,price 2 5",
            ),
            (
                "{{ adapter.check_schema_exists('lake', 'RAW') }} {{ adapter.list_schemas('lake') }} {{ adapter.list_relations_without_caching(this)[0].name }}",
                "True ['main', 'raw'] orders",
            ),
            (
                "{% if not context.get('nope') %}{{ context['target'].name }}{% endif %} {{ builtins.ref('x') }}",
                "dev \"lake\".\"main\".\"x\"",
            ),
            (
                "{{ thread_id is string }} {{ invocation_args_dict }} {{ dbt_metadata_envs }} {{ selected_resources }}",
                "True {} {} []",
            ),
        ],
    );
}

#[test]
fn queries_come_back_as_tables() {
    check(
        &engine(Vec::new()),
        &[
            (
                "{% set r = run_query('select 1') %}{{ r.columns[0].values() }} {{ r.columns['status'].values()[0] }} {{ r.rows[0]['id'] }} {{ r.rows[1][0] }} {{ r | length }} {{ r.rows | length }}",
                "(1, 2) new 1 2 2 2",
            ),
            (
                "{% for row in run_query('x') %}{{ row.id }}{{ row['status'] }}{{ row[2] }}/{{ row.price }};{% endfor %}",
                "1new2024-01-31/12.5;2None2024-02-01/3;",
            ),
            (
                "{% set r = run_query('x') %}{{ r.column_names }} {{ r.columns | map(attribute='name') | join('|') }} {% for a, b, c, d in r.rows %}{{ a }}{% endfor %}",
                "('id', 'status', 'day', 'price') id|status|day|price 12",
            ),
            (
                "{% set r = run_query('x').rename({'id': 'key'}).select(['key']) %}{{ r.column_names }}{{ r.rows[0].dict() }}{{ r.columns[0].name }}",
                "('key',){'key': 1}key",
            ),
            (
                "{% set r = run_query('x') %}{{ r.rows[0].values() | list | length }}{{ r.rows[0].items()[0] }}{{ r.rows[0].get('nope', 7) }}{{ (r.rows[0].day < r.rows[1].day) }}",
                "4('id', 1)7True",
            ),
            (
                "{% call statement('s', fetch_result=True) %}select {{ this }}{% endcall %}{% set s = load_result('s') %}{{ s['data'][0][0] }}{{ s.table.columns[1].values() }}{{ s['response']['code'] }}",
                "1('new', None)OK",
            ),
            (
                "{{ load_result('nothing') }}{% do store_result('r', response='ok') %}{{ load_result('r').response }}{% do store_raw_result('q', message='m') %}{{ load_result('q').response._message }}",
                "Noneokm",
            ),
            (
                "{% if execute %}{% set ids = run_query('x').columns[0].values() %}{% else %}{% set ids = [] %}{% endif %}{% for i in ids %}{{ i }}{{ ',' if not loop.last }}{% endfor %}",
                "1,2",
            ),
            (
                "{{ dbt.get_intervals_between('a', 'b', 'day') }}{{ get_columns_in_query('q') }}",
                "1['id', 'status', 'day', 'price']",
            ),
        ],
    );
    let scope = Arc::new(Scope { parsing: true, ..Scope::default() });
    let unguarded = "{% set r = run_query('x') %}{% for v in r.columns[0].values() %}{{ v }}{% endfor %}{% if r %}y{% endif %}{{ r.x.y }}done";
    assert_eq!(render_with(&engine(Vec::new()), unguarded, scope).expect("parsing asks no database"), "done");
    let error = render("{{ run_query('broken') }}").expect_err("the query fails");
    assert_eq!((error.code, error.message.as_str()), ("sql-plan", "no such table"));
    let scope = Arc::new(Scope::default());
    render_with(&engine(Vec::new()), "{% do run_query('x').print_table() %}", scope.clone()).expect("the table prints");
    assert!(
        scope
            .told()
            .iter()
            .any(|line| line.contains("| id | status |        day | price |") || line.contains("| id | status | day")),
        "{:?}",
        scope.told()
    );
}

#[test]
fn commands_reach_the_database() {
    for (source, expected) in [
        ("{% do adapter.create_schema(this) %}", r#"create schema "lake"."main"."this_one""#),
        ("{% do adapter.drop_relation(this) %}", r#"drop "lake"."main"."this_one""#),
        ("{% do drop_relation_if_exists(this) %}", r#"drop "lake"."main"."this_one""#),
        ("{% do adapter.rename_relation(this, ref('new')) %}", r#"rename "lake"."main"."this_one" to "lake"."main"."new""#),
    ] {
        assert_eq!(render(source).expect_err("the fake database reports the command").message, expected);
    }
    let scope = Arc::new(Scope::default());
    let text = "{{ stage_external_sources() }}{{ dbt_external_tables.stage_external_sources(select='raw.sale') }}{{ drop_relation_if_exists(none) }}";
    assert_eq!(render_with(&engine(Vec::new()), text, scope.clone()).expect("staging works").trim(), "");
    let told: Vec<String> = scope.told().into_iter().filter(|line| line.starts_with("info")).collect();
    assert_eq!(told, ["info: staged everything", "info: staged raw.sale"]);
    let scope = Arc::new(Scope { no_database: true, ..Scope::default() });
    let error = render_with(&engine(Vec::new()), "{{ run_query('x') }}", scope).expect_err("there is no database");
    assert_eq!(error.code, "database-not-available");
}

const SHOP: &str = r#"
{% macro cents(column, scale=2) %}({{ column }} / 100)::numeric(16, {{ scale }}){% endmacro %}
{% macro numbers() %}{% do return([1, 2, 3]) %}{% endmacro %}
{% macro early(x) %}{% if x %}{{ return('early') }}{% endif %}late{% endmacro %}
{% macro defaults(a, b=none, c=[], d={'k': 1}) %}{% do c.append(a) %}{{ a }}{{ b }}{{ c }}{{ d.k }}{% endmacro %}
{% macro rest(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}
{% macro each(items) %}{% for item in items %}{{ caller(item, loop.index) }}{% endfor %}{% endmacro %}
{% macro outer(x) %}{% call wrap('o') %}{{ inner(x) }}{% endcall %}{% endmacro %}
{% macro inner(x) %}{% call(i, n) each([x, x]) %}[{{ i }}{{ x }}]{% endcall %}{% endmacro %}
{% macro apply(f, x) %}{{ f(x) }}{% endmacro %}
{% macro fib(n) %}{{ return(n if n < 2 else fib(n - 1) + fib(n - 2)) }}{% endmacro %}
{% macro forever() %}{{ forever() }}{% endmacro %}
{% macro hello() %}{{ return(adapter.dispatch('hello')()) }}{% endmacro %}
{% macro default__hello() %}hello from default{% endmacro %}
{%- macro trimmed(a) -%}   {{ a }}   {%- endmacro -%}
{% macro fill(list) %}{% do list.append('filled') %}{% endmacro %}
{% macro scoped() %}{{ mine | default('unseen') }}{% endmacro %}
{% macro uses_model() %}{{ this.name }} {{ model.name }} {{ target.name }}{% endmacro %}
{% macro boom(x) %}
  {{ exceptions.raise_compiler_error('bad: ' ~ x) }}
{% endmacro %}
{% macro deep(x) %}
  a
    {{ boom(x) }}
{% endmacro %}
{% macro unknown_inside() %}
{{ cent('x') }}
{% endmacro %}
"#;

const UTILS: &str = r#"
{% macro hi(name) %}{{ return(adapter.dispatch('hi', 'utils')(name)) }}{% endmacro %}
{% macro default__hi(name) %}hi {{ name }}{% endmacro %}
{% macro postgres__hi(name) %}hi from postgres, {{ name }}{% endmacro %}
{% macro star(n) %}{{ '*' * n }}{% endmacro %}
{% macro cents(column) %}utils cents{% endmacro %}
{% macro uses_own() %}{{ utils.star(2) }}{% endmacro %}
{% macro hello() %}{{ return(adapter.dispatch('hello', 'utils')()) }}{% endmacro %}
{% macro default__hello() %}hello from utils{% endmacro %}
"#;

fn shop() -> Vec<MacroSource> {
    let mut all = macros("shop", SHOP);
    all.extend(macros("utils", UTILS));
    all
}

#[test]
fn macros_call_each_other() {
    check(
        &engine(shop()),
        &[
            (
                "{{ cents('price') }} {{ cents('p', scale=4) }} {{ cents(column='q') }}",
                "(price / 100)::numeric(16, 2) (p / 100)::numeric(16, 4) (q / 100)::numeric(16, 2)",
            ),
            ("{% set n = numbers() %}{% do n.append(4) %}{{ n }}{{ numbers()[0] }}", "[1, 2, 3, 4]1"),
            ("{{ early(true) }} {{ early(false) }}", "early late"),
            ("{{ defaults(1) }} {{ defaults(2, c=[0]) }} {{ defaults(3, 4, [], d={'k': 9}) }}", "1None[1]1 2None[0, 2]1 34[3]9"),
            ("{{ rest(1) }} {{ rest(1, 2, x=3) }}", "1(){} 1(2,){'x': 3}"),
            ("{% set v = 'V' %}{% call wrap('b') %}in {{ v }}{% endcall %}", "<b>in V</b>"),
            ("{% set v = 'V' %}{% call(item, n) each(['a', 'b']) %}{{ n }}{{ item }}{{ v }} {% endcall %}", "1aV 2bV "),
            ("{{ outer('z') }}", "<o>[zz][zz]</o>"),
            ("{% set seen = [] %}{% call(item, n) each([1, 2]) %}{% do seen.append(item) %}{% endcall %}{{ seen }}", "[1, 2]"),
            ("{{ apply(cents, 'x') }} {{ apply(utils.star, 3) }}", "(x / 100)::numeric(16, 2) ***"),
            ("{{ fib(10) }}", "55"),
            ("[{{ trimmed('x') }}]", "[x]"),
            ("{% set l = [] %}{{ fill(l) }}{{ l }}", "['filled']"),
            ("{% set mine = 1 %}{{ scoped() }}", "unseen"),
            ("{{ uses_model() }}", "this_one this_one dev"),
            (
                "{{ utils.star(3) }}{{ utils.uses_own() }} {{ utils.cents('x') }} {{ cents is callable }} {{ utils.star.name }}",
                "***** utils cents True star",
            ),
            (
                "{{ hello() }} | {{ utils.hello() }} | {{ utils.hi('you') }}",
                "hello from default | hello from default | hi from postgres, you",
            ),
            ("{{ context['cents']('y') }} {{ context.get('utils').star(1) }}", "(y / 100)::numeric(16, 2) *"),
            (
                "{% for i in [1, 2] %}{{ cents('c' ~ i, scale=i) }}{{ ';' if not loop.last }}{% endfor %}",
                "(c1 / 100)::numeric(16, 1);(c2 / 100)::numeric(16, 2)",
            ),
        ],
    );
}

#[test]
fn a_node_of_a_package_sees_its_own_macros_first() {
    let jinja = engine(shop());
    let scope = Arc::new(Scope { package: "utils".into(), ..Scope::default() });
    assert_eq!(render_with(&jinja, "{{ cents('x') }}", scope).expect("the macro is there"), "utils cents");
    assert_eq!(jinja.find_macro("cents", None), Some(UniqueId::from("macro.shop.cents")));
    assert_eq!(jinja.find_macro("cents", Some("utils")), Some(UniqueId::from("macro.utils.cents")));
    assert_eq!(jinja.find_macro("utils.star", None), Some(UniqueId::from("macro.utils.star")));
    assert_eq!(jinja.find_macro("generate_schema_name", None), Some(UniqueId::from("macro.dbt.generate_schema_name")));
    assert_eq!(jinja.find_macro("star", None), Some(UniqueId::from("macro.utils.star")));
    assert_eq!(jinja.find_macro("nothing", None), None);
    let dependencies: Vec<String> =
        jinja.macro_dependencies(&"macro.shop.outer".into()).iter().map(ToString::to_string).collect();
    assert_eq!(dependencies, ["macro.shop.wrap", "macro.shop.inner"]);
    let dependencies: Vec<String> = jinja.macro_dependencies(&"macro.utils.hi".into()).iter().map(ToString::to_string).collect();
    assert_eq!(dependencies, ["macro.utils.postgres__hi"]);
    assert_eq!(jinja.parameters(&"macro.shop.defaults".into()), Some(["a", "b", "c", "d"].map(String::from).to_vec()));
}

#[test]
fn only_macros_a_node_calls_itself_are_reported() {
    let scope = Arc::new(Scope::default());
    render_with(
        &engine(shop()),
        "{{ outer('z') }}{{ utils.hi('x') }}{% call wrap('b') %}{{ cents('x') }}{% endcall %}",
        scope.clone(),
    )
    .expect("it renders");
    assert_eq!(scope.told(), ["macro macro.shop.outer", "macro macro.utils.hi", "macro macro.shop.wrap"]);
}

#[test]
fn dispatch_follows_the_projects_order() {
    let mut settings = settings(shop());
    settings.dispatch = BTreeMap::from([("utils".to_string(), vec!["utils".to_string(), "shop".to_string()])]);
    let jinja = Jinja::new(settings).expect("the settings are valid");
    check(&jinja, &[("{{ utils.hello() }}", "hello from utils")]);
    let error =
        render_with(&jinja, "{{ adapter.dispatch('nope', 'utils')() }}", Arc::default()).expect_err("there is no such macro");
    assert_eq!(error.code, "macro-not-found");
    assert!(
        error.help[0].contains("utils.datafusion__nope, utils.postgres__nope, utils.redshift__nope, utils.default__nope"),
        "{:?}",
        error.help
    );
}

#[test]
fn built_in_macros_answer_and_can_be_overridden() {
    let name = |jinja: &Jinja, args: &[Value]| {
        let node = Value::from_pairs([("name", Value::from("orders")), ("version", Value::from(()))]);
        let args: Vec<Value> = args.iter().cloned().chain([node]).collect();
        let value = jinja.call_macro(
            &MacroCall { name: "generate_schema_name", package: None, args: &args, kwargs: &[] },
            Arc::new(Scope::default()),
        );
        value.expect("the macro works").to_string().trim().to_string()
    };
    let plain = engine(Vec::new());
    assert_eq!(name(&plain, &[Value::from(())]), "main");
    assert_eq!(name(&plain, &[Value::from(" marts ")]), "main_marts");
    let text = "{% macro generate_schema_name(custom_schema_name, node) -%}\n  {{ custom_schema_name or 'x' }}_{{ node.name }}\n{%- endmacro %}";
    assert_eq!(name(&engine(macros("shop", text)), &[Value::from("a")]), "a_orders");
    let text = "{% macro default__generate_schema_name(custom_schema_name, node) -%}dispatched{%- endmacro %}";
    assert_eq!(name(&engine(macros("shop", text)), &[Value::from("a")]), "dispatched");
    check(
        &plain,
        &[
            (
                "{{ generate_alias_name(none, {'name': 'm'}) }} {{ generate_alias_name(' a ', {'name': 'm'}) }} {{ generate_alias_name(none, {'name': 'm', 'version': 2}) }}",
                "m a m_v2",
            ),
            ("{{ generate_database_name(none, model) }} {{ generate_database_name('other', model) }}", "lake other"),
            (
                "{{ is_incremental() }} {{ should_full_refresh() }} {{ should_store_failures() | default('unset') }}",
                "False False unset",
            ),
            (
                "{{ dbt.dateadd('day', 1, 'd') }} {{ dateadd(datepart='day', interval=1, from_date_or_timestamp='d') }} {{ datediff('a', 'b', 'month') }}",
                "dateadd(day, 1, d) dateadd(day, 1, d) datediff(month, a, b)",
            ),
            (
                "{{ dbt.date_trunc('month', 'd') }} {{ dbt.last_day('d', 'month') }}",
                "date_trunc('month', d) cast(dateadd(day, -1, dateadd(month, 1, date_trunc('month', d))) as date)",
            ),
            (
                "{{ dbt.concat(['a', 'b']) }} {{ dbt.hash('a') }} {{ dbt.length('x') }} {{ dbt.split_part('s', \"'-'\", 1) }} {{ dbt.safe_cast('x', type_int()) }}",
                "a || b md5(cast(a as TEXT)) length(x) split_part(s, '-', 1) cast(x as INT)",
            ),
            (
                "{{ type_string() }} {{ dbt.type_numeric() }} {{ type_bigint() }} {{ type_timestamp() }} {{ type_float() }} {{ type_boolean() }}",
                "TEXT numeric(28,6) bigint TIMESTAMP FLOAT BOOLEAN",
            ),
            (
                "{{ dbt.escape_single_quotes(\"it's\") }} {{ dbt.string_literal('x') }} {{ dbt.array_construct([1, 2]) }} {{ dbt.listagg('a', \"', '\", 'order by b') }}",
                "it''s 'x' array[1, 2] string_agg(a, ', ' order by b)",
            ),
            (
                "{{ dbt.get_powers_of_two(5) }} {{ dates_in_range('20240130', '20240201') }} {{ date(2024, 1, 2) }}",
                "3 ['20240130', '20240131', '20240201'] cast('2024-01-02' as date)",
            ),
            (
                "{{ get_where_subquery(this) }}|{% do config.set('where', 'a > 1') %}{{ get_where_subquery(this) }}",
                "\"lake\".\"main\".\"this_one\"|(select * from \"lake\".\"main\".\"this_one\" where a > 1) dbt_subquery",
            ),
            ("{% call set_sql_header(config) %}set x = 1;{% endcall %}{{ config.get('sql_header') }}", "set x = 1;"),
            (
                "{% if execute: %}{{ api.Relation.add_ephemeral_prefix('m') }}{% endif %} {{ this is mapping and this.get('metadata', {}).get('type', '').endswith('Relation') }}",
                "__dbt__cte__m True",
            ),
            (
                "{{ make_temp_relation(this) }} {{ get_or_create_relation('lake', 'main', 'orders', 'table')[0] }}",
                "\"lake\".\"main\".\"this_one__dbt_tmp\" True",
            ),
        ],
    );
    let squeeze = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (call, expected) in [
        (
            "test_unique('t', 'id')",
            "select id as unique_field, count(*) as n_records from t where id is not null group by id having count(*) > 1",
        ),
        ("test_not_null('t', 'id')", "select id from t where id is null"),
        (
            "test_accepted_values('t', 's', ['a', 'b'])",
            "with all_values as ( select s as value_field, count(*) as n_records from t group by s ) select * from all_values where value_field not in ( 'a', 'b' )",
        ),
        (
            "test_accepted_values('t', 's', [1], quote=false)",
            "with all_values as ( select s as value_field, count(*) as n_records from t group by s ) select * from all_values where value_field not in ( 1 )",
        ),
        (
            "test_relationships('t', 'id', ref('p'), 'pid')",
            "with child as ( select id as from_field from t where id is not null ), parent as ( select pid as to_field from \"lake\".\"main\".\"p\" ) select from_field from child left join parent on child.from_field = parent.to_field where parent.to_field is null",
        ),
        (
            "get_test_sql('select 1', 'count(*)', '!= 0', '> 5', 10)",
            "select count(*) as failures, count(*) != 0 as should_warn, count(*) > 5 as should_error from ( select 1 limit 10 ) as dbt_internal_test",
        ),
    ] {
        let text =
            render_with(&plain, &format!("{{{{ {call} }}}}"), Arc::default()).unwrap_or_else(|error| panic!("{call}: {error}"));
        assert_eq!(squeeze(text), expected, "{call}");
    }
}

#[test]
fn every_built_in_macro_compiles() {
    let jinja = engine(Vec::new());
    assert!(builtin_macros().len() > 150, "{}", builtin_macros().len());
    for source in builtin_macros() {
        if let Err(error) = jinja.check_macro(&source.unique_id) {
            panic!("{}: {error}", source.unique_id);
        }
        assert!(source.location.path.starts_with("macros/"), "{}", source.location);
    }
}

#[test]
fn mistakes_name_their_place_and_offer_the_nearest_name() {
    let jinja = engine(shop());
    // source, code, place, message, words of the help
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        (
            "select 1\nfrom {{ ref('missing') }}",
            "ref-not-found",
            "models/this_one.sql:2:9",
            "there is no node `missing`",
            "did you mean `orders`?",
        ),
        (
            "select\n  {{ cent('x') }}",
            "jinja-undefined",
            "models/this_one.sql:2:6",
            "`cent` is undefined",
            "did you mean `cents`?",
        ),
        (
            "{{ utils.stars(1) }}",
            "macro-not-found",
            "models/this_one.sql:1:4",
            "package `utils` has no macro `stars`",
            "did you mean `star`?",
        ),
        ("{{ dbt_utils.star(1) }}", "jinja-undefined", "models/this_one.sql:1:4", "`dbt_utils` is undefined", ""),
        ("{{ tagret.schema }}", "jinja-undefined", "models/this_one.sql:1:4", "`tagret` is undefined", "did you mean `target`?"),
        ("{{ target.a.b }}", "jinja-undefined", "", "`target.a` is undefined", ""),
        ("a\n{% if x %}\nb", "jinja-syntax", "", "", ""),
        ("{{ 1 + }}", "jinja-syntax", "models/this_one.sql:1:8", "", ""),
        ("a {{ 'x", "jinja-syntax", "models/this_one.sql:1", "", ""),
        ("{{ 'a' | uper }}", "jinja-filter-not-found", "models/this_one.sql:1:10", "uper", ""),
        (
            "{{ cents() }}{{ cents(1, 2, 3) }}",
            "jinja-arguments",
            "models/this_one.sql:1:17",
            "macro `cents` takes not more than 2 argument(s), 3 were given",
            "",
        ),
        (
            "{{ cents('x', scal=3) }}",
            "jinja-arguments",
            "models/this_one.sql:1:4",
            "macro `cents` takes no keyword argument `scal`",
            "did you mean `scale`?",
        ),
        ("{{ var('absent') }}", "var-not-found", "models/this_one.sql:1:4", "`absent`", "vars:"),
        ("{{ env_var('NO_SUCH') }}", "env-var-not-found", "models/this_one.sql:1:4", "`NO_SUCH`", "default"),
        ("{{ env_var('DBT_ENV_SECRET_X') }}", "env-var-secret", "models/this_one.sql:1:4", "", "profiles.yml"),
        ("{{ exceptions.raise_compiler_error('no good') }}", "jinja-raised", "models/this_one.sql:1:", "no good", ""),
        ("{{ exceptions.raise_not_implemented('later') }}", "not-implemented", "models/this_one.sql:1:", "later", ""),
        ("{{ config.get('x') }}{{ config.require('x') }}", "config-missing", "models/this_one.sql:1:", "`x`", ""),
        ("{{ ref() }}", "jinja-arguments", "models/this_one.sql:1:4", "`ref` takes", "ref('model')"),
        ("{{ source('a') }}", "jinja-arguments", "models/this_one.sql:1:4", "`source` takes", ""),
        ("{{ forever() }}", "jinja-recursion", "macros/shop.sql:13:", "macro `forever`", "calls itself"),
        ("{% set x = 1 %}{{ x.foo() }}", "jinja-method-not-found", "models/this_one.sql:1:", "foo", ""),
        ("{{ 'a' + 1 }}", "jinja-error", "models/this_one.sql:1:4", "", ""),
        (
            "{{ load_result('z') }}{% do store_result('z', 1) %}{% set a = load_result('z') %}{{ load_result('z') }}",
            "result-loaded",
            "models/this_one.sql:1:",
            "`z`",
            "",
        ),
        ("{% set l = [1] %}{% do l.remove(5) %}", "jinja-error", "models/this_one.sql:1:", "remove", ""),
    ];
    let mut wrong = Vec::new();
    for (source, code, place, message, help) in cases {
        match render_with(&jinja, source, Arc::default()) {
            Ok(text) => wrong.push(format!("{source:?} gives {text:?}")),
            Err(error) => {
                let at = error.location.as_ref().map(ToString::to_string).unwrap_or_default();
                let helps = error.help.join("; ");
                if error.code != *code || !at.starts_with(place) || !error.message.contains(message) || !helps.contains(help) {
                    wrong.push(format!("{source:?}\n  {} {at} {:?} {helps:?}", error.code, error.message));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mistake_in_a_macro_shows_the_way_to_it() {
    let jinja = engine(shop());
    let error = render_with(&jinja, "select 1,\n  {{ deep('x') }}", Arc::default()).expect_err("the macro raises");
    assert_eq!(error.message, "bad: x");
    let place = error.location.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(place.starts_with("macros/shop.sql:21:"), "{place}");
    assert_eq!(error.trace.len(), 3, "{:?}", error.trace);
    assert!(error.trace[0].starts_with("in macro boom (macros/shop.sql:21:"), "{:?}", error.trace);
    assert!(error.trace[1].starts_with("in macro deep (macros/shop.sql:25:8)"), "{:?}", error.trace);
    assert!(error.trace[2].starts_with("in model this_one (models/this_one.sql:2:6)"), "{:?}", error.trace);
    let error = render_with(&jinja, "{{ unknown_inside() }}", Arc::default()).expect_err("the macro calls nothing known");
    let place = error.location.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!(place, "macros/shop.sql:28:4");
    assert!(error.help.iter().any(|line| line.contains("did you mean `cents`?")), "{:?}", error.help);
    let broken = engine(macros("shop", "\n{% macro bad(x) %}\n  {{ x + }}\n{% endmacro %}"));
    let error = render_with(&broken, "{{ bad(1) }}", Arc::default()).expect_err("the macro does not parse");
    assert_eq!(error.code, "jinja-syntax");
    assert_eq!(error.location.as_ref().map(ToString::to_string).unwrap_or_default(), "macros/shop.sql:3:10");
    assert_eq!(broken.check_macro(&"macro.shop.bad".into()).expect_err("it does not parse").location, error.location);
}

#[test]
fn a_template_that_stands_inside_a_file_counts_from_there() {
    let text =
        TemplateText { name: "hook".into(), source: "a {{ b.c }}".into(), location: Location::new("dbt_project.yml", 7, 12) };
    let error = engine(Vec::new()).render(&text, Arc::new(Scope::default())).expect_err("nothing is called b");
    assert_eq!(error.location.as_ref().map(ToString::to_string).unwrap_or_default(), "dbt_project.yml:7:17");
}

#[test]
fn extra_names_win_and_messages_are_passed_on() {
    let scope = Arc::new(Scope {
        extra: BTreeMap::from([("model".to_string(), Value::from("a relation")), ("column_name".to_string(), Value::from("id"))]),
        variables: json!({"days": 3, "names": ["a"]}).as_object().cloned().unwrap_or_default(),
        ..Scope::default()
    });
    let text = "{{ log('seen') }}{{ log('told', info=true) }}{{ print('printed') }}{{ exceptions.warn('careful') }}{{ model }} {{ column_name }} {{ var('days') + 1 }} {{ var('names') }}";
    assert_eq!(render_with(&engine(Vec::new()), text, scope.clone()).expect("it renders"), "a relation id 4 ['a']");
    assert_eq!(scope.told(), ["debug: seen", "info: told", "info: printed", "warn: careful"]);
}

#[test]
fn call_macro_returns_values() {
    let jinja = engine(shop());
    let call = |name: &str, args: &[Value], kwargs: &[(String, Value)]| {
        jinja.call_macro(&MacroCall { name, package: None, args, kwargs }, Arc::new(Scope::default()))
    };
    assert_eq!(call("numbers", &[], &[]).expect("it returns").to_string(), "[1, 2, 3]");
    assert_eq!(
        call("cents", &[Value::from("x")], &[("scale".into(), Value::from(3))]).expect("it returns").to_string(),
        "(x / 100)::numeric(16, 3)"
    );
    assert_eq!(call("utils.star", &[Value::from(2)], &[]).expect("it returns").to_string(), "**");
    let error = call("cens", &[], &[]).expect_err("there is no such macro");
    assert_eq!((error.code, error.help.join("")), ("macro-not-found", "did you mean `cents`?".to_string()));
    let error = call("deep", &[Value::from(1)], &[]).expect_err("it raises");
    assert_eq!((error.message.as_str(), error.trace.len()), ("bad: 1", 2));
}

#[test]
fn an_overridden_ref_can_use_the_built_in_one() {
    let text =
        "{% macro ref() %}{% set r = builtins.ref(*varargs, **kwargs) %}{% do return(r.include(database=false)) %}{% endmacro %}";
    let jinja = engine(macros("shop", text));
    check(&jinja, &[("{{ ref('orders') }} {{ ref('shop', 'orders') }}", r#""main"."orders" "main"."orders""#)]);
    assert_eq!(jinja.static_calls(&template("{{ ref('orders') }}")), None);
}

#[test]
fn static_calls_are_read_without_rendering() {
    let jinja = engine(shop());
    let read = |source: &str| jinja.static_calls(&template(source));
    let calls = read("{{ config(materialized='table', tags=['a'], meta={'k': -1}) }}\n-- {# note #}\nselect * from {{ ref('a') }} join {{ ref('p', 'b', v=2) }} {{ source('raw', 't') }}")
        .expect("everything is literal");
    assert_eq!(
        calls.config,
        json!({"materialized": "table", "tags": ["a"], "meta": {"k": -1}}).as_object().cloned().unwrap_or_default()
    );
    assert_eq!(
        calls.refs.iter().map(|r| (r.package.as_deref(), r.name.as_str(), r.version.clone())).collect::<Vec<_>>(),
        [(None, "a", None), (Some("p"), "b", Some(json!(2)))]
    );
    assert_eq!(calls.sources, [["raw".to_string(), "t".to_string()]]);
    assert_eq!(read("select 1"), Some(StaticCalls::default()));
    for dynamic in [
        "{{ ref(x) }}",
        "{{ cents('x') }}",
        "{% if true %}{{ ref('a') }}{% endif %}",
        "{{ ref('a').schema }}",
        "{% set a = 1 %}",
        "{{ config(tags='a') }}{{ config(tags='b') }}",
        "{{ this }}",
        "{{ config(x=var('y')) }}",
        "{{ 1 + }}",
        "{{ ref('a', 'b', 'c') }}",
    ] {
        assert_eq!(read(dynamic), None, "{dynamic}");
    }
}

#[test]
fn blocks_are_cut_out_of_files() {
    let text = "{# {% macro no() %} #}\n{% macro one(a='%}') -%}\n  body {{ \"{% endmacro %}\" }}\n{%- endmacro %}\n\
        {% test positive(model) %}t{% endtest %}{% data_test even(model) %}e{% enddata_test %}\n\
        {% materialization thing, adapter='postgres' %}m{% endmaterialization %}{% materialization other, default %}m{% endmaterialization %}\n\
        {% docs my_doc %}\nIt's {{ fine }} {% if %}\n{% enddocs %}\n{% snapshot snap %}select {% raw %}{% macro %}{% endraw %}{% endsnapshot %}";
    let blocks = blocks::extract(text, "macros/a.sql").expect("the file is well formed");
    let names: Vec<_> = blocks.iter().map(|block| (block.kind, block.name.as_str(), block.location.line)).collect();
    assert_eq!(
        names,
        [
            (BlockKind::Macro, "one", 2),
            (BlockKind::Test, "test_positive", 5),
            (BlockKind::Test, "test_even", 5),
            (BlockKind::Materialization, "materialization_thing_postgres", 6),
            (BlockKind::Materialization, "materialization_other_default", 6),
            (BlockKind::Docs, "my_doc", 7),
            (BlockKind::Snapshot, "snap", 10),
        ]
    );
    assert_eq!(blocks[0].source, "{% macro one(a='%}') -%}\n  body {{ \"{% endmacro %}\" }}\n{%- endmacro %}");
    assert_eq!(blocks[5].contents, "\nIt's {{ fine }} {% if %}\n");
    assert_eq!((blocks[2].location.column, blocks[1].contents_location.column), (41, 27));
    for (text, code, place) in [
        ("{% macro a() %}\nx", "block-not-closed", "f.sql:1:1"),
        ("a\n {% macro a() %}{% macro b() %}{% endmacro %}{% endmacro %}", "block-nested", "f.sql:2:17"),
        ("{% if x %}{% macro a() %}{% endmacro %}{% endif %}", "block-not-top-level", "f.sql:1:11"),
        ("{% macro %}{% endmacro %}", "block-name", "f.sql:1:1"),
        ("x {% endmacro %}", "block-not-open", "f.sql:1:3"),
        ("{# never", "comment-not-closed", "f.sql:1:1"),
        ("{% macro a(", "tag-not-closed", "f.sql:1:1"),
    ] {
        let error = blocks::extract(text, "f.sql").expect_err(text);
        assert_eq!(
            (error.code, error.location.as_ref().map(ToString::to_string).unwrap_or_default().as_str()),
            (code, place),
            "{text}"
        );
    }
}

#[test]
fn parsing_lets_calls_of_the_unknown_pass() {
    let jinja = engine(shop());
    let scope = || Arc::new(Scope { parsing: true, ..Scope::default() });
    let recorded = scope();
    let text = "{{ nope_macro(ref('a')) }}{{ dbt_utils.star(ref('b')) }}{{ x.y.z }}{{ config.get('k') }}{{ nope_macro('x').y }}|{{ range(2) | list }}";
    assert_eq!(render_with(&jinja, text, recorded.clone()).expect("parsing goes on"), "|[0, 1]");
    assert_eq!(recorded.told(), ["ref None a None", "ref None b None"]);
    let text =
        "{% if nope is defined %}{{ nope() }}{% else %}absent{% endif %}{% set f = cents %}{{ f('x') }}{{ is_incremental() }}";
    assert_eq!(render_with(&jinja, text, scope()).expect("parsing goes on"), "absent(x / 100)::numeric(16, 2)False");
    let error = render_with(&jinja, "{{ unknown_inside() }}", scope()).expect_err("macros are strict, as dbt's are");
    assert_eq!(error.code, "jinja-undefined");
    assert_eq!(
        render_with(&jinja, "{{ nope_macro() }}", Arc::default()).expect_err("compiling is strict").code,
        "jinja-undefined"
    );
}

#[test]
fn one_engine_serves_many_threads() {
    let jinja = engine(shop());
    std::thread::scope(|threads| {
        let work = |number: usize| {
            let jinja = &jinja;
            move || {
                let text = format!(
                    "{{% set l = [] %}}{{% do l.append({number}) %}}{{{{ l }}}}{{{{ fib(7) }}}}{{{{ outer({number}) }}}}"
                );
                render_with(jinja, &text, Arc::default()).expect("it renders")
            }
        };
        let handles: Vec<_> = (0..8).map(|number| threads.spawn(work(number))).collect();
        for (number, handle) in handles.into_iter().enumerate() {
            let text = handle.join().expect("no thread panics");
            assert_eq!(text, format!("[{number}]13<o>[{number}{number}][{number}{number}]</o>"));
        }
    });
}
