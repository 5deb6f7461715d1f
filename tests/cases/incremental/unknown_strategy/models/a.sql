{{ config(materialized='incremental', incremental_strategy='mergee', unique_key='id') }}
select 1 as id
