{{ config(materialized='table') }}
select region, year, sum(price) as price from {{ source('lake', 'sale') }} where year = 2025 group by region, year
