-- The best thousandth of all sellers by what they earned.
with sellers as (

    select
        seller_id,
        count(*) as sales,
        sum(qty_sold) as tickets_sold,
        sum(earnings) as earnings
    from {{ ref('stg_tickit__sales') }}
    group by seller_id

),

ranked as (

    select *, ntile(1000) over (order by earnings desc, seller_id) as permille
    from sellers

)

select
    u.username,
    u.full_name,
    u.state,
    r.sales,
    r.tickets_sold,
    r.earnings,
    {{ per_ticket('r.earnings', 'r.tickets_sold') }} as earnings_per_ticket
from ranked as r
join {{ ref('int_sellers_extracted_from_users') }} as u on u.user_id = r.seller_id
where r.permille = 1
order by r.earnings desc, r.seller_id
