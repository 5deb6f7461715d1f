select {{ cents('x') }} as price
