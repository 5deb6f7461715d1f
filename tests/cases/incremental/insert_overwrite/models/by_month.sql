{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partition_by={'field': 'day', 'data_type': 'date', 'granularity': 'month'}, cluster_by=['note', 'id']) }}
select * from {{ ref('new_rows') }}
