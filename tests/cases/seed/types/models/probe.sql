select
    code || '!' as code,
    price * 2 as price,
    day,
    extract(hour from moment) as hour,
    case when flag then 'yes' else 'no' end as flag,
    amount is null as lacks_amount
from {{ ref('typed') }}
