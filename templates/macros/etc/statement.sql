{# Runs the SQL of its block; the rows go under the name to `load_result`. #}
{% macro statement(name=none, fetch_result=false, auto_begin=true, language='sql') %}
  {%- if execute -%}
    {%- set text = caller() -%}
    {%- if name == 'main' -%}{%- do write(text) -%}{%- endif -%}
    {%- set answer, rows = adapter.execute(text, auto_begin=auto_begin, fetch=fetch_result) -%}
    {%- if name is not none -%}
      {{ store_result(name, response=answer, agate_table=rows) }}
    {%- endif -%}
  {%- endif -%}
{% endmacro %}

{# A statement whose SQL was run by someone else, or none: keeps only the answer. #}
{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) %}
  {%- set text = caller() -%}
  {%- if name == 'main' -%}{%- do write(text) -%}{%- endif -%}
  {%- if name is not none -%}
    {{ store_raw_result(name, message=message, code=code, rows_affected=rows_affected, agate_table=res) }}
  {%- endif -%}
{% endmacro %}

{# The rows of a query; undefined while parsing. #}
{% macro run_query(sql) %}
  {% call statement("run_query_statement", fetch_result=true, auto_begin=false) %}
    {{ sql }}
  {% endcall %}
  {% do return(load_result("run_query_statement").table) %}
{% endmacro %}
