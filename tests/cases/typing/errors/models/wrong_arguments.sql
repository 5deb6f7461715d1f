select id,
    round(amount, 1, 2, 3) as amount
from {{ ref('stg_orders') }}
