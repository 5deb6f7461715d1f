select 'shop' as name
