{{ config(materialized='incremental', incremental_strategy='merge', unique_key=['id', 'code']) }}
select * from {{ ref('new_rows') }}
