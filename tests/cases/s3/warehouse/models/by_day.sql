{{ config(materialized='view') }}
select day, sum(price) as total from {{ ref('sales') }} group by day
