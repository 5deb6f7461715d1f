{% macro greeting() %}{{ return(adapter.dispatch('greeting')()) }}{% endmacro %}
{% macro default__greeting() %}'for anything'{% endmacro %}
{% macro duckdb__greeting() %}'for duckdb'{% endmacro %}
{% macro snowflake__greeting() %}'for snowflake'{% endmacro %}
