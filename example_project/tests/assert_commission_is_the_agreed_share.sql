-- The site keeps the agreed share of every sale, to the cent.
select sale_id, price_paid, commission
from {{ ref('stg_tickit__sales') }}
where abs(commission - price_paid * {{ var('commission_rate') }}) >= 0.01
