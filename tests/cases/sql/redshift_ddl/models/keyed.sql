{{ config(materialized='table', dist='id', sort=['id', 'at'], sort_type='interleaved', backup=false) }}
{{ create_table_as(false, this, 'select 1 as id') }}
