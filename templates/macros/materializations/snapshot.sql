{# A snapshot: every version of every row, with the time it was valid. #}
{% materialization snapshot, default %}
  {%- set exists, target = get_or_create_relation(database=model.database, schema=model.schema, identifier=model['alias'], type='table') -%}
  {%- if not target.is_table -%}
    {%- do exceptions.relation_wrong_type(target, 'table') -%}
  {%- endif -%}
  {{ run_hooks(pre_hooks, inside_transaction=false) }}
  {{ run_hooks(pre_hooks, inside_transaction=true) }}
  {%- set strategy_macro = strategy_dispatch(config.get('strategy')) -%}
  {%- set strategy = strategy_macro(model, 'snapshotted_data', 'source_data', model['config'], exists) -%}
  {%- if not exists -%}
    {%- set select_sql = build_snapshot_table(strategy, model['compiled_code']) -%}
    {%- set final_sql = create_table_as(false, target, select_sql) -%}
  {%- else -%}
    {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
    {%- do adapter.assert_valid_snapshot_target_given_strategy(target, names, strategy) -%}
    {%- set select_sql = snapshot_staging_table(strategy, sql, target) -%}
    {%- set staged = build_snapshot_staging_table(strategy, sql, target) -%}
    {%- do adapter.expand_target_column_types(from_relation=staged, to_relation=target) -%}
    {%- set own = ['dbt_change_type', 'dbt_unique_key'] -%}
    {%- if strategy.unique_key is not string -%}
      {%- for key in strategy.unique_key -%}{%- do own.append('dbt_unique_key_' ~ loop.index) -%}{%- endfor -%}
    {%- endif -%}
    {%- set new = [] -%}
    {%- for column in adapter.get_missing_columns(staged, target) if column.name | lower not in own -%}{%- do new.append(column) -%}{%- endfor -%}
    {%- do create_columns(target, new) -%}
    {%- set inserted = [] -%}
    {%- for column in adapter.get_columns_in_relation(staged) if column.name | lower not in own -%}
      {%- do inserted.append(adapter.quote(column.name)) -%}
    {%- endfor -%}
    {%- set final_sql = snapshot_merge_sql(target=target, source=staged, insert_cols=inserted) -%}
  {%- endif -%}
  {% call statement('main') %}
    {{ final_sql }}
  {% endcall %}
  {%- do apply_grants(target, config.get('grants'), should_revoke=should_revoke(exists, full_refresh_mode=false)) -%}
  {%- do persist_docs(target, model) -%}
  {%- if not exists -%}{%- do create_indexes(target) -%}{%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=true) }}
  {{ adapter.commit() }}
  {%- if staged is defined -%}{%- do post_snapshot(staged) -%}{%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=false) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% macro build_snapshot_staging_table(strategy, sql, target_relation) %}
  {%- set staged = make_temp_relation(target_relation) -%}
  {%- set select_sql = snapshot_staging_table(strategy, sql, target_relation) -%}
  {% call statement('build_snapshot_staging_relation') %}
    {{ create_table_as(true, staged, select_sql) }}
  {% endcall %}
  {{ return(staged) }}
{% endmacro %}

{% macro snapshot_merge_sql(target, source, insert_cols) -%}
  {{ adapter.dispatch('snapshot_merge_sql', 'dbt')(target, source, insert_cols) }}
{%- endmacro %}

{% macro default__snapshot_merge_sql(target, source, insert_cols) -%}
{%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
{%- set valid_to = 'DBT_INTERNAL_DEST.' ~ names.dbt_valid_to -%}
{%- set forever = config.get('dbt_valid_to_current') -%}
merge into {{ target.render() }} as DBT_INTERNAL_DEST
using {{ source }} as DBT_INTERNAL_SOURCE
on DBT_INTERNAL_SOURCE.{{ names.dbt_scd_id }} = DBT_INTERNAL_DEST.{{ names.dbt_scd_id }}
when matched
    and ({{ equals(valid_to, forever) ~ ' or ' if forever }}{{ valid_to }} is null)
    and DBT_INTERNAL_SOURCE.dbt_change_type in ('update', 'delete')
    then update set {{ names.dbt_valid_to }} = DBT_INTERNAL_SOURCE.{{ names.dbt_valid_to }}
when not matched and DBT_INTERNAL_SOURCE.dbt_change_type = 'insert'
    then insert ({{ insert_cols | join(', ') }}) values ({{ insert_cols | join(', ') }})
{%- endmacro %}

{% macro postgres__snapshot_merge_sql(target, source, insert_cols) -%}
{%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
{%- set valid_to = target ~ '.' ~ names.dbt_valid_to -%}
{%- set forever = config.get('dbt_valid_to_current') -%}
update {{ target }}
set {{ names.dbt_valid_to }} = DBT_INTERNAL_SOURCE.{{ names.dbt_valid_to }}
from {{ source }} as DBT_INTERNAL_SOURCE
where DBT_INTERNAL_SOURCE.{{ names.dbt_scd_id }}::text = {{ target }}.{{ names.dbt_scd_id }}::text
  and DBT_INTERNAL_SOURCE.dbt_change_type::text in ('update'::text, 'delete'::text)
  and ({{ valid_to ~ ' = ' ~ forever ~ ' or ' if forever }}{{ valid_to }} is null);

insert into {{ target }} ({{ insert_cols | join(', ') }})
select {% for column in insert_cols %}DBT_INTERNAL_SOURCE.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
from {{ source }} as DBT_INTERNAL_SOURCE
where DBT_INTERNAL_SOURCE.dbt_change_type::text = 'insert'::text;
{%- endmacro %}
