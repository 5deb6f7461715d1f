{{ config(materialized='table') }}
select id, name, extract(hour from moment) as hour from {{ source('lake', 'event') }}
