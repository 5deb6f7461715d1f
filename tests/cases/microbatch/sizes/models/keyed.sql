{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='happened_at', batch_size='day', unique_key='id', begin='2024-01-01') }}
select * from {{ ref('raw_events') }}
