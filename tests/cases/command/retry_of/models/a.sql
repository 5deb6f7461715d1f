select {{ var('column', 'no_such') }} from (select 1 as id) as t
