{# What a snapshot's table holds: at first every row of the query as its first version, later the changes since. #}

{% macro get_snapshot_table_column_names() -%}
  {%- set names = {} -%}
  {%- for name in ['dbt_valid_to', 'dbt_valid_from', 'dbt_scd_id', 'dbt_updated_at', 'dbt_is_deleted'] -%}
    {%- do names.update({name: name}) -%}
  {%- endfor -%}
  {{ return(names) }}
{%- endmacro %}

{# The key's values under names of their own. #}
{% macro unique_key_fields(unique_key) -%}
  {%- if unique_key | is_list -%}
    {%- for key in unique_key -%}{{ key }} as dbt_unique_key_{{ loop.index }}{{ ', ' if not loop.last }}{%- endfor -%}
  {%- else -%}
    {{ unique_key }} as dbt_unique_key
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_join_on(unique_key, identifier, from_identifier) -%}
  {%- if unique_key | is_list -%}
    {%- for key in unique_key -%}
      {%- set name = '.dbt_unique_key_' ~ loop.index -%}
      {{ equals(identifier ~ name, from_identifier ~ name) }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
  {%- else -%}
    {{ identifier }}.dbt_unique_key = {{ from_identifier }}.dbt_unique_key
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_is_null(unique_key, identifier) -%}
  {{ identifier }}.dbt_unique_key{{ '_1' if unique_key | is_list }} is null
{%- endmacro %}

{% macro unique_key_is_not_null(unique_key, identifier) -%}
  {{ identifier }}.dbt_unique_key{{ '_1' if unique_key | is_list }} is not null
{%- endmacro %}

{# The end of a version that is still valid: null or what `dbt_valid_to_current` says, in the type of its beginning. #}
{% macro get_dbt_valid_to_current(strategy, columns) -%}
coalesce(nullif({{ strategy.updated_at }}, {{ strategy.updated_at }}), {{ config.get('dbt_valid_to_current') or 'null' }}) as {{ columns.dbt_valid_to }}
{%- endmacro %}

{% macro build_snapshot_table(strategy, sql) -%}
  {{ adapter.dispatch('build_snapshot_table', 'dbt')(strategy, sql) }}
{%- endmacro %}

{% macro default__build_snapshot_table(strategy, sql) -%}
{%- set columns = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
select *,
    {{ strategy.scd_id }} as {{ columns.dbt_scd_id }},
    {{ strategy.updated_at }} as {{ columns.dbt_updated_at }},
    {{ strategy.updated_at }} as {{ columns.dbt_valid_from }},
    {{ get_dbt_valid_to_current(strategy, columns) }}
    {%- if strategy.hard_deletes == 'new_record' %},
    'False' as {{ columns.dbt_is_deleted }}
    {%- endif %}
from (
{{ sql }}
) sbq
{%- endmacro %}

{% macro snapshot_staging_table(strategy, source_sql, target_relation) -%}
  {{ adapter.dispatch('snapshot_staging_table', 'dbt')(strategy, source_sql, target_relation) }}
{%- endmacro %}

{# The changes: a row for each version that begins (`insert`), and one for each that ends (`update`, `delete`), which names
   it by its id. Strategies speak of `snapshotted_data`, the versions still valid, and of `source_data`, the rows of today. #}
{% macro default__snapshot_staging_table(strategy, source_sql, target_relation) -%}
{%- set columns = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
{%- set key, time = strategy.unique_key, strategy.updated_at -%}
{%- set current, now = config.get('dbt_valid_to_current'), snapshot_get_time() -%}
{%- set marks, ends = strategy.hard_deletes == 'new_record', strategy.hard_deletes in ['invalidate', 'new_record'] -%}
{%- set is_marked = 'snapshotted_data.' ~ columns.dbt_is_deleted ~ " = 'True'" -%}
{%- set changed -%}
({{ strategy.row_changed }}{{ ' or ' ~ is_marked if marks }})
{%- endset -%}
{%- set same_key = unique_key_join_on(key, 'snapshotted_data', 'source_data') -%}
{%- set gone -%}
{{ unique_key_is_null(key, 'source_data') }}{{ ' and not (' ~ is_marked ~ ')' if marks }}
{%- endset -%}
with snapshot_query as (
{{ source_sql }}
),
snapshotted_data as (
    select *, {{ unique_key_fields(key) }}
    from {{ target_relation }}
    where {{ columns.dbt_valid_to }} is null{{ ' or ' ~ equals(columns.dbt_valid_to, current) if current }}
),
beginning as (
    select *, {{ unique_key_fields(key) }},
        {{ time }} as {{ columns.dbt_updated_at }},
        {{ time }} as {{ columns.dbt_valid_from }},
        {{ get_dbt_valid_to_current(strategy, columns) }},
        {{ strategy.scd_id }} as {{ columns.dbt_scd_id }}
    from snapshot_query
),
ending as (
    select *, {{ unique_key_fields(key) }},
        {{ time }} as {{ columns.dbt_updated_at }},
        {{ time }} as {{ columns.dbt_valid_from }},
        {{ time }} as {{ columns.dbt_valid_to }}
    from snapshot_query
){% if ends %},
present as (
    select *, {{ unique_key_fields(key) }}
    from snapshot_query
){% endif %}

select 'insert' as dbt_change_type, source_data.*{{ ", 'False' as " ~ columns.dbt_is_deleted if marks }}
from beginning as source_data
left join snapshotted_data on {{ same_key }}
where {{ unique_key_is_null(key, 'snapshotted_data') }}
   or ({{ unique_key_is_not_null(key, 'snapshotted_data') }} and {{ changed }})

union all

select 'update' as dbt_change_type, source_data.*,
    snapshotted_data.{{ columns.dbt_scd_id }}{{ ', snapshotted_data.' ~ columns.dbt_is_deleted if marks }}
from ending as source_data
join snapshotted_data on {{ same_key }}
where {{ changed }}
{%- if ends %}

union all

select 'delete' as dbt_change_type, source_data.*,
    {{ now }} as {{ columns.dbt_updated_at }},
    {{ now }} as {{ columns.dbt_valid_from }},
    {{ now }} as {{ columns.dbt_valid_to }},
    snapshotted_data.{{ columns.dbt_scd_id }}{{ ', snapshotted_data.' ~ columns.dbt_is_deleted if marks }}
from snapshotted_data
left join present as source_data on {{ same_key }}
where {{ gone }}
{%- endif %}
{%- if marks %}
{%- set known = get_list_of_column_names(get_columns_in_relation(target_relation)) %}

union all

select 'insert' as dbt_change_type,
    {% for name in get_columns_in_query(source_sql) -%}
    {{ 'snapshotted_data' if name in known else 'source_data' }}.{{ adapter.quote(name) }},
    {% endfor -%}
    {% for part in (key if key | is_list else [key]) -%}
    snapshotted_data.dbt_unique_key{{ '_' ~ loop.index if key | is_list }},
    {% endfor -%}
    {{ now }} as {{ columns.dbt_updated_at }},
    {{ now }} as {{ columns.dbt_valid_from }},
    snapshotted_data.{{ columns.dbt_valid_to }},
    {{ snapshot_hash_arguments(['snapshotted_data.' ~ columns.dbt_scd_id, now]) }} as {{ columns.dbt_scd_id }},
    'True' as {{ columns.dbt_is_deleted }}
from snapshotted_data
left join present as source_data on {{ same_key }}
where {{ gone }}
{%- endif %}
{%- endmacro %}

{# Called once the changes are written; there is nothing to tidy up. #}
{% macro post_snapshot(staging_relation) -%}
  {{ adapter.dispatch('post_snapshot', 'dbt')(staging_relation) }}
{%- endmacro %}

{% macro default__post_snapshot(staging_relation) -%}
{%- endmacro %}

{% macro create_columns(relation, columns) -%}
  {{ adapter.dispatch('create_columns', 'dbt')(relation, columns) }}
{%- endmacro %}

{% macro default__create_columns(relation, columns) -%}
  {%- for column in columns -%}
    {% call statement() -%}
alter table {{ relation.render() }} add column {{ adapter.quote(column.name) }} {{ column.expanded_data_type }}
    {%- endcall %}
  {%- endfor -%}
{%- endmacro %}

{# Warns where the times of the rows and the times a snapshot stamps are of different types. #}
{% macro check_time_data_types(sql) -%}
  {%- set stamped = get_snapshot_get_time_data_type() -%}
  {%- set given = get_updated_at_column_data_type(sql) -%}
  {%- if stamped is not none and given is not none and stamped != given -%}
    {% do exceptions.warn_snapshot_timestamp_data_types(stamped, given) %}
  {%- endif -%}
{%- endmacro %}

{% macro get_updated_at_column_data_type(snapshot_sql) -%}
  {%- for column in get_column_schema_from_query(snapshot_sql) if column.column | lower == 'dbt_updated_at' -%}
    {{ return(column.dtype) }}
  {%- endfor -%}
  {{ return(none) }}
{%- endmacro %}

{% macro get_snapshot_get_time_data_type() -%}
  {{ return(get_column_schema_from_query('select ' ~ snapshot_get_time() ~ ' as dbt_snapshot_time')[0].dtype or none) }}
{%- endmacro %}
