{% macro x() %}1{% endmacro %}
{% endmacro %}
