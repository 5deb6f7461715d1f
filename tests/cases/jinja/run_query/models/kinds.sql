{{ config(materialized='table') }}
select 'a' as kind, 1 as n union all select 'b', 2
