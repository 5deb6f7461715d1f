{{ config(materialized='table') }}
select 1 as id, 'x' as name, cast(2 as decimal(8, 2)) as price
