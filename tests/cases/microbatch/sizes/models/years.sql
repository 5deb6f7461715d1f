{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='happened_at', batch_size='year', begin='2024-01-01') }}
select *, '{{ model.batch.id }}' as batch from {{ ref('raw_events') }}
