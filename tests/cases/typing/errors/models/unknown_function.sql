select uper(name) as name from {{ ref('customers') }}
