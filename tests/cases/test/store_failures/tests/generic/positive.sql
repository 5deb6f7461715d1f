{% test positive(model, column_name) %}
select id, {{ column_name }} from {{ model }} where {{ column_name }} <= 0
{% endtest %}
