{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='happened_at', batch_size='day', begin='2024-01-01') }}
{% if model.batch and model.batch.id == '20240103' and not var('mended', false) %}select nonsense{% else %}select * from {{ ref('raw_events') }}{% endif %}

-- depends_on: {{ ref('raw_events') }}
