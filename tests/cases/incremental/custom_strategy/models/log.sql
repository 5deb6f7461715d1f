{{ config(materialized='incremental', incremental_strategy='insert_only', unique_key='id') }}
select * from (values (1, {{ var('run', 2) }}), ({{ var('run', 2) }} * 10, {{ var('run', 2) }})) as t (id, run)
