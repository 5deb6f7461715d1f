{{ config(alias='sea') }}
select id from {{ ref('b') }}
