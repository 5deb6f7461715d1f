select
    cat_group,
    cat_name,
    count(*) as sales,
    sum(qty_sold) as tickets,
    sum(price_paid) as revenue,
    sum(commission) as commission,
    sum(case when is_large_sale then 1 else 0 end) as large_sales
from {{ ref('fct_sales') }}
group by cat_group, cat_name
