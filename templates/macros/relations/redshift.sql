{# Redshift: Postgres's macros hold, but for how rows are laid out over the nodes, views that bind late, and a few statements. #}

{# `diststyle …` of a table, by the config `dist`: all, even, auto, or the column that rows are spread by. #}
{% macro dist(dist) -%}
  {%- if dist is none or dist is undefined -%}
  {%- elif dist is not string -%}
    {%- do exceptions.raise_compiler_error("`dist` takes all, even, auto or the name of one column, as text") -%}
  {%- elif dist | trim | lower in ('all', 'even') -%}
diststyle {{ dist | trim | lower }}
  {%- elif dist | trim | lower != 'auto' -%}
diststyle key distkey ({{ dist | trim | lower }})
  {%- endif -%}
{%- endmacro %}

{# `… sortkey(…)` of a table, by the configs `sort_type` and `sort`. #}
{% macro sort(sort_type, sort) -%}
  {%- if sort is not none and sort is not undefined -%}
    {%- set columns = [sort] if sort is string else sort -%}
{{ sort_type or 'compound' }} sortkey({{ columns | join(',') }})
  {%- endif -%}
{%- endmacro %}

{% macro redshift__table_attributes(temporary) -%}
  {%- set parts = [] -%}
  {%- if config.get('backup') is sameas false -%}{%- do parts.append('backup no') -%}{%- endif -%}
  {%- if not temporary -%}
    {%- set how = [dist(config.get('dist')), sort(config.get('sort_type'), config.get('sort'))] -%}
    {%- for part in how if part | trim -%}{%- do parts.append(part | trim) -%}{%- endfor -%}
  {%- endif -%}
{{ parts | join('\n') }}
{%- endmacro %}

{% macro redshift__create_table_as(temporary, relation, sql) -%}
{%- set contract = config.get('contract') -%}
{%- set target = relation.include(database=not temporary, schema=not temporary) -%}
{{ config.get('sql_header') or '' }}
create {{ 'temporary ' if temporary }}table {{ target }}
{%- if contract and contract.enforced %}
{{ get_table_columns_and_constraints() }}
{{- get_assert_columns_equivalent(sql) }}
{{ redshift__table_attributes(temporary) }}
;
insert into {{ target }}
(
{{ get_select_subquery(sql) }}
);
{%- else %}
{{ redshift__table_attributes(temporary) }}
as (
{{ sql }}
);
{%- endif %}
{%- endmacro %}

{# `bind: false` makes a view that may outlive what it reads. #}
{% macro redshift__view_binding() -%}
  {{ 'with no schema binding' if config.get('bind', default=true) is sameas false }}
{%- endmacro %}

{% macro redshift__create_view_as(relation, sql) -%}
{%- set contract = config.get('contract') -%}
{{ config.get('sql_header') or '' }}
{%- if contract and contract.enforced -%}{{ get_assert_columns_equivalent(sql) }}{%- endif %}
create view {{ relation }} as (
{{ sql }}
) {{ redshift__view_binding() }};
{%- endmacro %}

{% macro redshift__get_replace_view_sql(relation, sql) -%}
{%- set contract = config.get('contract') -%}
{{ config.get('sql_header') or '' }}
{%- if contract and contract.enforced -%}{{ get_assert_columns_equivalent(sql) }}{%- endif %}
create or replace view {{ relation }} as (
{{ sql }}
) {{ redshift__view_binding() }};
{%- endmacro %}

{% macro redshift__get_create_materialized_view_as_sql(relation, sql) -%}
create materialized view {{ relation }}
backup {{ 'no' if config.get('backup') is sameas false else 'yes' }}
{{ dist(config.get('dist') or 'even') }}
{{ sort(config.get('sort_type'), config.get('sort')) }}
auto refresh {{ 'yes' if config.get('auto_refresh') else 'no' }}
as (
{{ sql }}
);
{%- endmacro %}

{% macro redshift__refresh_materialized_view(relation) -%}
refresh materialized view {{ relation }}
{%- endmacro %}

{# A late binding view has no columns of its own to describe. #}
{% macro redshift__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set late = relation.type == 'view' and config.get('bind') is sameas false -%}
  {{ default__persist_docs(relation, model, for_relation, for_columns and not late) }}
{%- endmacro %}

{% macro redshift__alter_relation_comment(relation, comment) %}
comment on {{ 'view' if relation.type == 'materialized_view' else relation.type }} {{ relation }} is {{ postgres_escape_comment(comment) }};
{% endmacro %}

{# Text is as wide as its longest value; a letter may take more than one byte. #}
{% macro redshift__seed_type(agate_table, index) -%}
  {%- set type = adapter.convert_type(agate_table, index) -%}
  {%- if type != 'text' -%}{{ return(type) }}{%- endif -%}
  {%- set widest = namespace(bytes=0) -%}
  {%- for value in agate_table.columns[index] if value is not none -%}
    {%- set bytes = value | string | urlencode | replace('%20', ' ') -%}
    {%- set bytes = modules.re.sub('%[0-9A-F]{2}', '_', bytes) | length -%}
    {%- if bytes > widest.bytes -%}{%- set widest.bytes = bytes -%}{%- endif -%}
  {%- endfor -%}
  {{ return('varchar(' ~ (widest.bytes or 64) ~ ')') }}
{%- endmacro %}

{% macro redshift__create_csv_table(model, agate_table) %}
  {%- set given = model['config'].get('column_types', {}) -%}
  {%- set quoted = model['config'].get('quote_columns', none) -%}
  {%- set columns = [] -%}
  {%- for name in agate_table.column_names -%}
    {%- set type = given.get(name, redshift__seed_type(agate_table, loop.index0)) -%}
    {%- do columns.append(adapter.quote_seed_column(name | string, quoted) ~ ' ' ~ type) -%}
  {%- endfor -%}
  {%- set sql = 'create table ' ~ this.render() ~ ' (' ~ columns | join(', ') ~ ') ' ~ dist(model['config'].get('dist', none)) -%}
  {% call statement('_') -%}
    {{ sql }}
  {%- endcall %}
  {{ return(sql) }}
{% endmacro %}

{% macro redshift__get_batch_size() %}
  {{ return(500) }}
{% endmacro %}

{# Rows go in by `insert`: the server takes no `copy … from stdin`. #}
{% macro redshift__load_csv_rows(model, agate_table) %}
  {%- set names = get_seed_column_quoted_csv(model, agate_table.column_names) -%}
  {%- set statements = [] -%}
  {%- for batch in agate_table.rows | batch(get_batch_size() | int) -%}
    {%- set rows = [] -%}
    {%- for row in batch -%}
      {%- set values = [] -%}
      {%- for value in row -%}
        {%- do values.append('null' if value is none else "'" ~ (value | string | replace("\\", "\\\\") | replace("'", "''")) ~ "'") -%}
      {%- endfor -%}
      {%- do rows.append('(' ~ values | join(', ') ~ ')') -%}
    {%- endfor -%}
    {%- set sql = 'insert into ' ~ this.render() ~ ' (' ~ names ~ ') values\n' ~ rows | join(',\n') -%}
    {%- do adapter.execute(sql, auto_begin=true) -%}
    {%- do statements.append(sql) -%}
  {%- endfor -%}
  {{ return(statements[0] if statements else '') }}
{% endmacro %}

{% macro redshift__predicates(target, incremental_predicates) -%}
  {%- set found = [] -%}
  {%- for predicate in incremental_predicates or [] -%}
    {%- do found.append(predicate | replace('DBT_INTERNAL_DEST.', target ~ '.') | replace('dbt_internal_dest.', target ~ '.')) -%}
  {%- endfor -%}
  {{ return(found) }}
{%- endmacro %}

{# Redshift takes no alias for the table that `delete` and `merge` change. #}
{% macro redshift__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
{%- set names = get_quoted_csv(dest_columns | map(attribute='name')) -%}
{%- if unique_key -%}
{%- set keys = unique_key if unique_key is string else unique_key | join(', ') -%}
delete from {{ target }}
where ({{ keys }}) in (
    select distinct {{ keys }}
    from {{ source }} as DBT_INTERNAL_SOURCE
)
{%- for predicate in redshift__predicates(target, incremental_predicates) %}
and {{ predicate }}
{%- endfor %}
;
{% endif -%}
insert into {{ target }} ({{ names }})
(
    select {{ names }}
    from {{ source }}
)
{%- endmacro %}

{% macro redshift__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
{%- set conditions = redshift__predicates(target, incremental_predicates) -%}
{%- set keys = ([unique_key] if unique_key is string else unique_key) or [] -%}
{%- for key in keys -%}{%- do conditions.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = ' ~ target ~ '.' ~ key) -%}{%- endfor -%}
{%- if not keys -%}{%- do conditions.append('FALSE') -%}{%- endif -%}
{%- set updated = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
{%- set inserted = get_merge_update_columns(none, none, dest_columns) -%}
{{ config.get('sql_header') or '' }}
merge into {{ target }}
using {{ source }} as DBT_INTERNAL_SOURCE
on ({{ conditions | join(') and (') }})
{%- if keys %}
when matched then update set
{%- for name in updated %}
    {{ name }} = DBT_INTERNAL_SOURCE.{{ name }}{{ ',' if not loop.last }}
{%- endfor %}
{%- endif %}
when not matched then insert ({{ inserted | join(', ') }})
values (
{%- for name in inserted %}
    DBT_INTERNAL_SOURCE.{{ name }}{{ ',' if not loop.last }}
{%- endfor %}
)
{%- endmacro %}

{# A batch of a microbatch model takes the place of the rows of its stretch of time; no key is needed. #}
{% macro redshift__get_incremental_microbatch_sql(arg_dict) %}
{%- set target = arg_dict['target_relation'] -%}
{%- set names = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
{%- set batch = model.batch -%}
{%- if not batch or not batch.event_time_start or not batch.event_time_end -%}
  {%- do exceptions.raise_compiler_error('the batch has no start or no end: a microbatch model is built batch by batch') -%}
{%- endif -%}
{%- set conditions = redshift__predicates(target, arg_dict.get('incremental_predicates')) -%}
{%- do conditions.append(model.config.event_time ~ " >= TIMESTAMP '" ~ batch.event_time_start ~ "'") -%}
{%- do conditions.append(model.config.event_time ~ " < TIMESTAMP '" ~ batch.event_time_end ~ "'") -%}
delete from {{ target }}
where ({{ conditions | join(' and ') }});
insert into {{ target }} ({{ names }})
(
    select {{ names }}
    from {{ arg_dict['temp_relation'] }}
)
{% endmacro %}

{% macro redshift__alter_relation_add_remove_columns(relation, add_columns, remove_columns) %}
  {%- for column in add_columns or [] -%}
    {%- do run_query('alter ' ~ relation.type ~ ' ' ~ relation ~ ' add column ' ~ column.quoted ~ ' ' ~ column.data_type) -%}
  {%- endfor -%}
  {%- for column in remove_columns or [] -%}
    {%- do run_query('alter ' ~ relation.type ~ ' ' ~ relation ~ ' drop column ' ~ column.quoted) -%}
  {%- endfor -%}
{% endmacro %}

{# Columns of tables and bound views are in the information schema, those of late binding views behind a function. #}
{% macro redshift__get_columns_in_relation(relation) -%}
  {%- set size = "nullif(regexp_substr(col_type, '[0-9]+'), '')::int" -%}
  {%- set digits = "regexp_substr(col_type, '[0-9,]+')" -%}
  {% call statement('get_columns_in_relation', fetch_result=true) %}
    with known as (
        select ordinal_position, table_schema, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale
        from information_schema."columns"
        where table_name = '{{ escape_single_quotes(relation.identifier) }}'
        {%- if relation.schema %}
        union all
        select ordinal_position, view_schema, col_name,
            case
                when col_type ilike 'character varying%' then 'character varying'
                when col_type ilike 'numeric%' then 'numeric'
                else col_type
            end,
            case when col_type like 'character%' then {{ size }} end,
            case when col_type like 'numeric%' then nullif(split_part({{ digits }}, ',', 1), '')::int end,
            case when col_type like 'numeric%' then nullif(split_part({{ digits }}, ',', 2), '')::int end
        from pg_get_late_binding_view_cols()
            cols(view_schema name, view_name name, col_name name, col_type varchar, ordinal_position int)
        where view_name = '{{ escape_single_quotes(relation.identifier) }}'
        {%- endif %}
    )
    select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale
    from known
    {%- if relation.schema %}
    where table_schema = '{{ escape_single_quotes(relation.schema) }}'
    {%- endif %}
    order by ordinal_position
  {% endcall %}
  {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{% endmacro %}
