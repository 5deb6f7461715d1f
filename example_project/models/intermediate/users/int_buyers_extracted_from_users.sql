with users as (

    select * from {{ ref('stg_tickit__users') }}

),

first_purchase as (

    select
        buyer_id,
        min(date(sale_time)) as first_purchase_date
    from {{ ref('stg_tickit__sales') }}
    group by buyer_id

),

final as (

    select
        u.user_id,
        u.username,
        u.full_name,
        f.first_purchase_date,
        u.city,
        u.state,
        u.email,
        u.phone,
        u.like_broadway,
        u.like_classical,
        u.like_concerts,
        u.like_jazz,
        u.like_musicals,
        u.like_opera,
        u.like_rock,
        u.like_sports,
        u.like_theatre,
        u.like_vegas
    from users as u
    join first_purchase as f on f.buyer_id = u.user_id

)

select * from final
