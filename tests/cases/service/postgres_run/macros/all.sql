{% macro start_anew() %}
  {%- do run_query('drop schema if exists ' ~ target.schema ~ ' cascade') -%}
{% endmacro %}

{% macro query_header(node) %}
  {%- do return('shop ' ~ (node.name if node else 'main')) -%}
{% endmacro %}
