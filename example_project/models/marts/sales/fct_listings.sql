with listings as (

    select * from {{ ref('stg_tickit__listings') }}

),

events as (

    select * from {{ ref('dim_events') }}

),

sellers as (

    select * from {{ ref('int_sellers_extracted_from_users') }}

),

final as (

    select
        l.list_id,
        l.list_time,
        e.cat_group,
        e.cat_name,
        e.event_name,
        e.venue_name,
        e.venue_city,
        e.venue_state,
        e.start_time,
        s.username as seller_username,
        s.full_name as seller_name,
        l.num_tickets,
        l.price_per_ticket,
        l.total_price
    from listings as l
    join events as e on e.event_id = l.event_id
    join sellers as s on s.user_id = l.seller_id

)

select * from final
