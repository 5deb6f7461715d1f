{{ config(materialized='incremental') }}
select id, label, day
from {{ ref('batches') }}
where day <= {{ var('day') }}
{%- if is_incremental() %}
    and day > (select max(day) from {{ this }})
{%- endif %}
