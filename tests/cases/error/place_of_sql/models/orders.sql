select 1 as id, 250 as price, 'open' as status
