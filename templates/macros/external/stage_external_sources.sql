{# Registers the external tables of the project's sources, or of those that `select` names (`source` or `source.table`). #}
{% macro stage_external_sources(select=none, args=none) %}
  {%- for line in adapter.stage_external(select) -%}
    {%- do log(line, info=true) -%}
  {%- endfor -%}
{% endmacro %}
