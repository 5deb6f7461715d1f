-- Tickets are sold after they were offered and before the event starts.
select s.sale_id, l.list_time, s.sale_time, e.start_time
from {{ ref('stg_tickit__sales') }} as s
join {{ ref('stg_tickit__listings') }} as l on l.list_id = s.list_id
join {{ ref('stg_tickit__events') }} as e on e.event_id = s.event_id
where s.sale_time < l.list_time or s.sale_time > e.start_time
