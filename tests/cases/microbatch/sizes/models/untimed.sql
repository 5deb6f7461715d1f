{{ config(materialized='incremental', incremental_strategy='microbatch', batch_size='day', begin='2024-01-01') }}
select * from {{ ref('raw_events') }}
