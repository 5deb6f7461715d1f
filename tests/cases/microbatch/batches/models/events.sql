{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='happened_at', batch_size='day', begin='2024-01-01') }}
select
    id, happened_at, '{{ model.batch.id }}' as batch, '{{ model.batch.event_time_start.strftime('%d.%m.') }}' as day,
    (select count(*) from {{ ref('raw_events').render() }}) as all_rows, '{{ var('note', 'first') }}' as note
from {{ ref('raw_events') }}
