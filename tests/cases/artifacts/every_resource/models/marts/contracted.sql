select cast(1 as integer) as id, cast('a' as varchar) as name
