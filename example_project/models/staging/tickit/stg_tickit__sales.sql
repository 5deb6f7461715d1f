with source as (

    select * from {{ source('tickit_external', 'sale') }}

),

renamed as (

    select
        saleid as sale_id,
        listid as list_id,
        sellerid as seller_id,
        buyerid as buyer_id,
        eventid as event_id,
        dateid as date_id,
        qtysold as qty_sold,
        {{ per_ticket('pricepaid', 'qtysold') }} as ticket_price,
        pricepaid as price_paid,
        round(commission / pricepaid * 100, 2) as commission_percent,
        commission,
        pricepaid - commission as earnings,
        saletime as sale_time
    from source
    where sale_id is not null

)

select * from renamed
