select 1 as id, 'x' as name, cast(1.5 as double precision) as amount
