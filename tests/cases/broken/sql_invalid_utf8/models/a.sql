select 'café' as id
