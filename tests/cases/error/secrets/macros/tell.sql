{% macro tell() %}
  {{ print(target) }}
  {{ log(target.user, info=true) }}
  {{ log(env_var('MENTION'), info=true) }}
  {% do run_query("select * from nowhere where x = '" ~ env_var('MENTION') ~ "'") %}
{% endmacro %}
