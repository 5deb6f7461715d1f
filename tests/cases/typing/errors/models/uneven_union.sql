select id, customer_id from {{ ref('stg_orders') }}
union all
select id from {{ ref('customers') }}
