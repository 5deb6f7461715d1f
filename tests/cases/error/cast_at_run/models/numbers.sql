{{ config(materialized='table') }}
select
    word,
    word::integer as number
from {{ ref('words') }}
