-- Nobody sells more tickets than they offered.
select
    l.list_id,
    max(l.num_tickets) as offered,
    sum(s.qty_sold) as sold
from {{ ref('stg_tickit__listings') }} as l
join {{ ref('stg_tickit__sales') }} as s on s.list_id = l.list_id
group by l.list_id
having sum(s.qty_sold) > max(l.num_tickets)
