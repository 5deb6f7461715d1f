select 1 as id, 5 as size union all select 2, -3 union all select 3, -4
