{{ config(materialized='table') }}
select id, name, extract(hour from at) as hour from {{ source('lake', 'event') }}
