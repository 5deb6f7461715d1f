{% materialization insert_day, default, supported_languages=['sql'] %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing_relation = load_cached_relation(this) -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- if existing_relation is none or should_full_refresh() -%}
    {% call statement('main') -%}
      {{ create_table_as(False, target_relation, sql) }}
    {%- endcall %}
  {%- else -%}
    {%- set staged = make_temp_relation(target_relation) -%}
    {%- do adapter.drop_relation(staged.incorporate(type='table')) -%}
    {% call statement('stage') -%}
      create table {{ staged }} as {{ sql }}
    {%- endcall %}
    {%- set columns = adapter.get_columns_in_relation(staged) | map(attribute='quoted') | join(', ') -%}
    {% call statement('main') -%}
      insert into {{ target_relation }} ({{ columns }}) select {{ columns }} from {{ staged }}
    {%- endcall %}
    {%- do adapter.drop_relation(staged) -%}
  {%- endif -%}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {%- if var('broken', false) -%}
    {{ return('') }}
  {%- endif -%}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# The project's own `view` takes the place of the built-in one. #}
{% materialization view, default %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- do adapter.drop_relation(target_relation) -%}
  {% call statement('main') -%}
    {{ get_create_table_as_sql(False, target_relation, "select *, 'ours' as made_by from (" ~ sql ~ ") q") }}
  {%- endcall %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
