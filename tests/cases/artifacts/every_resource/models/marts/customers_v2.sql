select id, name, 1 as extra from {{ ref('raw_customers') }}
