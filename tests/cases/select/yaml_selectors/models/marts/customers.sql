select c.* from {{ ref('stg_customers') }} as c join {{ ref('orders') }} as o on o.customer_id = c.customer_id
