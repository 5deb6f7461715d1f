{{ config(materialized='view') }}
{{ create_view_as(this, 'select 1 as id') }}
