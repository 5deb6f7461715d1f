{{ config(materialized='table') }}
select 1 / (id - 1) as id from (select 1 as id) as t
