{% macro plus() %}1{% endmacro %}
