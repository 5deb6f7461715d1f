with users as (

    select * from {{ ref('stg_tickit__users') }}

),

first_sale as (

    select
        seller_id,
        min(date(sale_time)) as first_sale_date
    from {{ ref('stg_tickit__sales') }}
    group by seller_id

),

final as (

    select
        u.user_id,
        u.username,
        u.full_name,
        f.first_sale_date,
        u.city,
        u.state,
        u.email,
        u.phone
    from users as u
    join first_sale as f on f.seller_id = u.user_id

)

select * from final
