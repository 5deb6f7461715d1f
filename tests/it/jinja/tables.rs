//! The tables of the template engine's tests: a template and what it gives.

/// Jinja's language with Python's values.
pub const LANGUAGE: &[(&str, &str)] = &[
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
    ("{% for i in range(10) %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "013"),
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
    ("{% if 1 %}{% set v = 'inner' %}{% endif %}{{ v }}{% for i in [1] %}{% set v = 'loop' %}{% endfor %}{{ v }}", "innerinner"),
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
];

/// dbt's context.
pub const CONTEXT: &[(&str, &str)] = &[
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
    ("{{ thread_id is string }} {{ invocation_args_dict }} {{ dbt_metadata_envs }} {{ selected_resources }}", "True {} {} []"),
];

/// Calls of built-in macros.
pub const BUILT_IN: &[(&str, &str)] = &[
    (
        "test_unique('t', 'id')",
        "select id as unique_field, count(*) as n_records from t where id is not null group by id having count(*) > 1",
    ),
    ("test_not_null('t', 'id')", "select id from t where id is null"),
    (
        "test_accepted_values('t', 's', ['a', 'b'])",
        "with all_values as ( select s as value_field, count(*) as n_records from t group by s ) select * from all_values where value_field not in ( 'a','b' )",
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
];
