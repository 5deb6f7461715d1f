select sale_id, seller_id
from {{ ref('stg_tickit__sales') }}
where seller_id = buyer_id
