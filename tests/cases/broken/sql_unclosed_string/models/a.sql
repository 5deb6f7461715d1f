select 'x as id
