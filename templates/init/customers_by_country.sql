select
    country_code,
    count(*) as customers,
    min(signed_up_on) as first_signed_up_on
from {{ ref('stg_customers') }}
group by country_code
