{% set wanted = ['id', 'amount'] %}
select
    {{ wanted | join(', ') }},
    custmer_id
from {{ ref('stg_orders') }}
