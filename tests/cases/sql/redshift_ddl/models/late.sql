{{ config(materialized='view', bind=false) }}
{{ create_view_as(this, 'select 1 as id') }}
{{ get_replace_view_sql(this, 'select 1 as id') }}
