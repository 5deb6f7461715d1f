{{ config(materialized='ephemeral') }}
select customer, count(*) as n from {{ ref('stg_orders') }} group by 1
