{# Deletes what only versions older than `hours` need, of one table or of all of them: `run-operation vacuum --args '{hours: 24}'`. #}
{% macro vacuum(table=none, hours=none) %}
  {%- set retain = ' retain ' ~ hours ~ ' hours' if hours is not none else '' -%}
  {%- do run_query('vacuum ' ~ (table or '') ~ retain) -%}
{% endmacro %}
