select 1 as id,
    {{ centss('x') }} as price
