{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id', dist='auto') }}
{%- set columns = [api.Column('id', 'integer'), api.Column('at', 'timestamp')] %}
{{ get_merge_sql(this, 'staged', 'id', columns, ['DBT_INTERNAL_DEST.at > 0']) }}
{{ get_delete_insert_merge_sql(this, 'staged', ['id', 'at'], columns, none) }}
{{ create_table_as(false, this, 'select 1 as id') }}
