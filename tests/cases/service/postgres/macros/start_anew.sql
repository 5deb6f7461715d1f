{% macro start_anew() %}
  {%- do run_query('drop schema if exists ' ~ target.schema ~ ' cascade') -%}
{% endmacro %}
