{{ config(materialized='incremental', unique_key='day') }}
select * from {{ ref('by_day') }}
