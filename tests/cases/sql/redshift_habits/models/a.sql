select
    id as order_id,
    nvl(note, 'none') as note,
    decode(id, 1, 'one', 2, 'two', 'many') as word,
    dateadd(day, 1, cast(day as date)) as next_day,
    datediff(day, cast('2025-01-01' as date), cast(day as date)) as days,
    to_char(cast(day as date), 'YYYY/MM/DD') as text,
    id::varchar(10) || '!' as label,
    date(day || ' 10:00:00') as plain_day
from (select 1 as id, null as note, '2025-01-03' as day union all select 2, 'x', '2025-02-01' union all select 9, 'y', '2025-03-01') as t
where order_id < 5
order by order_id
