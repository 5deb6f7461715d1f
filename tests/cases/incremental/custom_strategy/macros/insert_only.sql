{% macro get_incremental_insert_only_sql(arg_dict) %}
  {% set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') %}
  {% set key = arg_dict['unique_key'] %}
  insert into {{ arg_dict['target_relation'] }} ({{ columns }})
  select {{ columns }} from {{ arg_dict['temp_relation'] }}
  where {{ key }} not in (select {{ key }} from {{ arg_dict['target_relation'] }})
{% endmacro %}
