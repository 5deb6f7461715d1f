{{ config(materialized='table') }}
select cast(now() as timestamp) as loaded
