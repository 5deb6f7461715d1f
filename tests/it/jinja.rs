//! The template engine against a scope that records what it is asked.

mod tables;

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
    let (blocks, _) = blocks::extract(text, &format!("macros/{package}.sql")).expect("the test's macros are well formed");
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
    check(&engine(Vec::new()), tables::LANGUAGE);
}

#[test]
fn context_answers_as_dbt_does() {
    check(&engine(Vec::new()), tables::CONTEXT);
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
    for (call, expected) in tables::BUILT_IN {
        let text =
            render_with(&plain, &format!("{{{{ {call} }}}}"), Arc::default()).unwrap_or_else(|error| panic!("{call}: {error}"));
        assert_eq!(squeeze(text), *expected, "{call}");
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
    let (blocks, strays) = blocks::extract(text, "macros/a.sql").expect("the file is well formed");
    assert!(strays.is_empty());
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
    let (blocks, strays) = blocks::extract("x {% endmacro %}", "f.sql").expect("an end without a beginning is read over");
    assert_eq!((blocks.len(), strays.len(), strays[0].code), (0, 1, "unexpected-block"));
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
