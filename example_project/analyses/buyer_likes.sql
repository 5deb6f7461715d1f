-- What do people who buy like?
with likes as (
    {{ count_likes(ref('int_buyers_extracted_from_users')) }}
)

select
    event_type,
    likes,
    rank() over (order by likes desc, event_type) as place
from likes
order by place
