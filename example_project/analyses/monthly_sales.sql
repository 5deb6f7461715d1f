-- Sales of each month, and how they compare to the month before.
with months as (

    select
        d.year,
        d.qtr,
        d.month,
        sum(s.price_paid) as revenue,
        sum(s.qty_sold) as tickets_sold,
        sum(s.commission) as commission,
        sum(s.earnings) as earnings
    from {{ ref('stg_tickit__sales') }} as s
    join {{ ref('stg_tickit__dates') }} as d on d.date_id = s.date_id
    group by d.year, d.qtr, d.month

)

select
    *,
    {{ per_ticket('revenue', 'tickets_sold') }} as average_ticket_price,
    revenue - lag(revenue) over (order by year, month) as change
from months
order by year, month
