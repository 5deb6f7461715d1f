select 1 as id, 1 as same, 2.0::double as extra
