{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='id', incremental_predicates=['id > 1']) }}
select * from {{ ref('new_rows') }}
