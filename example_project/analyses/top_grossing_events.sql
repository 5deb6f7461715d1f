-- The best hundredth of all events by revenue.
with events as (

    select
        event_id,
        count(*) as sales,
        sum(qty_sold) as tickets_sold,
        sum(price_paid) as revenue
    from {{ ref('stg_tickit__sales') }}
    group by event_id

),

ranked as (

    -- The id breaks ties, so that the answer is the same every time.
    select *, ntile(100) over (order by revenue desc, event_id) as percentile
    from events

)

select
    d.event_name,
    d.cat_name,
    d.start_time,
    r.sales,
    r.tickets_sold,
    r.revenue
from ranked as r
join {{ ref('dim_events') }} as d on d.event_id = r.event_id
where r.percentile = 1
order by r.revenue desc, r.event_id
