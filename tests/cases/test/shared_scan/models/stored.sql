{{ config(materialized='table') }} select * from {{ ref('rows') }}
