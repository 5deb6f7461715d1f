{{ config(materialized='incremental', unique_key='id', incremental_strategy='delete+insert') }}
select id, label, day
from {{ ref('batches') }}
where day <= {{ var('day') }}
{%- if is_incremental() %}
    and day > (select max(day) from {{ this }})
{%- endif %}
