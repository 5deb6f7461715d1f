{% macro shout(text, mark='!') %}{{ text | upper }}{{ mark }}{% endmacro %}
{% macro wrapped() %}({{ caller() }}){% endmacro %}
{% macro names() %}{{ return(['x', 'y']) }}{% endmacro %}
{% macro default__dialect() %}'default'{% endmacro %}
{% macro dialect() %}{{ adapter.dispatch('dialect', 'shop')() }}{% endmacro %}
