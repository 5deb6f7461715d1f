{% macro cents(x) %}
  {{ x.nope.more }}
{% endmacro %}
