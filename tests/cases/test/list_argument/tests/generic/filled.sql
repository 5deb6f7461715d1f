{% test filled(model, column_name, also=[]) %}
{% set checked = also %}
{% if column_name not in checked %}{% do checked.append(column_name) %}{% endif %}
select * from {{ model }} where {% for name in checked %}{{ name }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
