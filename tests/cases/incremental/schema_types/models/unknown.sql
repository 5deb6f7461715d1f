{{ config(materialized='incremental', on_schema_change='sometimes') }}
select {{ var('run') }} as id
