select 1 as key union all select 2
