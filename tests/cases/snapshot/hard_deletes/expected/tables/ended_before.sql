select id, name, dbt_valid_from, dbt_valid_to is null as is_valid from {{ ref('ended_before') }}
