{% macro get_incremental_microbatch_sql(arg_dict) %} select 1 {% endmacro %}
{% macro generate_schema_name(name, node) %}{% if node.name == 'events' %}{{ return(none) }}{% else %}main{% endif %}{% endmacro %}
