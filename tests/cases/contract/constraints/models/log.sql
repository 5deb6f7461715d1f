select {{ var('id') }} as id
