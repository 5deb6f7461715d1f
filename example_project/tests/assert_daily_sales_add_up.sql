-- What the days say together is what the sales say.
with days as (

    select sum(sales) as sales, sum(revenue) as revenue from {{ ref('fct_daily_sales') }}

),

single as (

    select count(*) as sales, sum(price_paid) as revenue from {{ ref('fct_sales') }}

)

select days.sales, single.sales as expected_sales, days.revenue, single.revenue as expected_revenue
from days
cross join single
where days.sales <> single.sales or days.revenue <> single.revenue
