{{ config(materialized='incremental', on_schema_change='append_new_columns') }}
select {{ var('id') }} as id
{%- if var('id') > 1 %}, 'new' as label{% endif %}
