{{ config(materialized='table') }}
select cast(now() as timestamp) - interval '2 days' as loaded
