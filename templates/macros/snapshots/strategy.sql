{# Snapshot strategies. One is a macro `snapshot_<name>_strategy(node, snapshotted_rel, current_rel, model_config, target_exists)`
   that gives a mapping: unique_key, updated_at, row_changed, scd_id, hard_deletes. A project may define its own. #}

{# The macro of a strategy, by its name or as `package.name`. #}
{% macro strategy_dispatch(name) -%}
  {%- set package, short = name.split('.', 1) if '.' in name else (none, name) -%}
  {%- if package is not none and package not in context -%}
    {% do exceptions.raise_compiler_error("Could not find package '" ~ package ~ "', called with '" ~ name ~ "'") %}
  {%- endif -%}
  {%- set place = context if package is none else context[package] -%}
  {%- set macro_name = 'snapshot_' ~ short ~ '_strategy' -%}
  {%- if macro_name not in place -%}
    {%- set where = " in package '" ~ package ~ "'" if package is not none else '' -%}
    {% do exceptions.raise_compiler_error("The specified strategy macro '" ~ short ~ "' was not found" ~ where ~ ": there is no macro `" ~ macro_name ~ "`") %}
  {%- endif -%}
  {{ return(place[macro_name]) }}
{%- endmacro %}

{# The id of one version of a row: the md5 of its texts, a bar between them, null as nothing. #}
{% macro snapshot_hash_arguments(args) -%}
  {{ adapter.dispatch('snapshot_hash_arguments', 'dbt')(args) }}
{%- endmacro %}

{% macro default__snapshot_hash_arguments(args) -%}
md5({% for arg in args %}coalesce(cast({{ arg }} as varchar), ''){{ " || '|' || " if not loop.last }}{% endfor %})
{%- endmacro %}

{# A time written as text, as a value of the type that `snapshot_get_time` gives. #}
{% macro snapshot_string_as_time(timestamp) -%}
  {{ adapter.dispatch('snapshot_string_as_time', 'dbt')(timestamp) }}
{%- endmacro %}

{% macro default__snapshot_string_as_time(timestamp) -%}
  {{ return("cast('" ~ timestamp ~ "' as timestamp)") }}
{%- endmacro %}

{% macro get_true_sql() -%}
  {{ adapter.dispatch('get_true_sql', 'dbt')() }}
{%- endmacro %}

{% macro default__get_true_sql() -%}
  {{ return('true') }}
{%- endmacro %}

{# A row is new where its own time is later than that of the version known. #}
{% macro snapshot_timestamp_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  {%- set key, time = config.get('unique_key'), config.get('updated_at') -%}
  {%- set deletes = adapter.get_hard_deletes_behavior(config) -%}
  {% do return({
    'unique_key': key,
    'updated_at': time,
    'row_changed': '(' ~ snapshotted_rel ~ '.' ~ names.dbt_valid_from ~ ' < ' ~ current_rel ~ '.' ~ time ~ ')',
    'scd_id': snapshot_hash_arguments(api.Relation.scd_args(key, time)),
    'invalidate_hard_deletes': deletes == 'invalidate',
    'hard_deletes': deletes,
  }) %}
{% endmacro %}

{# A row is new where one of the columns to check differs, or where there is a new column to check. #}
{% macro snapshot_check_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
  {%- set key, time = config.get('unique_key'), config.get('updated_at') or snapshot_get_time() -%}
  {%- set deletes = adapter.get_hard_deletes_behavior(config) -%}
  {%- set column_added, columns = snapshot_check_all_get_existing_columns(node, target_exists, config.get('check_cols')) -%}
  {%- set tests = [] -%}
  {%- for column in columns or [] -%}
    {%- set known, given = snapshotted_rel ~ '.' ~ column, current_rel ~ '.' ~ column -%}
    {%- do tests.append(known ~ ' != ' ~ given ~ ' or (' ~ known ~ ' is null) != (' ~ given ~ ' is null)') -%}
  {%- endfor -%}
  {% do return({
    'unique_key': key,
    'updated_at': time,
    'row_changed': '(' ~ (get_true_sql() if column_added else tests | join('\n      or ') or 'false') ~ ')',
    'scd_id': snapshot_hash_arguments(api.Relation.scd_args(key, time)),
    'invalidate_hard_deletes': deletes == 'invalidate',
    'hard_deletes': deletes,
  }) %}
{% endmacro %}

{# Whether there are columns to check that the snapshot lacks, and those that it has, quoted. #}
{% macro snapshot_check_all_get_existing_columns(node, target_exists, check_cols_config) -%}
  {%- if not target_exists -%}{{ return((false, none)) }}{%- endif -%}
  {%- if check_cols_config == 'all' -%}
    {%- set wanted = get_columns_in_query(node['compiled_code']) -%}
  {%- elif check_cols_config is iterable and check_cols_config | length > 0 -%}
    {# Asked for as the query spells them, so that the names are those of the database. #}
    {%- set query = 'select ' ~ check_cols_config | join(', ') ~ ' from (\n' ~ node['compiled_code'] ~ '\n) subq' -%}
    {%- set wanted = get_columns_in_query(query) -%}
  {%- else -%}
    {% do exceptions.raise_compiler_error("Invalid value for 'check_cols': " ~ check_cols_config) %}
  {%- endif -%}
  {%- set target = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) -%}
  {%- set known = adapter.get_columns_in_relation(target) | map(attribute='name') | list -%}
  {%- set both = [] -%}
  {%- for column in wanted if column in known -%}{%- do both.append(adapter.quote(column)) -%}{%- endfor -%}
  {{ return((both | length < wanted | length, both)) }}
{%- endmacro %}
