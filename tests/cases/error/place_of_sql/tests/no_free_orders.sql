{# nothing is free #}
select *
from {{ ref('orders') }}
where wrong_in_singular = 0
