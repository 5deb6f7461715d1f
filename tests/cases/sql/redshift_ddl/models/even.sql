{{ config(materialized='table', dist='even', sort='at') }}
{{ create_table_as(false, this, 'select 1 as id') }}
{{ create_table_as(true, this, 'select 1 as id') }}
