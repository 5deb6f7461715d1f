{{ config(materialized='table') }}
select cast(now() as timestamp) - interval '5 days' as loaded
