select
    dateadd(day, 1, at) as next_day,
    datediff(hour, a, b) as hours,
    len(name) as letters,
    listagg(name, ', ') within group (order by name) as names,
    regexp_substr(listagg(name, '|'), '([^\\|]+\\|){1,2}[^\\|]+') as some_names,
    getdate() as now,
    array(1 , 2) as numbers,
    cast(dateadd(day, -1, dateadd(quarter, 1, date_trunc('quarter', at))) as date) as last_day,
    TEXT as text
