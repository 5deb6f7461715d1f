{{ config(materialized='incremental', incremental_strategy='microbatch', unique_key='id', event_time='at', begin='2024-01-01', batch_size='day') }}
select id, at, '{{ model.batch.id if model.batch }}' as batch, '{{ thread_id }}' like 'Thread-%' as on_worker from {{ ref('events') }}
