select 1 as id, 'x' as label, 2.456 as amount, cast('2024-01-01' as timestamp) as at
