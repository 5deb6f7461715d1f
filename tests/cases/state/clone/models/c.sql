{{ config(materialized='table') }} select id, n, '{{ target.name }}' as made_in from {{ ref('b') }}
