select o.customer, sum(o.amount) * {{ var('rate') }} as total, max(o.ordered_on) as last_on, count(*) as n, '{{ env_var("SHOP_X", "dflt") }}' as x
from {{ ref('stg_orders') }} o group by 1
