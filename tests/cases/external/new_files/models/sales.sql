{{ config(materialized='table') }}
select saleid from {{ source('lake', 'sale') }}
