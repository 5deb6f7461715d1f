select shop, item, count, note, more, dbt_valid_to is null as is_valid, dbt_valid_from = dbt_updated_at as is_stamped
from {{ ref('some_columns') }}
