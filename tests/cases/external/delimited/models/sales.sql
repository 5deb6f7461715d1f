{{ config(materialized='table') }}
select saleid, buyer, price * 2 as double_price, soldon, paid from {{ source('lake', 'sale') }}
