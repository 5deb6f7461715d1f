select
    customer_id,
    name as customer_name,
    upper(country) as country_code,
    cast(signed_up_on as date) as signed_up_on
from {{ ref('customers') }}
