-- Sales of each category within its group.
select
    cat_group,
    cat_name,
    count(*) as sales,
    sum(qty_sold) as tickets_sold,
    sum(price_paid) as revenue,
    sum(commission) as commission,
    {{ per_ticket('sum(price_paid)', 'sum(qty_sold)') }} as average_ticket_price
from {{ ref('fct_sales') }}
group by cat_group, cat_name
order by cat_group, cat_name
