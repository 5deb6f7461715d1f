{{ config(materialized='table') }}
select customer_nme from (select 'x' as customer_name) as t
