{{ config(materialized='table') }}
with mine as (select 100 as id)
select id from {{ ref('base') }} union all select id from mine
