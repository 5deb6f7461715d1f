select
    {{ dbt.dateadd('day', 1, 'at') }} as next_day,
    {{ dbt.datediff('a', 'b', 'hour') }} as hours,
    {{ dbt.length('name') }} as letters,
    {{ dbt.listagg('name', "', '", 'order by name') }} as names,
    {{ dbt.listagg('name', "'|'", none, 3) }} as some_names,
    {{ dbt.current_timestamp() }} as now,
    {{ dbt.array_construct(['1', '2']) }} as numbers,
    {{ dbt.last_day('at', 'quarter') }} as last_day,
    {{ dbt.type_string() }} as text
