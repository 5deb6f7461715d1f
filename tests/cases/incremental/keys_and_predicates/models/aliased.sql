{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id', incremental_predicates=['DBT_INTERNAL_DEST.id > 1', 'DBT_INTERNAL_SOURCE.id < 3']) }}
select * from {{ ref('new_rows') }}
