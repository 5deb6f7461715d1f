{# A unit test: what the model gives of the given rows, beside the rows it should give. #}
{% materialization unit, default %}
  {%- set header = config.get('sql_header') if flags.REQUIRE_SQL_HEADER_IN_TEST_CONFIGS else none -%}
  {%- set expected_rows = config.get('expected_rows') or [] -%}
  {%- set expected_sql = config.get('expected_sql') -%}
  {%- set names = expected_rows[0].keys() if expected_rows | length > 0 else get_columns_in_query(sql) -%}
  {%- set staged = make_temp_relation(this.incorporate(type='table')) -%}
  {%- do run_query(get_create_table_as_sql(true, staged, get_empty_subquery_sql(sql))) -%}
  {%- set types = {} -%}
  {%- set quoted = {} -%}
  {%- for column in adapter.get_columns_in_relation(staged) -%}
    {%- do types.update({column.name | lower: column.data_type}) -%}
    {%- do quoted.update({column.name | lower: column.quoted}) -%}
  {%- endfor -%}
  {%- set compared = [] -%}
  {%- for name in names -%}{%- do compared.append(quoted[name | lower]) -%}{%- endfor -%}
  {%- if not expected_sql -%}
    {%- set expected_sql = get_expected_sql(expected_rows, types, quoted) -%}
  {%- endif -%}
  {% call statement('main', fetch_result=true) -%}
    {{ header or '' }}
    {{ get_unit_test_sql(sql, expected_sql, compared) }}
  {%- endcall %}
  {%- do adapter.drop_relation(staged) -%}
  {{ return({'relations': []}) }}
{% endmaterialization %}
