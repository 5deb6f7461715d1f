{% macro rows() %}
{% if var('run') == 1 %}select 1 as id, 10 as amount, 'x' as gone{% else %}select 2 as id, 'twenty' as amount, true as added{% endif %}
{% endmacro %}
