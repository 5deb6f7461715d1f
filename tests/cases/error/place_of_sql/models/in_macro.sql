select id, {{ in_euros('price') }} as price
from {{ ref('orders') }}
