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

{% macro get_snapshot_table_column_names() %}
  {{ return({
    'dbt_valid_to': 'dbt_valid_to', 'dbt_valid_from': 'dbt_valid_from', 'dbt_scd_id': 'dbt_scd_id',
    'dbt_updated_at': 'dbt_updated_at', 'dbt_is_deleted': 'dbt_is_deleted'
  }) }}
{% endmacro %}

{% macro create_columns(relation, columns) %}
  {{ adapter.dispatch('create_columns', 'dbt')(relation, columns) }}
{% endmacro %}

{% macro default__create_columns(relation, columns) %}
  {%- for column in columns -%}
    {%- call statement() -%}
      alter table {{ relation.render() }} add column {{ adapter.quote(column.name) }} {{ column.expanded_data_type }};
    {%- endcall -%}
  {%- endfor -%}
{% endmacro %}

{% macro post_snapshot(staging_relation) %}
  {{ adapter.dispatch('post_snapshot', 'dbt')(staging_relation) }}
{% endmacro %}

{% macro default__post_snapshot(staging_relation) %}
{% endmacro %}

{% macro get_true_sql() %}
  {{ adapter.dispatch('get_true_sql', 'dbt')() }}
{% endmacro %}

{% macro default__get_true_sql() %}
  {{ return('TRUE') }}
{% endmacro %}

{% macro get_dbt_valid_to_current(strategy, columns) -%}
coalesce(nullif({{ strategy.updated_at }}, {{ strategy.updated_at }}), {{ config.get('dbt_valid_to_current') or 'null' }}) as {{ columns.dbt_valid_to }}
{%- endmacro %}

{# One key or several: their columns, how two sides are matched by them, and whether a side found no match. #}
{% macro unique_key_fields(unique_key) -%}
  {%- if unique_key is string -%}
{{ unique_key }} as dbt_unique_key
  {%- else -%}
    {%- for key in unique_key -%}
{{ key }} as dbt_unique_key_{{ loop.index }}{{ ', ' if not loop.last }}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_join_on(unique_key, identifier, from_identifier) -%}
  {%- if unique_key is string -%}
{{ identifier }}.dbt_unique_key = {{ from_identifier }}.dbt_unique_key
  {%- else -%}
    {%- for key in unique_key -%}
{{ equals(identifier ~ '.dbt_unique_key_' ~ loop.index, from_identifier ~ '.dbt_unique_key_' ~ loop.index) }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_is_null(unique_key, identifier) -%}
{{ identifier }}.dbt_unique_key{{ '' if unique_key is string else '_1' }} is null
{%- endmacro %}

{% macro unique_key_is_not_null(unique_key, identifier) -%}
{{ identifier }}.dbt_unique_key{{ '' if unique_key is string else '_1' }} is not null
{%- endmacro %}

{% macro build_snapshot_table(strategy, sql) -%}
  {{ adapter.dispatch('build_snapshot_table', 'dbt')(strategy, sql) }}
{%- endmacro %}

