select 1 as id, 'x' as label, cast(2.5 as decimal(10,2)) as amount
