{{ config(static_analysis='off') }}
select nosuch from {{ ref('customers') }}
