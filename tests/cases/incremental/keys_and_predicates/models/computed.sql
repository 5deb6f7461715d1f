{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key="id || '-' || code") }}
select * from {{ ref('new_rows') }}
