select *
from {{ ref('stg_orderz') }}
