{{ config(materialized='table') }}
select
    item,
    {{ function('net') }}(price) as net,
    {{ function('net') }}(price, 0) as gross,
    {{ function('shop', 'cents') }}(price) as cents,
    {{ function('dearest') }}(item) as dearest
from {{ ref('prices') }}
