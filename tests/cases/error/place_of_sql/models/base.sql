{{ config(materialized='ephemeral') }}
select id,
       wrong_in_ephemeral
from {{ ref('orders') }}
