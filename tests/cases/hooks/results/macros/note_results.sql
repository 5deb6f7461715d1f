{% macro note_results(results) %}
insert into seen values
{% for result in results -%}
{%- set config = result.node.config -%}
('{{ result.node.name }}', '{{ config.full_refresh is none }}', '{{ config.nowhere is none }}', '{{ config.get("nowhere", "default") }} {{ config.materialized }}')
{{- "," if not loop.last }}
{% endfor %}
{% endmacro %}
