{{ config(materialized='view') }}
select id, customer_id, amount, status, cast(ordered_at as date) as ordered_at from {{ source('raw', 'raw_orders') }}
