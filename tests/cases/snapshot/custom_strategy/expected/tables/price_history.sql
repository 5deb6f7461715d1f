select id, price, dbt_scd_id, dbt_valid_to is null as is_valid from {{ ref('price_history') }}
