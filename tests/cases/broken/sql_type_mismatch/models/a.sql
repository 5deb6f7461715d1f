{{ config(materialized='table') }}
select date '2020-01-01' + 'x' as id