{% macro default__build_snapshot_table(strategy, sql) -%}
{%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
select *,
    {{ strategy.scd_id }} as {{ names.dbt_scd_id }},
    {{ strategy.updated_at }} as {{ names.dbt_updated_at }},
    {{ strategy.updated_at }} as {{ names.dbt_valid_from }},
    {{ get_dbt_valid_to_current(strategy, names) }}
    {%- if strategy.hard_deletes == 'new_record' %},
    'False' as {{ names.dbt_is_deleted }}
    {%- endif %}
from (
{{ sql }}
) sbq
{%- endmacro %}

{% macro build_snapshot_staging_table(strategy, sql, target_relation) %}
  {%- set staged = make_temp_relation(target_relation) -%}
  {%- set select_sql = snapshot_staging_table(strategy, sql, target_relation) -%}
  {% call statement('build_snapshot_staging_relation') %}
    {{ create_table_as(true, staged, select_sql) }}
  {% endcall %}
  {{ return(staged) }}
{% endmacro %}

{% macro snapshot_staging_table(strategy, source_sql, target_relation) -%}
  {{ adapter.dispatch('snapshot_staging_table', 'dbt')(strategy, source_sql, target_relation) }}
{%- endmacro %}

{# The changes since the last run: rows to insert, versions to close, and, where deletions count, those of rows that are gone. #}
{% macro default__snapshot_staging_table(strategy, source_sql, target_relation) -%}
{%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
{%- set key = strategy.unique_key -%}
{%- set forever = config.get('dbt_valid_to_current') -%}
{%- set deletes = strategy.hard_deletes in ['invalidate', 'new_record'] -%}
{%- set marks = strategy.hard_deletes == 'new_record' -%}
{%- set was_deleted = "snapshotted_data." ~ names.dbt_is_deleted ~ " = 'True'" -%}
{%- set changed = '(' ~ strategy.row_changed ~ (' or ' ~ was_deleted if marks else '') ~ ')' -%}
{%- set is_open = 'snapshotted_data.' ~ names.dbt_valid_to ~ (' = ' ~ forever if forever else ' is null') -%}
{%- set joined = unique_key_join_on(key, 'snapshotted_data', 'source_data') -%}
with snapshot_query as (
{{ source_sql }}
),
snapshotted_data as (
    select *, {{ unique_key_fields(key) }}
    from {{ target_relation }}
    where {% if forever -%}
      ({{ equals(names.dbt_valid_to | trim, forever | trim) }} or {{ names.dbt_valid_to | trim }} is null)
    {%- else -%}
      {{ names.dbt_valid_to }} is null
    {%- endif %}
),
insertions_source_data as (
    select *, {{ unique_key_fields(key) }},
        {{ strategy.updated_at }} as {{ names.dbt_updated_at }},
        {{ strategy.updated_at }} as {{ names.dbt_valid_from }},
        {{ get_dbt_valid_to_current(strategy, names) }},
        {{ strategy.scd_id }} as {{ names.dbt_scd_id }}
    from snapshot_query
),
updates_source_data as (
    select *, {{ unique_key_fields(key) }},
        {{ strategy.updated_at }} as {{ names.dbt_updated_at }},
        {{ strategy.updated_at }} as {{ names.dbt_valid_from }},
        {{ strategy.updated_at }} as {{ names.dbt_valid_to }}
    from snapshot_query
),
{%- if deletes %}
deletes_source_data as (
    select *, {{ unique_key_fields(key) }} from snapshot_query
),
{%- endif %}
insertions as (
    select 'insert' as dbt_change_type, source_data.*{{ ", 'False' as " ~ names.dbt_is_deleted if marks }}
    from insertions_source_data as source_data
    left outer join snapshotted_data on {{ joined }}
    where {{ unique_key_is_null(key, 'snapshotted_data') }}
       or ({{ unique_key_is_not_null(key, 'snapshotted_data') }} and {{ changed }})
),
updates as (
    select 'update' as dbt_change_type, source_data.*, snapshotted_data.{{ names.dbt_scd_id }}
        {{- ', snapshotted_data.' ~ names.dbt_is_deleted if marks }}
    from updates_source_data as source_data
    join snapshotted_data on {{ joined }}
    where {{ changed }}
)
{%- if deletes %},
deletes as (
    select 'delete' as dbt_change_type, source_data.*,
        {{ snapshot_get_time() }} as {{ names.dbt_valid_from }},
        {{ snapshot_get_time() }} as {{ names.dbt_updated_at }},
        {{ snapshot_get_time() }} as {{ names.dbt_valid_to }},
        snapshotted_data.{{ names.dbt_scd_id }}{{ ', snapshotted_data.' ~ names.dbt_is_deleted if marks }}
    from snapshotted_data
    left join deletes_source_data as source_data on {{ joined }}
    where {{ unique_key_is_null(key, 'source_data') }}
    {%- if marks %} and not ({{ was_deleted }} and {{ is_open }}){% endif %}
)
{%- endif %}
{%- if marks %}
{%- set kept = get_list_of_column_names(get_columns_in_relation(target_relation)) %},
deletion_records as (
    select 'insert' as dbt_change_type,
        {%- for name in get_columns_in_query(source_sql) %}
        {{ 'snapshotted_data' if name in kept else 'source_data' }}.{{ adapter.quote(name) }},
        {%- endfor %}
        {%- if key is string %}
        snapshotted_data.dbt_unique_key as dbt_unique_key,
        {%- else %}
        {%- for part in key %}
        snapshotted_data.{{ part }} as dbt_unique_key_{{ loop.index }},
        {%- endfor %}
        {%- endif %}
        {{ snapshot_get_time() }} as {{ names.dbt_valid_from }},
        {{ snapshot_get_time() }} as {{ names.dbt_updated_at }},
        snapshotted_data.{{ names.dbt_valid_to }} as {{ names.dbt_valid_to }},
        {{ snapshot_hash_arguments([names.dbt_scd_id, snapshot_get_time()]) }} as {{ names.dbt_scd_id }},
        'True' as {{ names.dbt_is_deleted }}
    from snapshotted_data
    left join deletes_source_data as source_data on {{ joined }}
    where {{ unique_key_is_null(key, 'source_data') }} and not ({{ was_deleted }} and {{ is_open }})
)
{%- endif %}
select * from insertions
union all
select * from updates
{%- if deletes %}
union all
select * from deletes
{%- endif %}
{%- if marks %}
union all
select * from deletion_records
{%- endif %}
{%- endmacro %}

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

{# The strategy's macro: `name`, or `package.name`. #}
{% macro strategy_dispatch(name) -%}
  {%- set parts = name.split('.', 1) -%}
  {%- set package = parts[0] if parts | length > 1 else none -%}
  {%- if package is not none and package not in context -%}
    {{ exceptions.raise_compiler_error("Could not find package '" ~ package ~ "', called with '" ~ name ~ "'") }}
  {%- endif -%}
  {%- set place = context if package is none else context[package] -%}
  {%- set strategy = place.get('snapshot_' ~ parts | last ~ '_strategy') -%}
  {%- if not strategy -%}
    {{ exceptions.raise_compiler_error("The specified strategy macro '" ~ parts | last ~ "' was not found in package '" ~ package ~ "'") }}
  {%- endif -%}
  {{ return(strategy) }}
{%- endmacro %}

{% macro snapshot_hash_arguments(args) -%}
  {{ adapter.dispatch('snapshot_hash_arguments', 'dbt')(args) }}
{%- endmacro %}

{% macro default__snapshot_hash_arguments(args) -%}
md5({% for arg in args %}coalesce(cast({{ arg }} as varchar), ''){{ " || '|' || " if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro snapshot_string_as_time(timestamp) -%}
  {{ adapter.dispatch('snapshot_string_as_time', 'dbt')(timestamp) }}
{%- endmacro %}

{% macro default__snapshot_string_as_time(timestamp) %}
  {%- do exceptions.raise_not_implemented('snapshot_string_as_time macro not implemented for adapter ' ~ adapter.type()) -%}
{% endmacro %}

{% macro snapshot_timestamp_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  {%- set updated_at = config.get('updated_at') -%}
  {%- set changed = '(' ~ snapshotted_rel ~ '.' ~ names.dbt_valid_from ~ ' < ' ~ current_rel ~ '.' ~ updated_at ~ ')' -%}
  {{ return(snapshot_strategy_of(updated_at, changed)) }}
{% endmacro %}

{# What every strategy says: key, time, the condition for a changed row, and the id of a version. #}
{% macro snapshot_strategy_of(updated_at, row_changed) %}
  {%- set key = config.get('unique_key') -%}
  {%- set hard_deletes = adapter.get_hard_deletes_behavior(config) -%}
  {{ return({
    'unique_key': key,
    'updated_at': updated_at,
    'row_changed': row_changed,
    'scd_id': snapshot_hash_arguments(api.Relation.scd_args(key, updated_at)),
    'invalidate_hard_deletes': hard_deletes == 'invalidate',
    'hard_deletes': hard_deletes
  }) }}
{% endmacro %}

{% macro snapshot_check_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
  {%- set updated_at = config.get('updated_at') or snapshot_get_time() -%}
  {%- set column_added, columns = snapshot_check_all_get_existing_columns(node, target_exists, config.get('check_cols')) -%}
  {%- if column_added -%}
    {{ return(snapshot_strategy_of(updated_at, '(' ~ get_true_sql() ~ ')')) }}
  {%- endif -%}
  {%- set tests = [] -%}
  {%- for column in columns -%}
    {%- set old = snapshotted_rel ~ '.' ~ column -%}
    {%- set new = current_rel ~ '.' ~ column -%}
    {%- do tests.append(old ~ ' != ' ~ new ~ ' or (' ~ old ~ ' is null and not ' ~ new ~ ' is null) or (not ' ~ old ~ ' is null and ' ~ new ~ ' is null)') -%}
  {%- endfor -%}
  {{ return(snapshot_strategy_of(updated_at, '(' ~ tests | join(' or ') ~ ')')) }}
{% endmacro %}

{# Whether the query gives a checked column that the table has not, and the checked columns that both have, quoted. #}
{% macro snapshot_check_all_get_existing_columns(node, target_exists, check_cols_config) -%}
  {%- if not target_exists -%}
    {{ return((false, [])) }}
  {%- endif -%}
  {%- if check_cols_config == 'all' -%}
    {%- set given = get_columns_in_query(node['compiled_code']) -%}
  {%- elif check_cols_config is iterable and check_cols_config is not string and check_cols_config | length > 0 -%}
    {%- set given = get_columns_in_query('select ' ~ check_cols_config | join(', ') ~ ' from (\n' ~ node['compiled_code'] ~ '\n) subq') -%}
  {%- else -%}
    {%- do exceptions.raise_compiler_error("Invalid value for 'check_cols': " ~ check_cols_config) -%}
  {%- endif -%}
  {%- set target = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) -%}
  {%- set present = adapter.get_columns_in_relation(target) | map(attribute='name') | list -%}
  {%- set common = [] -%}
  {%- for name in given if name in present -%}{%- do common.append(adapter.quote(name)) -%}{%- endfor -%}
  {{ return((common | length < given | length, common)) }}
{%- endmacro %}
