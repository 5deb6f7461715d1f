{{ config(materialized='materialized_view', on_configuration_change='continue') }} select {{ var('n', 0) }} as n
