{# A view, made beside what is there and swapped in within one transaction. #}
{% materialization view, default %}
  {%- set target = this.incorporate(type='view') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set intermediate = make_intermediate_relation(target) -%}
  {%- set backup = make_backup_relation(target, 'view' if existing is none else existing.type) -%}
  {{ run_hooks(pre_hooks, inside_transaction=false) }}
  {{ drop_relation_if_exists(load_cached_relation(intermediate)) }}
  {{ drop_relation_if_exists(load_cached_relation(backup)) }}
  {{ run_hooks(pre_hooks, inside_transaction=true) }}
  {% call statement('main') -%}
    {{ get_create_view_as_sql(intermediate, sql) }}
  {%- endcall %}
  {{ swap_in(intermediate, target, existing, backup) }}
  {%- do apply_grants(target, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=true)) -%}
  {%- do persist_docs(target, model) -%}
  {{ run_hooks(post_hooks, inside_transaction=true) }}
  {{ adapter.commit() }}
  {{ drop_relation_if_exists(backup) }}
  {{ run_hooks(post_hooks, inside_transaction=false) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# Moves what is there out of the way, if it is still there, and the new relation into its place. #}
{% macro swap_in(intermediate, target, existing, backup) -%}
  {%- set present = load_cached_relation(existing) if existing is not none else none -%}
  {%- if present is not none -%}
    {%- do adapter.rename_relation(present, backup) -%}
  {%- endif -%}
  {%- do adapter.rename_relation(intermediate, target) -%}
{%- endmacro %}
