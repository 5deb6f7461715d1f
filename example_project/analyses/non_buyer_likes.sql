-- What would people who never bought come for?
with likes as (
    {{ count_likes(ref('dim_non_buyers')) }}
)

select
    event_type,
    likes,
    rank() over (order by likes desc, event_type) as place
from likes
order by place
