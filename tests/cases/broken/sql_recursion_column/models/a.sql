{{ config(materialized='table') }}
with recursive r as (select 1 as id union all select idd + 1 from r) select * from r
