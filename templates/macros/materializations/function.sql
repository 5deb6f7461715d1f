{# A function, replaced in place: what calls it goes on working. #}
{% materialization function, default %}
  {%- set target = this -%}
  {{ run_hooks(pre_hooks) }}
  {%- set build_sql = get_aggregate_function_sql(target) if config.get('type') == 'aggregate' else scalar_function_sql(target) -%}
  {{ function_execute_build_sql(build_sql, none, target) }}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% macro function_execute_build_sql(build_sql, existing_relation, target_relation) -%}
  {{ return(adapter.dispatch('function_execute_build_sql', 'dbt')(build_sql, existing_relation, target_relation)) }}
{%- endmacro %}

{% macro default__function_execute_build_sql(build_sql, existing_relation, target_relation) -%}
  {% call statement('main') -%}
    {{ build_sql }}
  {%- endcall %}
  {{ adapter.commit() }}
{%- endmacro %}

{% macro scalar_function_sql(target_relation) -%}
  {{ return(adapter.dispatch('scalar_function_sql', 'dbt')(target_relation)) }}
{%- endmacro %}

{% macro default__scalar_function_sql(target_relation) -%}
{{ scalar_function_create_replace_signature_sql(target_relation) }}
{{ scalar_function_body_sql() }}
{%- endmacro %}

{% macro scalar_function_create_replace_signature_sql(target_relation) -%}
  {{ return(adapter.dispatch('scalar_function_create_replace_signature_sql', 'dbt')(target_relation)) }}
{%- endmacro %}

{% macro default__scalar_function_create_replace_signature_sql(target_relation) -%}
create or replace function {{ target_relation.render() }} ({{ formatted_scalar_function_args_sql() }})
returns {{ model.returns.data_type }}
{{ scalar_function_volatility_sql() }}
as
{%- endmacro %}

{% macro formatted_scalar_function_args_sql() -%}
  {{ return(adapter.dispatch('formatted_scalar_function_args_sql', 'dbt')()) }}
{%- endmacro %}

{% macro default__formatted_scalar_function_args_sql() -%}
  {%- for argument in model.arguments -%}
    {{ argument.name }} {{ argument.data_type }}
    {%- if argument.get('default_value') is not none %} default {{ argument.default_value }}{% endif -%}
    {{ ', ' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}

{% macro scalar_function_body_sql() -%}
  {{ return(adapter.dispatch('scalar_function_body_sql', 'dbt')()) }}
{%- endmacro %}

{% macro default__scalar_function_body_sql() -%}
$$
{{ model.compiled_code }}
$$ language sql
{%- endmacro %}

{% macro scalar_function_volatility_sql() -%}
  {{ return(adapter.dispatch('scalar_function_volatility_sql', 'dbt')()) }}
{%- endmacro %}

{% macro default__scalar_function_volatility_sql() -%}
  {%- set words = {'deterministic': 'immutable', 'stable': 'stable', 'non-deterministic': 'volatile'} -%}
  {%- set volatility = config.get('volatility') -%}
  {%- if volatility in words -%}
    {{ words[volatility] }}
  {%- elif volatility is not none -%}
    {{ unsupported_volatility_warning(volatility) }}
  {%- endif -%}
{%- endmacro %}

{% macro unsupported_volatility_warning(volatility) -%}
  {{ return(adapter.dispatch('unsupported_volatility_warning', 'dbt')(volatility)) }}
{%- endmacro %}

{% macro default__unsupported_volatility_warning(volatility) -%}
  {%- do exceptions.warn("the volatility `" ~ volatility ~ "` of the function `" ~ model.name ~ "` is not known to " ~ adapter.type() ~ " and has no effect") -%}
{%- endmacro %}

{% macro get_aggregate_function_sql(target_relation) -%}
  {{ return(adapter.dispatch('get_aggregate_function_create_replace_signature', 'dbt')(target_relation)) }}
{%- endmacro %}

{% macro default__get_aggregate_function_create_replace_signature(target_relation) -%}
  {%- do exceptions.raise_compiler_error("aggregate functions are not supported by " ~ adapter.type()) -%}
{%- endmacro %}
