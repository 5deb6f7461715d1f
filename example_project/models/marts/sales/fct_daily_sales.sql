{{ config(materialized='incremental', incremental_strategy='merge', unique_key='sale_date') }}

with sales as (

    select * from {{ ref('fct_sales') }}
    {%- if is_incremental() %}
    -- The last day known may have been incomplete: it is counted again.
    where sale_date >= (select max(sale_date) from {{ this }})
    {%- endif %}

),

final as (

    select
        sale_date,
        count(*) as sales,
        sum(qty_sold) as tickets_sold,
        sum(price_paid) as revenue,
        sum(commission) as commission,
        count(distinct buyer_username) as buyers
    from sales
    group by sale_date

)

select * from final
