select id
from {{ ref('stg_orders') }}
where id > 1
  and ordered_on = (amount > 2)
