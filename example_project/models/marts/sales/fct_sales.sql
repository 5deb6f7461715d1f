with sales as (

    select * from {{ ref('stg_tickit__sales') }}

),

events as (

    select * from {{ ref('dim_events') }}

),

listings as (

    select * from {{ ref('stg_tickit__listings') }}

),

dates as (

    select * from {{ ref('stg_tickit__dates') }}

),

buyers as (

    select * from {{ ref('int_buyers_extracted_from_users') }}

),

sellers as (

    select * from {{ ref('int_sellers_extracted_from_users') }}

),

final as (

    select
        s.sale_id,
        s.sale_time,
        d.cal_date as sale_date,
        d.qtr,
        e.cat_group,
        e.cat_name,
        e.event_name,
        e.venue_name,
        e.venue_city,
        e.venue_state,
        e.start_time,
        b.username as buyer_username,
        b.full_name as buyer_name,
        b.state as buyer_state,
        b.first_purchase_date,
        se.username as seller_username,
        se.full_name as seller_name,
        se.state as seller_state,
        se.first_sale_date,
        s.ticket_price,
        s.qty_sold,
        s.price_paid,
        s.price_paid >= {{ var('large_sale_usd') }} as is_large_sale,
        s.commission_percent,
        s.commission,
        s.earnings,
        l.num_tickets as listed_tickets
    from sales as s
    join listings as l on l.list_id = s.list_id
    join events as e on e.event_id = s.event_id
    join dates as d on d.date_id = s.date_id
    join buyers as b on b.user_id = s.buyer_id
    join sellers as se on se.user_id = s.seller_id

)

select * from final
