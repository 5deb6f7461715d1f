{# The indexes that the config names. #}
{% macro create_indexes(relation) -%}
  {{ adapter.dispatch('create_indexes', 'dbt')(relation) }}
{%- endmacro %}

{% macro default__create_indexes(relation) -%}
  {%- for index in config.get('indexes', default=[]) -%}
    {%- set sql = get_create_index_sql(relation, index) -%}
    {%- if sql -%}{%- do run_query(sql) -%}{%- endif -%}
  {%- endfor -%}
{%- endmacro %}

{% macro get_create_index_sql(relation, index_dict) -%}
  {{ return(adapter.dispatch('get_create_index_sql', 'dbt')(relation, index_dict)) }}
{%- endmacro %}

{% macro default__get_create_index_sql(relation, index_dict) -%}
  {{ return(none) }}
{%- endmacro %}

{% macro postgres__get_create_index_sql(relation, index_dict) -%}
  {%- set index = adapter.parse_index(index_dict) -%}
create {{ 'unique ' if index.unique }}index if not exists "{{ index.render(relation) }}"
on {{ relation }} {{ 'using ' ~ index.type if index.type }} ({{ index.columns | join(', ') }})
{%- endmacro %}

{% macro get_drop_index_sql(relation, index_name) -%}
  {{ adapter.dispatch('get_drop_index_sql', 'dbt')(relation, index_name) }}
{%- endmacro %}

{% macro default__get_drop_index_sql(relation, index_name) -%}
  {{ exceptions.raise_compiler_error('`get_drop_index_sql has not been implemented for this adapter.') }}
{%- endmacro %}

{% macro postgres__get_drop_index_sql(relation, index_name) -%}
drop index if exists "{{ relation.schema }}"."{{ index_name }}"
{%- endmacro %}

{% macro get_show_indexes_sql(relation) -%}
  {{ adapter.dispatch('get_show_indexes_sql', 'dbt')(relation) }}
{%- endmacro %}

{% macro default__get_show_indexes_sql(relation) -%}
  {{ exceptions.raise_compiler_error('`get_show_indexes_sql has not been implemented for this adapter.') }}
{%- endmacro %}

{% macro postgres__get_show_indexes_sql(relation) -%}
select named.relname as name, method.amname as method, listed.indisunique as "unique",
  array_to_string(array_agg(attribute.attname), ',') as column_names
from pg_catalog.pg_index listed
join pg_catalog.pg_class named on named.oid = listed.indexrelid
join pg_catalog.pg_am method on method.oid = named.relam
join pg_catalog.pg_class owner on owner.oid = listed.indrelid and owner.relkind in ('r', 'm')
join pg_catalog.pg_namespace place on place.oid = owner.relnamespace
join pg_catalog.pg_attribute attribute on attribute.attrelid = owner.oid and attribute.attnum = any(listed.indkey)
where owner.relname = '{{ relation.identifier }}' and place.nspname = '{{ relation.schema }}'
group by 1, 2, 3
order by 1, 2, 3
{%- endmacro %}
