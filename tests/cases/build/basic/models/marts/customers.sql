with orders as (

    select
        customer_id,
        count(*) as orders,
        min(ordered_on) as first_order,
        sum(amount) as spent
    from {{ ref('stg_orders') }}
    group by customer_id

)

select
    c.customer_id,
    c.name,
    coalesce(o.orders, 0) as orders,
    o.first_order,
    o.spent
from {{ ref('stg_customers') }} as c
left join orders as o on o.customer_id = c.customer_id
