select 1 as id from where id = 1
