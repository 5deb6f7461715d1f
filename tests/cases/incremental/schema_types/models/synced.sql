{{ config(materialized='incremental', on_schema_change='sync_all_columns') }}
{{ rows() }}
