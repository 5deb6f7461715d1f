{{ config(materialized='ephemeral') }} select {{ var('level') | int }} as level, {{ 'none' | int(9) }} as nothing from {{ var('orders') }}
