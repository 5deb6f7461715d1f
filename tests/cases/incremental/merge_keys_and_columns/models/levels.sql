{{ config(materialized='incremental', incremental_strategy='merge', unique_key=['shop', 'item'], merge_update_columns=['amount']) }}
select shop, item, amount, note from {{ ref('stock') }}
