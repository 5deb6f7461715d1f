{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partition_by=['day', 'note']) }}
select id, day, 'a' as note from {{ ref('new_rows') }}
