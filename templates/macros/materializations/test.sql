{# A data test: its rows counted, and kept as a relation where the test asks for that. #}
{% materialization test, default %}
  {%- set relations = [] -%}
  {%- set header = config.get('sql_header') if flags.REQUIRE_SQL_HEADER_IN_TEST_CONFIGS else none -%}
  {%- set main_sql = get_limit_subquery_sql(sql, config.get('limit')) -%}
  {%- if should_store_failures() -%}
    {%- set kept_as = config.get('store_failures_as') or 'table' -%}
    {%- if kept_as not in ['table', 'view'] -%}
      {{ exceptions.raise_compiler_error("'" ~ kept_as ~ "' is not a valid value for `store_failures_as`. Accepted values are: ['ephemeral', 'table', 'view']") }}
    {%- endif -%}
    {%- set target = api.Relation.create(database=database, schema=schema, identifier=model['alias'], type=kept_as) -%}
    {%- set existing = adapter.get_relation(database=database, schema=schema, identifier=model['alias']) -%}
    {%- if existing -%}{%- do adapter.drop_relation(existing) -%}{%- endif -%}
    {% call statement(auto_begin=true) %}
      {{ header or '' }}
      {{ get_create_sql(target, main_sql) }}
    {% endcall %}
    {%- do relations.append(target) -%}
    {%- set main_sql = 'select * from ' ~ target -%}
    {{ adapter.commit() }}
  {%- endif -%}
  {% call statement('main', fetch_result=true) -%}
    {{ header or '' }}
    {{ get_test_sql(main_sql, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), limit=none) }}
  {%- endcall %}
  {{ return({'relations': relations}) }}
{% endmaterialization %}
