select id, name, case when extract(year from since) > 2024 then 'then' else cast(since as varchar) end as since,
    case when extract(year from until) between 2025 and 9998 then 'then' else cast(until as varchar) end as until, is_gone
from {{ ref('marked') }}
