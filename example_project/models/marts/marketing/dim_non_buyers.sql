with users as (

    select * from {{ ref('stg_tickit__users') }}

),

regions as (

    select * from {{ ref('state_regions') }}

),

sales as (

    select * from {{ ref('stg_tickit__sales') }}

),

final as (

    select
        u.user_id,
        u.username,
        u.full_name,
        u.city,
        u.state,
        r.region,
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
    from sales as s
    right join users as u on u.user_id = s.buyer_id
    left join regions as r on r.state_code = u.state
    where s.buyer_id is null

)

select * from final
