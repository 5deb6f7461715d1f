{{ config(materialized='ephemeral', tags=['file'], meta={'level': 4}) }}
select 1 as id
