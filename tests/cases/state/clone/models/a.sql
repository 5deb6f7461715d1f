{{ config(materialized='table') }} select id, n from {{ ref('s') }}
